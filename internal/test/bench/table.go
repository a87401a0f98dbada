package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// result is what one server did in one round; each comparison fills what it
// measures.
type result struct {
	accept, deliver float64            // letters a second
	cpu             time.Duration      // per letter
	memory          int64              // bytes
	seconds         map[string]float64 // of the steps of an IMAP comparison
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// column is one number of a table.
type column struct {
	name    string
	value   func(result) float64
	inverse bool // less is better
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
			ratio := median(facteur, c.value) / median(debian, c.value)
			if c.inverse {
				ratio = 1 / ratio
			}
			return ratio
		})
	}
	return b.String() + "\n"
}

func median(results []result, value func(result) float64) float64 {
	var values []float64
	for _, r := range results {
		values = append(values, value(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
