package interop

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/queue"
	"facteur/internal/store/queue/queuetest"
)

// INV-03, INV-04: the server is killed in the middle of a person's order about many
// messages. What was told as done is done, what was not meant is untouched, each message
// is whole and listed once, and the same order takes up where it was.
func TestKillInTheMiddleOfAnOrder(t *testing.T) {
	t.Parallel()
	const items, senders = 6_000, 2
	for _, verb := range []string{"delete", "requeue"} {
		t.Run(verb, func(t *testing.T) {
			f := NewFacteur(t, Setup{Services: []string{"smtp"}, Smarthost: "127.0.0.1:1"})
			f.Command("", "queue", "count") // makes the directory
			err := queuetest.Fill(f.Data(), queue.Migrations(), queuetest.Mail{Items: items, Senders: senders, Domains: 5, Message: []byte("Subject: x\r\n\r\nx\r\n"),
				Arrived: time.Now().Add(-time.Hour), Due: time.Now().Add(time.Hour), Attempts: 1, Reply: "later"})
			if err != nil {
				t.Fatal(err)
			}
			order := []string{"queue", verb, "--from", "s0@sender.example", "--json"}
			if verb == "delete" {
				order = append(order, "--yes")
			}
			f.Start()
			progress := make(chan error, 1)
			go func() { _, err := f.TryCommand("", order...); progress <- err }()
			for strings.Count(f.Log(), "postfix/postsuper") < 500 && len(progress) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
			f.Kill()
			if err := <-progress; err == nil {
				t.Error("whoever asked was not told that it was broken off")
			}
			told := strings.Count(f.Log(), ", by=")
			f.Start()
			f.Command("", "queue", "check")
			left := f.listed(t, "s0@sender.example")
			switch {
			case verb == "delete" && items/senders-left < told, verb == "requeue" && left != items/senders:
				t.Errorf("%d of %d are left after %d lines of the log", left, items/senders, told)
			case f.listed(t, "s1@sender.example") != items/senders:
				t.Error("what was not meant is touched")
			}
			t.Logf("killed after %d lines, with %d left", told, left)
			f.Command("", order...)
			if verb == "delete" && f.listed(t, "s0@sender.example") != 0 {
				t.Error("the order does not come to its end")
			}
			f.Stop()
		})
	}
}

// listed counts the messages of a sender, and fails when one is listed twice.
func (f *Facteur) listed(t *testing.T, from string) int {
	t.Helper()
	seen := make(map[string]bool)
	for line := range strings.Lines(f.Command("", "queue", "list", "--json", "--from", from)) {
		var e struct {
			ID         string
			Recipients []struct{ Address string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || seen[e.ID] || len(e.Recipients) != 1 {
			t.Fatalf("%v: %s", err, line)
		}
		seen[e.ID] = true
	}
	return len(seen)
}
