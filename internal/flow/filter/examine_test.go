package filter

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// trial is a check of these tests.
type trial struct {
	name    string
	at      Stage
	examine func(context.Context, *Letter) []Remark
}

func (t trial) Name() string                                    { return t.name }
func (t trial) At() Stage                                       { return t.at }
func (t trial) Examine(ctx context.Context, l *Letter) []Remark { return t.examine(ctx, l) }

// says is a check that always finds the same.
func says(name string, at Stage, score float64) Check {
	return trial{name, at, func(context.Context, *Letter) []Remark {
		return []Remark{{Name: name, Score: score, Sentence: "It is " + name + "."}}
	}}
}

// examining is a filter that asks the DNS nothing.
func examining(checks ...Check) *Filter {
	return New(&Rules{Hostname: "mail.example.org", Checks: checks, Scoring: true}, nil, nil)
}

// examined takes a letter through a case.
func examined(t testing.TB, c *Case, letter string) []Remark {
	t.Helper()
	header, body, _ := strings.Cut(letter, "\r\n\r\n")
	h := message.Header(header + "\r\n\r\n")
	if w := c.Read(h, false); w != nil {
		w.Write([]byte(body))
	}
	c.Holds(Joined{Header: h, Body: strings.NewReader(body)}, int64(len(letter)))
	c.Judge(t.Context())
	return c.Remarks()
}

var somebody = Letter{Client: Client{Addr: netip.MustParseAddr("192.0.2.1"), Name: "mx.example.org", Helo: "mx.example.org"},
	Door: []string{"pregreet"}, Sender: address.Address{Local: "alice", Domain: "example.org"}}

// A check is started as soon as its stage is reached, with what is known by then.
func TestStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Letter
		var mu sync.Mutex // checks of several stages may be at it together
		var checks []Check
		for at := Connect; at <= End; at++ {
			checks = append(checks, trial{"x", at, func(_ context.Context, l *Letter) []Remark {
				if at == End {
					l.Content() // it can't be read later
				}
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, *l)
				return nil
			}})
		}
		f := examining(checks...)
		at := func(stage Stage) Letter {
			t.Helper()
			synctest.Wait()
			if len(seen) != int(stage) {
				t.Fatalf("%d checks were started, expected %d", len(seen), stage)
			}
			return seen[stage-1]
		}
		v := f.Meet(t.Context(), somebody)
		if l := at(Connect); l.Client.Name != "" || l.Client.Helo != "" || !l.Client.Addr.IsValid() {
			t.Errorf("at the connection: %+v", l)
		}
		v.Greet(somebody)
		if l := at(Helo); l.Client != somebody.Client {
			t.Errorf("at HELO: %+v", l)
		}
		c := f.Open(t.Context(), v, somebody)
		if l := at(Mail); l.Sender != somebody.Sender || l.Recipients != nil {
			t.Errorf("at MAIL: %+v", l)
		}
		c.Addressed([]Recipient{{Account: "bob@example.net"}})
		if l := at(Rcpt); l.Recipients[0].Account != "bob@example.net" || l.Evidence != nil || l.Content != nil {
			t.Errorf("at RCPT: %+v", l)
		}
		examined(t, c, letter)
		if l := at(End); l.Evidence == nil || l.Header.Get("Subject") != "Tuesday" || l.Size != int64(len(letter)) || l.Content().Subject != "Tuesday" {
			t.Errorf("at the end: %+v", l)
		}
		// A second transaction asks nothing about the client again.
		c.Close()
		second := f.Open(t.Context(), v, somebody)
		examined(t, second, letter)
		second.Close()
		if len(seen) != 8 {
			t.Errorf("%d checks were started in all", len(seen))
		}
		v.Close()
	})
}

// What the client calls itself now counts, not what it said before.
func TestAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := examining(trial{"helo", Helo, func(_ context.Context, l *Letter) []Remark { return []Remark{{Name: l.Client.Helo}} }})
		v := f.Meet(t.Context(), somebody)
		v.Greet(somebody)
		other := somebody
		other.Client.Helo = "other.example"
		c := f.Open(t.Context(), v, other)
		if r := examined(t, c, letter); len(r) != 1 || r[0].Name != "other.example" {
			t.Errorf("%+v", r)
		}
		c.Close()
		v.Close()
	})
}

// A transaction that ends early ends its checks, and leaves nothing behind: synctest fails
// where a goroutine stays.
func TestEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		waits := func(at Stage) Check {
			return trial{"waits", at, func(ctx context.Context, _ *Letter) []Remark {
				<-ctx.Done()
				ended.Add(1)
				return nil
			}}
		}
		f := examining(waits(Connect), waits(Helo), waits(Mail))
		v := f.Meet(t.Context(), somebody)
		c := f.Open(t.Context(), v, somebody)
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if ended.Load() != 1 {
			t.Errorf("%d checks ended with the transaction", ended.Load())
		}
		v.Close()
		synctest.Wait()
		if ended.Load() != 3 {
			t.Errorf("%d checks ended with the connection", ended.Load())
		}
	})
}

