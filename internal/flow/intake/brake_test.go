package intake

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/internal/flow/brake"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/smtp"
	sent "facteur/internal/store/brake"
	"facteur/internal/store/db"
	"facteur/internal/store/queue"
)

// limit has each account send to so many in an hour.
func (c *counter) limit(t testing.TB, v brake.Verdict, text string, most int) *brake.Gate {
	t.Helper()
	d, err := db.Open(filepath.Join(t.TempDir(), "facteur.db"), sent.Tables().Migrations)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	kept, err := sent.Open(context.Background(), d, c.events)
	must(t, err)
	rules := &brake.Rules{Level: 8, First: 1, FirstDomains: 1, SameText: 1, Networks: 8, HeldMost: 100, Hostname: "mail.example.org", Home: "example.org",
		Quotas: []brake.Quota{{Name: "hourly", Track: brake.Account, Match: []string{"."}, Period: time.Hour, Limit: most, Verdict: v, Text: text}}}
	g := brake.New(brake.House{Rules: func() *brake.Rules { return rules }, Kept: kept, Queue: c.queue, Events: c.events,
		Post: &brake.Post{Router: c.router, Queue: c.queue, Outbox: sign.NewOutbox(c.queue, nil)}})
	c.Braking(g)
	return g
}

// TestABrakedAccount: ABU-016. What an account sends after it is braked is accepted and held,
// with a step each; owner and postmaster hear of it once.
func TestABrakedAccount(t *testing.T) {
	c := newCounter(t, 0)
	log := &diary{}
	c.Desk.events = log
	must(t, c.directory.AddHashed(context.Background(), addr(t, "postmaster@example.org"), "{PLAIN}secret", 0))
	g := c.limit(t, brake.Brake, "", 4)
	states := map[queue.State]int{}
	for range 6 {
		where, answer, id := c.talk(t, insider("Alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, text, "a@x.example", "b@x.example")
		if where != "" {
			t.Fatal(where, answer)
		}
		item, _ := c.bytes(t, id)
		for _, r := range item.Recipients {
			states[r.State]++
		}
	}
	if states[queue.Queued] != 4 || states[queue.Held] != 8 || !g.Braked("alice@example.org") {
		t.Errorf("ABU-016: %v", states)
	}
	items, _, err := c.queue.Depth(context.Background())
	if must(t, err); items != 8 {
		t.Errorf("ABU-016: %d items, want 6 letters, one to the owner and one to the postmaster", items)
	}
	if s := log.lines(); strings.Count(s, "held: alice@example.org has sent to 6 recipients in an hour") != 1 {
		t.Logf("%s", s)
	}
	if _, answer, _ := c.talk(t, insider("bob@example.org"), smtp.Mail{}, text, "a@x.example"); answer != "" || g.Braked("bob@example.org") {
		t.Errorf("bob: %s", answer)
	}
	done, err := g.Release(context.Background(), "ALICE@example.org", "root")
	if must(t, err); done.Letters != 4 || done.Recipients != 8 {
		t.Errorf("ABU-016: released %+v", done)
	}
}
