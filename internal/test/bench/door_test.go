package bench

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// doorColumns are the numbers of BenchmarkDoor.
var doorColumns = []column{
	{"accept/s", func(r result) float64 { return r.accept }, false},
	{"p50 ms", func(r result) float64 { return milliseconds(r.p50) }, true},
	{"p99 ms", func(r result) float64 { return milliseconds(r.p99) }, true},
	{"CPU ms", func(r result) float64 { return milliseconds(r.cpu) }, true},
	{"load ms", func(r result) float64 { return milliseconds(r.load) }, true},
	others,
}

// cells are what is measured: the corners, or with FACTEUR_BENCH_FULL=1 everything.
func cells() (list []cell) {
	if os.Getenv("FACTEUR_BENCH_FULL") != "1" {
		return []cell{
			{10_000, 1, false, false}, {10_000, 20, false, false}, {10_000, 100, false, false}, {10_000, 100, true, false},
			{1_000, 100, false, false}, {100_000, 100, false, false},
			{10_000, 1, false, true}, {10_000, 100, false, true}, {10_000, 100, true, true},
		}
	}
	for _, secure := range []bool{false, true} {
		for _, kept := range []bool{false, true} {
			for _, size := range []int{1_000, 10_000, 100_000} {
				for _, connections := range []int{1, 20, 100} {
					list = append(list, cell{size, connections, kept, secure})
				}
			}
		}
	}
	return list
}

// What the door takes, and at what price: all processor time until the last letter
// is in its Maildir belongs to it.
func BenchmarkDoor(b *testing.B) {
	rounds, period := number("FACTEUR_BENCH_ROUNDS", 3), seconds("FACTEUR_BENCH_SECONDS", 5)
	var rows []row
	for _, c := range cells() {
		r := row{what: c.String()}
		for range rounds {
			r.debian = append(r.debian, knock(b, c, period, "debian"))
			if interop.Absent() == "" || interop.Required() {
				r.facteur = append(r.facteur, knock(b, c, period, "facteur"))
			}
		}
		rows = append(rows, r)
	}
	title := fmt.Sprintf("Letters into a Maildir, for %v each, median of %d", period, rounds)
	fmt.Print(markdown(title, "letters", doorColumns, rows))
}

func seconds(name string, byDefault int) time.Duration {
	return time.Duration(number(name, byDefault)) * time.Second
}

// knock starts a server afresh and sends to it for a while.
func knock(b *testing.B, c cell, period time.Duration, which string) (r result) {
	b.Run(c.String()+" "+which, func(b *testing.B) {
		post := open(b, which, interop.Setup{Accounts: []string{alice}, Services: []string{"smtp"}, Quiet: true, TLS: c.tls})
		post.Start()
		_, arrivals := maildir(b)
		arrived := arrivals(post)
		g := newGenerator(c, post.Addr("smtp"), alice)
		warm := g.during(b, 300*time.Millisecond)
		wait(b, arrived, len(warm))
		calm()

		pid := post.Processes()[0]
		cpu, own, start, disturbed := interop.CPU(pid), ownCPU(), time.Now(), watchOthers()
		took := g.during(b, period)
		letters := len(took)
		r.accept = float64(letters) / time.Since(start).Seconds()
		r.load = (ownCPU() - own) / time.Duration(letters)
		r.p50, r.p99 = took[letters/2], took[letters*99/100]
		wait(b, arrived, len(warm)+letters)
		r.cpu = (interop.CPU(pid) - cpu) / time.Duration(letters)
		r.others = disturbed()
		b.ReportMetric(r.accept, "accept/s")
		b.ReportMetric(milliseconds(r.cpu), "cpu-ms/letter")
	})
	return r
}

// during sends for a while; nothing may fail.
func (g *generator) during(b *testing.B, period time.Duration) []time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), period)
	defer cancel()
	took, err := g.run(ctx)
	if err != nil || len(took) == 0 {
		b.Fatalf("%d letters, %v", len(took), err)
	}
	return took
}
