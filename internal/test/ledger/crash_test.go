package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/test/interop"
	"facteur/internal/test/ledger"
)

func TestMain(m *testing.M) { interop.Main(m) }

const sender = "sender@example.org"

// The accounts that letters are sent to, and what is to become of letters to
// strangers.
var recipients = []ledger.Recipient{
	{Address: "alice@example.org", Want: ledger.Local},
	{Address: "bob@example.org", Want: ledger.Local},
	{Address: "carol@example.org", Want: ledger.Local},
	{Address: "dave@remote.test", Want: ledger.Remote},
	{Address: "erin@remote.test", Want: ledger.Remote},
	{Address: "refused@remote.test", Want: ledger.Bounced},
}

// everyDoor is where letters come in, and where they are read.
var everyDoor = []string{"smtp", "lmtp", "local", "imap"}

func accounts() []string {
	list := []string{sender}
	for _, r := range recipients {
		if r.Want == ledger.Local {
			list = append(list, r.Address)
		}
	}
	return list
}

// kills is how often the server is killed: FACTEUR_KILLS, or a number that an
// everyday run can afford.
func kills(t *testing.T, everyday int) int {
	text := os.Getenv("FACTEUR_KILLS")
	if text == "" {
		return everyday
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("FACTEUR_KILLS=%s is not a number", text)
	}
	return n
}

// FLT-001, INV-01, INV-03, INV-05, INV-14: facteur is killed at random
// moments under load, and the ledger balances.
func TestKillFacteur(t *testing.T) {
	stage(t, kills(t, 15), (*scene).kill, ledger.Options{}, func(setup interop.Setup) interop.Post {
		setup.Services = everyDoor
		return interop.NewFacteur(t, setup)
	})
}

// A server that is stopped under load and started again has no excuse: nothing
// twice anywhere.
func TestRestartFacteur(t *testing.T) {
	stage(t, 4, (*scene).stop, ledger.Options{}, func(setup interop.Setup) interop.Post {
		setup.Services = everyDoor
		return interop.NewFacteur(t, setup)
	})
}

// The same on Postfix and Dovecot, which are known to keep what they accept:
// a test of the test. Postfix may deliver twice into a Maildir when killed
// between the delivery and the note of it, and refuse what it has.
func TestKillDebian(t *testing.T) {
	if testing.Short() {
		t.Skip("a test of the harness")
	}
	stage(t, kills(t, 60)/15, (*scene).kill, ledger.Options{LocalDuplicates: true, LateRefusals: true}, func(setup interop.Setup) interop.Post {
		return interop.NewDebian(t, setup)
	})
}

// scene is one crash test: a server, what it talks to, and the book.
type scene struct {
	t      *testing.T
	post   interop.Post
	sink   *ledger.Sink
	book   *ledger.Book
	random *rand.Rand
	to     []ledger.Recipient // whom letters are for
	// meddle, unless nil, is what a person does all the time.
	meddle func(context.Context)
}

// stage plays one scene with letters for everybody.
func stage(t *testing.T, times int, down func(*scene), opt ledger.Options, open func(interop.Setup) interop.Post) {
	seed := newSeed(t, times)
	s := &scene{t: t, sink: newSink(t), book: ledger.NewBook(journal(t)), random: rand.New(rand.NewPCG(seed, 0)), to: recipients}
	s.post = open(interop.Setup{Accounts: accounts(), Smarthost: s.sink.Addr()})
	s.play(seed, times, down, opt)
}

// play is load, the server brought down a number of times, the queue drained, and the
// balance.
func (s *scene) play(seed uint64, times int, down func(*scene), opt ledger.Options) {
	t := s.t
	s.post.Start()
	s.load(seed, times, down)
	s.drain()
	t.Logf("answers seen: %v; copies at the remote: %d", s.book.Count(), len(s.sink.Copies()))
	if s.book.Count()[ledger.Accepted] == 0 {
		t.Error("no letter was ever accepted: this test has shown nothing")
	}
	s.judge("on the disk", s.disk(), opt)
	s.judge("through IMAP", s.imap(), opt)
}

func newSeed(t *testing.T, times int) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FACTEUR_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("down %d times, FACTEUR_SEED=%d", times, seed)
	return seed
}

