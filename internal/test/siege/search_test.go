package siege

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/test/interop"
)

// IMAP-022: ten clients have a large mailbox searched, sorted and threaded without
// pause; other clients are served meanwhile, and the server stays within its room.
func TestSearchesOfALargeMailbox(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const letters, searchers = 10_000, 10
	f := newFortress(t, interop.Setup{Accounts: []string{"bob@example.org"},
		Services: []string{"smtp", "submission", "submissions", "imap"}})
	interop.Plant(t, f.Maildir(account), letters, 1000)
	f.Start()
	first := interop.DialIMAP(t, f.Addr("imap"), account)
	if n := first.Exists("INBOX"); n != letters {
		t.Fatalf("%d letters", n)
	}
	commands := []string{"SEARCH TEXT nowhere", "SORT (SUBJECT REVERSE DATE) UTF-8 BODY dog", "THREAD REFERENCES UTF-8 ALL", "SEARCH BODY jumps NOT TEXT lazy"}
	ctx, cancel := context.WithTimeout(t.Context(), besieged)
	defer cancel()
	var done atomic.Int64
	var busy sync.WaitGroup
	peak := Peak(f.pid())
	for n := range searchers {
		c := interop.DialIMAP(t, f.Addr("imap"), account)
		c.Do("EXAMINE INBOX")
		busy.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				c.Do("%s", commands[i%len(commands)])
				done.Add(1)
			}
		})
	}
	busy.Go(func() { f.readers(t, ctx) })
	visits, err := f.control().Visits(ctx, 20*time.Millisecond)
	must(t, err)
	busy.Wait()
	most := peak()
	t.Logf("%d searches; %d visits, %v the slowest; %v", done.Load(), len(visits), Percentile(visits, 100), most)
	if most.Resident > roomForSearches {
		t.Errorf("the server held %d MB", most.Resident>>20)
	}
}

// roomForSearches is for the ten of them, whose answers are 10,000 numbers each.
const roomForSearches = 400 << 20

// readers is another account's client, that logs in and reads meanwhile.
func (f *fortress) readers(t *testing.T, ctx context.Context) {
	var took []time.Duration
	for n := 0; ctx.Err() == nil; n++ {
		start := time.Now()
		c := interop.DialIMAP(t, f.Addr("imap"), "bob@example.org")
		text := fmt.Sprintf("Subject: %d\r\n\r\nhello\r\n", n)
		c.Do("APPEND INBOX {%d+}\r\n%s", len(text), text)
		if got := c.Exists("INBOX"); got != n+1 {
			t.Errorf("%d letters after %d", got, n+1)
			return
		}
		c.Do("FETCH %d (FLAGS ENVELOPE BODY.PEEK[])", n+1)
		c.Do("LOGOUT")
		took = append(took, time.Since(start))
	}
	t.Logf("another account: %d visits, %v the slowest", len(took), Percentile(took, 100))
}
