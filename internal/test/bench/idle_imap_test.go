package bench

import (
	"fmt"
	"testing"

	"facteur/internal/test/interop"
)

// What clients cost that have logged in, selected INBOX and wait in IDLE, all of one
// account or of many, with the views of their mailboxes. Dovecot gives each a process,
// so that a hundred have to show it.
func BenchmarkIdleMailboxes(b *testing.B) {
	count, many := number("FACTEUR_BENCH_IDLE", 10_000), number("FACTEUR_BENCH_ACCOUNTS", 1000)
	stock := newArchive(b, interop.Room(b), 1000)
	fmt.Printf("\n| IMAP connections in IDLE, INBOX selected | | KB for each |\n|---|---|---|\n")
	for _, accounts := range []int{1, many} {
		for _, secure := range []bool{false, true} {
			words := fmt.Sprintf("%d of %d accounts", count, accounts)
			if secure {
				words += ", TLS"
			}
			b.Run("facteur "+words, func(b *testing.B) {
				fmt.Printf("| %s | facteur | %.1f |\n", words, idleIMAP(b, "facteur", stock, count, accounts, secure))
			})
		}
	}
	b.Run("debian", func(b *testing.B) {
		fmt.Printf("| 90 of one account | Dovecot | %.1f |\n", idleIMAP(b, "debian", stock, 90, 1, false))
	})
}

// idleIMAP gives the resident memory for each connection, in KB.
func idleIMAP(b *testing.B, which string, stock *archive, count, accounts int, secure bool) float64 {
	service := map[bool]string{false: "imap", true: "imaps"}[secure]
	setup := interop.Setup{Services: []string{"smtp", service}, Quiet: true, // in [limits]:
		Config: fmt.Sprintf("logged_in = %d\nconnections_per_account = %[1]d\nconnections_per_client = %[1]d\nconnection_rate = %[1]d\n", count*4/3+300)} // one service has three quarters
	for n := range accounts {
		setup.Accounts = append(setup.Accounts, fmt.Sprintf("person%d@example.org", n))
	}
	post := open(b, which, setup)
	letters := len(stock.files) / min(accounts, 50)
	for _, user := range setup.Accounts {
		stock.plant(b, post.Maildir(user), letters)
		post.Handover(user)
	}
	post.Start()
	wait := func(n int) *wire {
		w := dialWire(b, post.Addr(service), secure)
		w.do("LOGIN %s %s", setup.Accounts[n%accounts], interop.Password)
		w.do("SELECT INBOX")
		w.idle()
		return w
	}
	each(max(accounts, 100), func(n int) { wait(n).close() }) // what every account needs once is there
	before := atRest(post)
	each(count, func(n int) { wait(n) })
	return float64(atRest(post)-before) / float64(count) / 1024
}

// atRest is the resident memory when it falls no more: what log-ins took for their
// hashes goes back slowly.
func atRest(post interop.Post) int64 {
	last := memory(post)
	for range 30 {
		calm()
		calm()
		now := memory(post)
		if now > last-last/200 {
			return now
		}
		last = now
	}
	return last
}