// A check that does not end in time holds nobody up for longer, and can do no harm to the
// letter any more.
func TestLateCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, read := make(chan struct{}), make(chan error)
		f := examining(says("quick", End, 1), trial{"stuck", End, func(_ context.Context, l *Letter) []Remark {
			<-release // it ignores its context
			_, err := l.Message.ReadAt(make([]byte, 1), 0)
			read <- err
			return []Remark{{Name: "stuck", Score: 9}}
		}})
		c, began := f.Open(t.Context(), nil, somebody), time.Now()
		r := examined(t, c, letter)
		if len(r) != 2 || r[0].Name != "quick" || r[1].Score != 0 || !strings.Contains(r[1].Sentence, "did not end in time") {
			t.Errorf("%+v", r)
		}
		if took := time.Since(began); took > collectTime {
			t.Errorf("it took %v", took)
		}
		close(release)
		if err := <-read; err != errReturned {
			t.Errorf("it could read the letter: %v", err)
		}
		c.Close()
	})
}

// INV-22: a letter that makes a check panic is judged by the others, and the admin hears
// of it.
func TestPanickingCheck(t *testing.T) {
	var told diary
	f := examining(says("words", End, 1), trial{"broken", End, func(context.Context, *Letter) []Remark {
		panic("a letter that nobody thought of")
	}}).Tells(&told)
	c := f.Open(t.Context(), nil, somebody)
	defer c.Close()
	r := examined(t, c, letter)
	if len(r) != 2 || r[0].Name != "words" || r[1].Score != 0 || !strings.Contains(r[1].Sentence, `"broken" failed`) {
		t.Errorf("%+v", r)
	}
	if len(told) != 1 || told[0].(Broken).Times != 1 || !strings.Contains(told[0].(Broken).Err.Error(), "nobody thought of") {
		t.Errorf("told: %v", told)
	}
}

// diary keeps what it is told.
type diary []event.Event

func (d *diary) Emit(e event.Event) { *d = append(*d, e) }

// The text of a letter is read once, whoever asks.
func TestContentIsReadOnce(t *testing.T) {
	var reads atomic.Int32
	ask := trial{"asks", End, func(_ context.Context, l *Letter) []Remark {
		return []Remark{{Name: strings.TrimSpace(l.Content().Text)}}
	}}
	f := examining(ask, ask, ask)
	c := f.Open(t.Context(), nil, somebody)
	defer c.Close()
	c.Read(message.Header(letter[:strings.Index(letter, "\r\n\r\n")+4]), false)
	c.Holds(counted{bytes.NewReader([]byte(letter)), &reads}, int64(len(letter)))
	c.Judge(t.Context())
	once := reads.Load()
	for _, r := range c.Remarks() {
		if r.Name != "See you." {
			t.Errorf("%q was read", r.Name)
		}
	}
	if c.Letter().Content(); reads.Load() != once {
		t.Error("it was read again")
	}
}

type counted struct {
	*bytes.Reader
	n *atomic.Int32
}

func (c counted) ReadAt(p []byte, off int64) (int, error) {
	c.n.Add(1)
	return c.Reader.ReadAt(p, off)
}

// Joined reads as if it were one.
func TestJoined(t *testing.T) {
	j := Joined{Header: []byte("head\r\n\r\n"), Body: strings.NewReader("above body"), At: 6}
	for off := range 12 {
		for n := 1; n < 14; n++ {
			p := make([]byte, n)
			got, _ := j.ReadAt(p, int64(off))
			want := "head\r\n\r\nbody"[off:min(12, off+n)]
			if string(p[:got]) != want {
				t.Errorf("%d bytes at %d: %q, expected %q", n, off, p[:got], want)
			}
		}
	}
}

// MIME-013: what many send at one time is read as far as there are processors: each letter
// may take the memory that its archives do.
func TestContentsWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stuck := New(&Rules{}, nil, nil), stuck{release: make(chan struct{})}
		for range 10 * cap(f.reading) {
			go (&Case{filter: f, letter: Letter{Message: &stuck, Size: 10}}).read()
		}
		synctest.Wait()
		if n := stuck.reads.Load(); n != int32(cap(f.reading)) {
			t.Errorf("%d letters are read at a time", n)
		}
		close(stuck.release)
		synctest.Wait()
		if n := stuck.reads.Load(); n < int32(10*cap(f.reading)) {
			t.Errorf("%d letters were read", n)
		}
	})
}

// stuck is a letter that nobody can read yet.
type stuck struct {
	release chan struct{}
	reads   atomic.Int32
}

func (s *stuck) ReadAt([]byte, int64) (int, error) {
	s.reads.Add(1)
	<-s.release
	return 0, io.EOF
}
