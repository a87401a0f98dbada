package bench

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"facteur/internal/test/interop"
)

// result is what one server did in one round; each comparison fills what it
// measures.
type result struct {
	accept, deliver float64       // letters a second
	cpu             time.Duration // per letter
	load            time.Duration // per letter, of the generator
	p50, p99        time.Duration // from the first byte to the 250
	memory          int64         // bytes
	others          float64       // share of the processors that went to programs outside, in %
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// column is one number of a table.
type column struct {
	name    string
	value   func(result) float64
	inverse bool // less is better
}

// others tells how quiet the machine was. It is nobody's merit: no ratio.
var others = column{name: "others %", value: func(r result) float64 { return r.others }}

// watchOthers starts to measure how much of the machine goes to programs that
// this run did not start. Above some 10 % the rates mean little: a server of
// many processes then gets a larger share than a server of one.
func watchOthers() (share func() float64) {
	start, busy, own := time.Now(), interop.Busy(), interop.CPU(os.Getpid())
	return func() float64 {
		foreign := (interop.Busy() - busy) - (interop.CPU(os.Getpid()) - own)
		return 100 * foreign.Seconds() / time.Since(start).Seconds() / float64(runtime.NumCPU())
	}
}

// table writes one line for each server, and what facteur is times better.
func table(title string, columns []column, facteur, debian []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n%-10s", title, "")
	for _, c := range columns {
		fmt.Fprintf(&b, "%12s", c.name)
	}
	line := func(name, format string, value func(column) float64) {
		fmt.Fprintf(&b, "\n%-10s", name)
		for _, c := range columns {
			fmt.Fprintf(&b, format, value(c))
		}
	}
	if len(facteur) > 0 {
		line("facteur", "%12.2f", func(c column) float64 { return median(facteur, c.value) })
	}
	line("debian", "%12.2f", func(c column) float64 { return median(debian, c.value) })
	if len(facteur) > 0 {
		line("ratio", "%11.1fx", func(c column) float64 {
			if c.name == others.name {
				return math.NaN()
			}
			ratio := median(facteur, c.value) / median(debian, c.value)
			if c.inverse {
				ratio = 1 / ratio
			}
			return ratio
		})
	}
	return strings.ReplaceAll(b.String(), "NaNx", "    ") + "\n"
}

func median(results []result, value func(result) float64) float64 {
	var values []float64
	for _, r := range results {
		values = append(values, value(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// row is one line of a table for docs/BENCHMARKS.md.
type row struct {
	what            string
	facteur, debian []result
}

// markdown writes rows with both servers.
func markdown(title, head string, columns []column, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n| %s | |", title, head)
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	line := func(what, who string, results []result) {
		if len(results) == 0 {
			return
		}
		fmt.Fprintf(&b, "| %s | %s |", what, who)
		for _, c := range columns {
			fmt.Fprintf(&b, " %.2f |", median(results, c.value))
		}
		b.WriteString("\n")
	}
	for _, r := range rows {
		line(r.what, "facteur", r.facteur)
		line("", "Postfix", r.debian)
	}
	return b.String()
}