func newSink(t *testing.T) *ledger.Sink {
	sink, err := ledger.NewSink(ledger.SinkPolicy{Recipient: func(address string) string {
		if strings.HasPrefix(address, "refused@") {
			return "550 5.1.1 <" + address + ">: no such user"
		}
		return ""
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.Close)
	return sink
}

// journal keeps the book as a file where FACTEUR_LEDGER_DIR says, to look at
// afterwards.
func journal(t *testing.T) *os.File {
	dir := os.Getenv("FACTEUR_LEDGER_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	file, err := os.Create(filepath.Join(dir, t.Name()+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// kill is kill -9 at once; the sink may be asked again from here on.
func (s *scene) kill() {
	s.post.Kill()
	if err := s.sink.Fault(); err != nil {
		s.t.Fatal(err)
	}
}

// stop is SIGTERM and patience.
func (s *scene) stop() { s.post.Stop() }

// load sends letters and brings the server down under them.
func (s *scene) load(seed uint64, times int, down func(*scene)) {
	ctx, cancel := context.WithCancel(context.Background())
	driver := &ledger.Driver{
		Book: s.book, Addr: s.post.Addr("smtp"), From: sender, Recipients: s.to,
		Connections: 16, PerSecond: 200, Seed: seed, Run: fmt.Sprintf("k%d", seed%1000),
	}
	if f, ok := s.post.(*interop.Facteur); ok {
		driver.LMTP = f.Addr("lmtp")
		driver.Sendmail = func(from string, to []string, letter []byte) ledger.Answer { return command(f, from, to, letter) }
	}
	done := make(chan struct{})
	go func() { defer close(done); driver.Send(ctx) }()
	var person sync.WaitGroup
	if s.meddle != nil {
		person.Go(func() { s.meddle(ctx) })
	}
	defer func() {
		cancel()
		<-done
		person.Wait()
		s.doors(driver)
	}()
	for range times {
		time.Sleep(time.Duration(20+s.random.IntN(700)) * time.Millisecond)
		down(s)
		s.post.Start()
	}
	time.Sleep(300 * time.Millisecond)
}

// doors asks that letters came in by every door that the server has.
func (s *scene) doors(driver *ledger.Driver) {
	s.t.Logf("accepted by: %v", driver.Doors())
	want := []string{"DATA", "BDAT"}
	if driver.LMTP != "" {
		want = append(want, "LMTP", "sendmail")
	}
	for _, door := range want {
		if driver.Doors()[door] == 0 {
			s.t.Errorf("no letter was accepted by %s: this test has shown nothing about it", door)
		}
	}
}

// command hands a letter to "facteur sendmail". Its exit codes 75 and 76 may mean
// that the connection was lost when the letter was complete already; the other
// failures of sysexits(3) are refusals.
func command(f *interop.Facteur, from string, to []string, letter []byte) ledger.Answer {
	switch _, code := f.Sendmail(from, to, strings.ReplaceAll(string(letter), "\r\n", "\n")); {
	case code == 0:
		return ledger.Accepted
	case code >= 64 && code <= 74:
		return ledger.Refused
	}
	return ledger.Unknown
}

// drain waits until nothing is queued.
func (s *scene) drain() {
	s.t.Helper()
	var n int
	var err error
	for deadline := time.Now().Add(drainTime()); time.Now().Before(deadline); time.Sleep(time.Second) {
		s.post.Flush()
		if n, err = s.post.Queued(); err == nil && n == 0 {
			return
		}
	}
	s.t.Errorf("the queue does not drain: %d letters left, %v", n, err)
}

// drainTime covers the lease of a crashed delivery and a retry or two.
func drainTime() time.Duration {
	if wait, err := time.ParseDuration(os.Getenv("FACTEUR_DRAIN")); err == nil {
		return wait
	}
	return 3 * time.Minute
}

// disk collects all copies from the raw Maildirs and the sink.
func (s *scene) disk() []ledger.Copy {
	copies := append(s.sink.Copies(), s.queued()...)
	for _, address := range accounts() {
		found, err := ledger.Maildir(s.post.Maildir(address), address)
		if err != nil {
			s.t.Fatal(err)
		}
		copies = append(copies, found...)
	}
	return copies
}

// imap collects all copies as a user sees them, and from the sink.
func (s *scene) imap() []ledger.Copy {
	copies := append(s.sink.Copies(), s.queued()...)
	for _, address := range accounts() {
		found, err := ledger.IMAP(s.post.Addr("imap"), address, interop.Password)
		if err != nil {
			s.t.Fatal(err)
		}
		copies = append(copies, found...)
	}
	return copies
}

// judge prints what is wrong, not all of it when it is much.
func (s *scene) judge(where string, copies []ledger.Copy, opt ledger.Options) {
	s.t.Helper()
	wrong := s.book.Balance(copies, opt)
	for i, line := range wrong {
		if i == 30 {
			s.t.Errorf("%s: and %d more", where, len(wrong)-i)
			break
		}
		s.t.Errorf("%s: %s", where, line)
	}
}
