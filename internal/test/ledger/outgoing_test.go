package ledger_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/interop"
	"facteur/internal/test/ledger"
)

// outgoing are recipients elsewhere, of every kind of end.
var outgoing = []ledger.Recipient{
	{Address: "alice@example.org", Want: ledger.Local},
	{Address: "dave@remote.test", Want: ledger.Remote},
	{Address: "refused@remote.test", Want: ledger.Bounced},
	{Address: "never@remote.test", Want: ledger.Bounced}, // when its time is over
	{Address: "moody@remote.test"},                       // takes it in the end, if in time
}

// FLT-001, INV-03, INV-04, INV-05, OUT-001, OUT-022: facteur is killed at random moments
// while letters leave, are put off, come back and expire, and a person holds, releases,
// requeues, tries again and deletes. Each recipient ends in exactly one way.
func TestKillOutgoing(t *testing.T) {
	times := kills(t, 10)
	seed := newSeed(t, times)
	sink, err := ledger.NewSink(ledger.SinkPolicy{Recipient: moody})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	s := &scene{t: t, sink: sink, book: ledger.NewBook(journal(t)), random: rand.New(rand.NewPCG(seed, 0)), to: outgoing}
	f := interop.NewFacteur(t, interop.Setup{Accounts: accounts(), Smarthost: sink.Addr(), Services: everyDoor, Config: `
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "2s"
maximal_queue_lifetime = "10s"
`})
	s.post = f
	s.meddle = func(ctx context.Context) { s.person(ctx, f, rand.New(rand.NewPCG(seed, 1))) }
	s.play(seed, times, (*scene).kill, ledger.Options{})
}

// moody is the sink's mind about its users.
func moody(address string) string {
	switch user, _, _ := strings.Cut(address, "@"); {
	case user == "refused":
		return "550 5.1.1 No such user"
	case user == "never", user == "moody" && rand.IntN(2) == 0:
		return "450 4.2.1 Not now"
	}
	return ""
}

// person gives one order after the other, to a server that dies now and then. What is on
// hold in the end is released.
func (s *scene) person(ctx context.Context, f *interop.Facteur, random *rand.Rand) {
	done := make(map[string]int)
	for ctx.Err() == nil {
		id := s.pick(f, random)
		if id == "" {
			continue
		}
		order := []string{"hold", "release", "retry", "requeue", "expire", "delete"}[random.IntN(6)]
		args := []string{"queue", order, id}
		switch order {
		case "release":
			args[2] = "--all"
		case "delete":
			s.delete(f, id)
			done[order]++
			continue
		case "expire":
			args = append(args, "--yes")
			if !s.mayExpire(f, id) {
				continue
			}
		}
		if _, err := f.TryCommand("", args...); err == nil {
			done[order]++
		}
	}
	s.t.Logf("orders that were carried out: %v", done)
	for deadline := time.Now().Add(drainTime()); time.Now().Before(deadline); time.Sleep(time.Second) {
		if _, err := f.TryCommand("", "queue", "release", "--all"); err == nil {
			return
		}
	}
	s.t.Error("what is on hold can't be released")
}

// waiting is what the person looks at in a line of "queue list --json".
type waiting struct {
	ID         string `json:"id"`
	Recipients []struct {
		Address string `json:"address"`
	} `json:"recipients"`
	Sender string `json:"sender"`
}

// pick chooses something that is queued, and is no notice.
func (s *scene) pick(f *interop.Facteur, random *rand.Rand) string {
	out, err := f.TryCommand("", "queue", "list", "--json")
	if err != nil {
		time.Sleep(20 * time.Millisecond)
		return ""
	}
	var ids []string
	for line := range strings.Lines(out) {
		var item waiting
		if json.Unmarshal([]byte(line), &item) == nil && item.Sender != "" {
			ids = append(ids, item.ID)
		}
	}
	if len(ids) == 0 {
		time.Sleep(20 * time.Millisecond)
		return ""
	}
	return ids[random.IntN(len(ids))]
}

// mayExpire tells whether all who are left of an item are those who never get it.
func (s *scene) mayExpire(f *interop.Facteur, id string) bool {
	out, err := f.TryCommand("", "queue", "show", id, "--json")
	var item waiting
	if err != nil || json.Unmarshal([]byte(out), &item) != nil {
		return false
	}
	for _, r := range item.Recipients {
		if user, _, _ := strings.Cut(r.Address, "@"); user != "never" && user != "moody" && user != "refused" {
			return false
		}
	}
	return len(item.Recipients) > 0
}

// delete deletes an item, and notes it in the book.
func (s *scene) delete(f *interop.Facteur, id string) {
	text, err := f.TryCommand("", "queue", "show", id, "--message")
	if err != nil {
		return
	}
	letter := ledger.Taken([]byte(text), "", "").ID
	s.book.Delete(letter, ledger.NobodyKnows)
	if _, err := f.TryCommand("", "queue", "delete", id); err == nil {
		s.book.Delete(letter, s.sink.Epoch())
	}
}
