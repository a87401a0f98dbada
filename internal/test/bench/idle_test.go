package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// What connections cost on which nothing happens. Postfix gives each a process, so
// that a hundred have to show it.
func BenchmarkIdleConnections(b *testing.B) {
	count := number("FACTEUR_BENCH_IDLE", 10_000)
	fmt.Printf("\n%-10s%14s%14s%20s\n", "", "connections", "", "KB for each")
	for _, secure := range []bool{false, true} {
		words := map[bool]string{false: "after EHLO", true: "under TLS"}[secure]
		for which, n := range map[string]int{"facteur": count, "debian": min(count, 100)} {
			b.Run(words+" "+which, func(b *testing.B) {
				cost := idle(b, which, n, secure)
				b.ReportMetric(cost, "KB/connection")
				fmt.Printf("%-10s%14d%14s%20.1f\n", which, n, words, cost)
			})
		}
	}
}

// idle opens connections and returns the resident memory for each, in KB.
func idle(b *testing.B, which string, count int, secure bool) float64 {
	setup := interop.Setup{
		Accounts: []string{alice}, Services: []string{"smtp"}, Quiet: true, TLS: secure,
		Config: fmt.Sprintf("connections = %d\n", count+100), // in [limits]
	}
	post := open(b, which, setup)
	post.Start()
	g := newGenerator(cell{size: 1000, connections: 20, tls: secure}, post.Addr("smtp"), alice)
	g.during(b, time.Second) // what every server needs once is there
	calm()
	before := interop.Memory(post.Processes()[0])
	talks := make([]*talk, count)
	each(count, func(n int) {
		var err error
		if talks[n], err = g.open(); err != nil {
			b.Errorf("connection %d: %v", n, err)
		}
	})
	b.Cleanup(func() {
		for _, t := range talks {
			if t != nil {
				t.conn.Close()
			}
		}
	})
	calm()
	return float64(interop.Memory(post.Processes()[0])-before) / float64(count) / 1024
}

// each calls do for all numbers below count, some at a time.
func each(count int, do func(n int)) {
	var group sync.WaitGroup
	turns := make(chan struct{}, 50)
	for n := range count {
		turns <- struct{}{}
		group.Go(func() {
			do(n)
			<-turns
		})
	}
	group.Wait()
}
