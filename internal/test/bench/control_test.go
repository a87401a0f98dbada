package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"facteur/internal/test/interop"
	"facteur/internal/test/siege"
)

// INV-17, ABU-019: how long an ordinary client waits while each flood goes on,
// against how long when nothing does. Flood, client and server share the
// processors.
func BenchmarkControl(b *testing.B) {
	for _, which := range []string{"facteur", "debian"} {
		b.Run(which, func(b *testing.B) {
			fmt.Printf("\n%s\n\n| flood | | median ms | p99 ms | ratio | what it got |\n|---|---|---|---|---|---|\n", which)
			for _, flood := range siege.Floods() {
				control(b, which, flood)
			}
		})
	}
}

// control measures one flood on a fresh server.
func control(b *testing.B, which string, flood siege.Flood) {
	b.Run(flood.Name, func(b *testing.B) {
		services := []string{"smtp", "submission", "submissions"}
		if which == "debian" {
			services = services[:2]
		}
		post := open(b, which, interop.Setup{
			Accounts: []string{alice}, Services: services, Trusted: "127.0.0.1/32", Quiet: true, TLS: true,
			// The floods are to reach what lies behind the tests before the banner.
			Config: "\n[pregreet]\ngreet_wait = \"0s\"\nstress_greet_wait = \"0s\"\n",
		})
		post.Start()
		target := siege.Target{SMTP: post.Addr("smtp"), Submission: post.Addr("submission"), Account: alice}
		if which == "facteur" {
			target.Submissions = post.Addr("submissions")
		}
		client, wait := siege.Control{Addr: target.SMTP, To: alice}, seconds("FACTEUR_BENCH_SECONDS", 5)
		calm()
		idle := visits(b, client, wait/2)

		var seen *siege.Seen
		var flooding sync.WaitGroup
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		flooding.Go(func() { seen = flood.Run(ctx, target) })
		took := visits(b, client, wait)
		flooding.Wait()
		ratio := milliseconds(siege.Percentile(took, 50)) / milliseconds(siege.Percentile(idle, 50))
		b.ReportMetric(ratio, "times-idle")
		fmt.Printf("| %s | %s | %.2f | %.2f | %.1f | %v |\n", flood.ID, flood.Name,
			milliseconds(siege.Percentile(took, 50)), milliseconds(siege.Percentile(took, 99)), ratio, seen)
	})
}

func visits(b *testing.B, client siege.Control, wait time.Duration) []time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	took, err := client.Visits(ctx, 20*time.Millisecond)
	if err != nil || len(took) == 0 {
		b.Errorf("%d visits: %v", len(took), err)
	}
	return took
}
