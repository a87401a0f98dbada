package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
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
	f := hasty(t, sink)
	s.post = f
	s.meddle = func(ctx context.Context) { s.person(ctx, f, rand.New(rand.NewPCG(seed, 1))) }
	s.play(seed, times, (*scene).kill, ledger.Options{})
}

// hasty is a server that tries again soon, and gives up soon.
func hasty(t *testing.T, sink *ledger.Sink) *interop.Facteur {
	return interop.NewFacteur(t, interop.Setup{Accounts: accounts(), Smarthost: sink.Addr(), Services: everyDoor, Config: `
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "2s"
maximal_queue_lifetime = "10s"
`})
}

// onDisk are the system calls that change something on the disk.
const onDisk = "pwrite64,fsync,fdatasync,ftruncate,renameat,renameat2,rename,unlinkat,unlink,linkat"

// FLT-001, INV-03, INV-04: facteur is killed in its n-th change of the disk (n counts for
// each thread), and the next in its (n+1)-th, whatever it does then: accept, send, put
// off, return, expire, or clean up what the one before it has left.
func TestKillAtEveryWrite(t *testing.T) {
	strace, times := interop.Need(t, "strace"), kills(t, 8)
	seed := newSeed(t, times)
	sink, err := ledger.NewSink(ledger.SinkPolicy{Recipient: moody})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	random := rand.New(rand.NewPCG(seed, 0))
	s := &scene{t: t, sink: sink, book: ledger.NewBook(journal(t)), random: random, to: outgoing}
	f := hasty(t, sink)
	s.post = f
	deaths := 0
	for n := range times {
		when := n + 1
		if times < 100 {
			when = 1 + random.IntN(100)
		}
		inject := fmt.Sprintf("inject=%s:signal=KILL:when=%d", onDisk, when)
		p := interop.Spawn(t, nil, strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+onDisk, "-e", inject,
			interop.Binary(t), "serve", "-c", f.Config())
		deaths += s.loadUntilDeath(p, seed+uint64(n))
	}
	t.Logf("%d of %d processes were killed while they changed the disk", deaths, times)
	if deaths == 0 {
		t.Error("no process was killed: this test has shown nothing")
	}
	f.Start()
	s.drain()
	t.Logf("answers seen: %v; copies at the remote: %d", s.book.Count(), len(sink.Copies()))
	s.judge("on the disk", s.disk(), ledger.Options{})
}

// loadUntilDeath sends letters to a process until it is dead, or for some seconds, and
// tells whether it died by itself (1) or had to be killed (0).
func (s *scene) loadUntilDeath(p *interop.Process, seed uint64) (died int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	driver := &ledger.Driver{Book: s.book, Addr: s.post.Addr("smtp"), From: sender, Recipients: s.to,
		Connections: 4, PerSecond: 50, Seed: seed, Run: fmt.Sprintf("w%d", seed)}
	done := make(chan struct{})
	go func() { defer close(done); driver.Send(ctx) }()
	for ctx.Err() == nil && p.Running() {
		time.Sleep(20 * time.Millisecond)
	}
	if !p.Running() {
		died = 1
	}
	p.Kill()
	cancel()
	<-done
	if err := s.sink.Fault(); err != nil {
		s.t.Fatal(err)
	}
	return died
}

// moody is the sink's mind about its users.
func moody(address string) string {
	switch user, _, _ := strings.Cut(address, "@"); {
	case user == "refused":
		return "550 5.1.1 No such user"
	case user == "never", user == "moody" && rand.IntN(2) == 0:
		// The first is read as a wish to get less (OUT-015), the second is not.
		return []string{"450 4.2.1 Not now", "451 4.3.0 Not now"}[rand.IntN(2)]
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

func (w waiting) addresses() (all []string) {
	for _, r := range w.Recipients {
		all = append(all, r.Address)
	}
	return all
}

// look is what the queue tells of one item.
func look(f *interop.Facteur, id string) (item waiting, err error) {
	out, err := f.TryCommand("", "queue", "show", id, "--json")
	if err != nil {
		return item, err
	}
	return item, json.Unmarshal([]byte(out), &item)
}

// queued are the recipients who still wait, so that they don't count as lost.
func (s *scene) queued() (copies []ledger.Copy) {
	f, ok := s.post.(*interop.Facteur)
	if !ok {
		return nil
	}
	out, _ := f.TryCommand("", "queue", "list", "--json")
	for line := range strings.Lines(out) {
		var item waiting
		if json.Unmarshal([]byte(line), &item) != nil {
			continue
		}
		text, err := f.TryCommand("", "queue", "show", item.ID, "--message")
		if err != nil {
			continue
		}
		for _, address := range item.addresses() {
			copies = append(copies, ledger.Waiting([]byte(text), address, "queued as "+item.ID)...)
		}
	}
	return copies
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
	item, err := look(f, id)
	if err != nil {
		return false
	}
	for _, address := range item.addresses() {
		if user, _, _ := strings.Cut(address, "@"); user != "never" && user != "moody" && user != "refused" {
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
	item, err := look(f, id)
	if err != nil {
		return
	}
	letter, left := ledger.Taken([]byte(text), "", "").ID, item.addresses()
	s.book.Delete(letter, left, ledger.NobodyKnows)
	if _, err := f.TryCommand("", "queue", "delete", id); err == nil {
		s.book.Delete(letter, left, s.sink.Epoch())
	}
}
