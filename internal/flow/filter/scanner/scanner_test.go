package scanner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/net/clamav"
	"facteur/internal/net/rspamd"
)

// fake is an engine that does what a test wants.
type fake struct {
	mu      sync.Mutex
	answer  func(ctx context.Context) (finding, error)
	there   error
	scanned int
	pinged  int
}

func (f *fake) scan(ctx context.Context, l *filter.Letter, r io.Reader, _ int64) (finding, error) {
	f.mu.Lock()
	if l.ID != "" { // else it is the small one that asks whether others are looked at
		f.scanned++
	}
	answer := f.answer
	f.mu.Unlock()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return finding{}, err
	}
	return answer(ctx)
}

func (f *fake) ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pinged++
	return f.there
}

func says(f finding, err error) func(context.Context) (finding, error) {
	return func(context.Context) (finding, error) { return f, err }
}

func hangs(ctx context.Context) (finding, error) {
	<-ctx.Done()
	return finding{}, ctx.Err()
}

// told are the lines of the log.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) Emit(e event.Event) {
	_, line := e.Line()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *told) has(text string) (n int) {
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func newFake(answer func(context.Context) (finding, error), tune func(*Config)) (*Scanner, *fake, *told) {
	c := Config{Name: "clamd", Kind: Clamd, Socket: "unix:/s", Timeout: DefaultTimeout, MaxSize: 1000, WhenDown: Defer, Connections: 2, Weight: 1}
	if tune != nil {
		tune(&c)
	}
	log, f := &told{}, &fake{answer: answer}
	s := New(c, log)
	s.engine = f
	return s, f, log
}

func letter() *filter.Letter {
	text := "Subject: x\r\n\r\nbody\r\n"
	return &filter.Letter{ID: "4AB", Message: strings.NewReader(text), Size: int64(len(text)), Client: filter.Client{Addr: netip.MustParseAddr("192.0.2.1")}}
}

// Row 179: what clamd finds is a virus, or evidence beside other.
func TestNames(t *testing.T) {
	t.Parallel()
	own := Names{Scores: map[string]float64{"Win.Test.": 2, "PUA.Win.": 0.5}, Viruses: []string{"Heuristics.Encrypted.Zip"}}
	for name, want := range map[string]struct {
		names Names
		virus bool
		score float64
	}{
		"Eicar-Test-Signature":                {virus: true},
		"Win.Test.EICAR_HDB-1":                {virus: true},
		"Win.Test.EICAR_HDB-1 ":               {names: own, score: 2},
		"Heuristics.Encrypted.Zip":            {score: 1},
		"Heuristics.Encrypted.Zip ":           {names: own, virus: true},
		"Heuristics.Phishing.Email.SpoofedIP": {score: 3},
		"Heuristics.Something.New":            {score: 1.5},
		"PUA.Win.Tool.X":                      {score: 1.5},
		"PUA.Win.Tool.X ":                     {names: own, score: 0.5},
		"Sanesecurity.Junk.1.UNOFFICIAL":      {score: 3},
		"Sanesecurity.Malware.1.UNOFFICIAL":   {virus: true},
		"MBL_1.UNOFFICIAL":                    {virus: true},
	} {
		s, _, _ := newFake(says(finding{virus: name}, nil), func(c *Config) { c.Names = want.names })
		got := s.Examine(t.Context(), letter())
		if len(got) != 1 || (got[0].Category == filter.Virus) != want.virus || got[0].Score != want.score || got[0].Scanned != "clamd" || !strings.Contains(got[0].Sentence, name) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Points of rspamd and spamd are weighed, and clipped where the settings say so.
func TestPoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		points, weight, clip, want float64
	}{
		"as they are": {6, 1, 0, 6}, "weighed": {10, 0.8, 0, 8}, "clipped": {1000, 1, 4, 4}, "clipped below": {-20, 1, 4, -4},
	} {
		s, _, _ := newFake(says(finding{scored: true, points: c.points, says: "gives it points"}, nil), func(x *Config) {
			x.Name, x.Kind, x.Weight, x.Clip = "spamd", Spamd, c.weight, c.clip
		})
		got := s.Examine(t.Context(), letter())
		if len(got) != 1 || got[0].Score != c.want || got[0].Name != "spamd" || got[0].Category != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if p := forced(rspamd.Answer{Action: "reject", Score: 0, Required: 15}); p != 15 {
		t.Errorf("an action that a rule forces: %v", p)
	}
	if p := forced(rspamd.Answer{Action: "greylist", Score: 4.5, Required: 15}); p != 4.5 {
		t.Errorf("another: %v", p)
	}
}

// Row 180, FLT-018: a scanner that hangs costs two letters their time, and no other; it is
// told, and asked again before it is trusted again.
func TestDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, log := newFake(hangs, nil)
		for range 2 {
			began := time.Now()
			got := s.Examine(t.Context(), letter())
			if len(got) != 1 || !got[0].Defer || got[0].Score != 0 || time.Since(began) != DefaultTimeout+pingTime {
				t.Fatalf("after %s: %+v", time.Since(began), got)
			}
		}
		if s.Status().Why != "Connection timed out" || s.Status().State != Resting || log.has("error: the scanner clamd unix:/s does not work") != 1 {
			t.Fatalf("row 180: it is not told: %+v, %q", s.Status(), log.lines)
		}
		began := time.Now()
		for range 100 {
			if got := s.Examine(t.Context(), letter()); !got[0].Defer {
				t.Fatal(got)
			}
		}
		if time.Since(began) != 0 || f.scanned != 2 {
			t.Fatalf("letters waited for %s, %d were shown", time.Since(began), f.scanned)
		}
		f.there = errors.New("not yet")
		if got := s.Asked(t.Context()); got.State != Dead || got.Why != "not yet" || got.LastError != "Connection timed out" || !got.Answered.IsZero() || got.Since.IsZero() {
			t.Fatalf("row 180: asked: %+v", got)
		}
		f.pinged = 0
		time.Sleep(pauseFirst)
		s.Examine(t.Context(), letter())
		s.Examine(t.Context(), letter())
		if f.pinged != 1 || f.scanned != 2 {
			t.Fatalf("%d questions, %d letters", f.pinged, f.scanned)
		}
		f.there, f.answer = nil, says(finding{}, nil)
		time.Sleep(2 * pauseFirst)
		if got := s.Examine(t.Context(), letter()); got[0].Defer || got[0].Scanned == "" || s.Status().State != Working {
			t.Fatalf("it is there again: %+v", got)
		}
		if got := s.Asked(t.Context()); got.State != Working || got.Why != "" || got.Answered.IsZero() || got.FailedAt.IsZero() || got.Scanned != 1 || got.Failed != uint64(104) {
			t.Errorf("row 180: %+v", got)
		}
		if log.has("works again, after") != 1 || log.has("does not work") != 1 {
			t.Errorf("%q", log.lines)
		}
	})
}

// clamd is one that does not come to an end with letters that say so, and with none once it
// is stuck. It speaks as clamd does.
func clamd(t *testing.T, stuck *atomic.Bool) (address string) {
	address = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		if word, err := r.ReadString(0); err != nil || word == "zPING\x00" {
			io.WriteString(c, "PONG\x00")
			return
		}
		var text []byte
		for length := uint32(1); ; {
			if binary.Read(r, binary.BigEndian, &length) != nil || length == 0 {
				break
			}
			chunk := make([]byte, min(length, 1<<16))
			io.ReadFull(r, chunk)
			text = append(text, chunk...)
		}
		if stuck.Load() || bytes.Contains(text, []byte("slow")) {
			io.Copy(io.Discard, r) // until the other end is tired of it
			return
		}
		io.WriteString(c, "stream: OK\x00")
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go serve(c)
		}
	}()
	return address
}

// FLT-018: letters over which clamd is slow are put off, or pass, as it is set, and nobody
// else's. One that looks at nothing any more rests, and so does one that is not there.
func TestSlowLetter(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	s := New(Config{Name: "clamd", Kind: Clamd, Network: "unix", Address: clamd(t, &stuck), Timeout: 2 * time.Second, MaxSize: 1000, WhenDown: Defer, Connections: 9}, event.Discard)
	show := func(text string) []filter.Remark {
		l := letter()
		l.Message, l.Size = strings.NewReader(text), int64(len(text))
		return s.Examine(t.Context(), l)
	}
	atOnce := func(n int) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				if got := show("Subject: slow\r\n\r\n"); len(got) != 1 || !got[0].Defer || got[0].Category != "" {
					t.Errorf("%+v", got)
				}
			})
		}
		all.Wait()
	}
	atOnce(3 * failuresMost)
	if got := show("Subject: x\r\n\r\n"); got[0].Defer || got[0].Scanned == "" || s.Status().State != Working || s.Status().Failed != 3*failuresMost {
		t.Errorf("slow letters hold up those of others: %+v, %+v", got, s.Status())
	}
	stuck.Store(true)
	atOnce(failuresMost)
	if s.Status().State != Resting {
		t.Errorf("it looks at nothing any more: %+v", s.Status())
	}
	gone := New(Config{Name: "clamd", Kind: Clamd, Network: "unix", Address: filepath.Join(t.TempDir(), "none"), Timeout: time.Second, MaxSize: 1000, Connections: 1}, event.Discard)
	for range failuresMost {
		gone.Examine(t.Context(), letter())
	}
	if gone.Status().State != Resting {
		t.Errorf("nobody is there: %+v", gone.Status())
	}
}

// One that answers a PING and no more does not hold up the mail of others.
func TestHalfDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, f, _ := newFake(hangs, func(c *Config) { c.WhenDown = Pass })
		for range 600 {
			if got := s.Examine(t.Context(), letter()); got[0].Defer {
				t.Fatal("it was to pass")
			}
			time.Sleep(time.Second)
		}
		if f.scanned > 16 {
			t.Errorf("%d letters waited in ten minutes", f.scanned)
		}
	})
}

// What is no failure of the scanner does not count as one.
func TestNobodysFailure(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"a refusal": &clamav.Refused{Text: "Can't allocate memory"}, "too large": clamav.ErrTooLarge} {
		s, f, _ := newFake(says(finding{}, err), nil)
		for range 5 {
			got := s.Examine(t.Context(), letter())
			if len(got) != 1 || got[0].Defer == errors.Is(err, clamav.ErrTooLarge) || got[0].Category != "" {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if f.scanned != 5 || s.Status().State != Working {
			t.Errorf("%s: %+v", name, s.Status())
		}
	}
	s, f, log := newFake(hangs, nil)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := s.Examine(ctx, letter()); got != nil || s.Status().State != Working || log.lines != nil {
			t.Errorf("a client that hung up: %+v %q", got, log.lines)
		}
	}
	large := letter()
	large.Size = 1001
	before := f.scanned
	if got := s.Examine(t.Context(), large); len(got) != 1 || got[0].Defer || f.scanned != before || got[0].Name != "clamd_skipped" {
		t.Errorf("above max_size: %+v", got)
	}
}

// A letter waits for its turn, within its time, and no more than N are shown at once.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		s, _, _ := newFake(func(context.Context) (finding, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return finding{}, nil
		}, nil)
		var all sync.WaitGroup
		deferred := 0
		for range 60 { // two at a time in 20 seconds are about 40
			all.Go(func() {
				if got := s.Examine(t.Context(), letter()); got[0].Defer {
					mu.Lock()
					deferred++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if most != 2 || deferred < 16 || deferred > 24 || s.Status().State != Working {
			t.Errorf("%d at once, %d have to come again, %+v", most, deferred, s.Status())
		}
	})
}

// What is on trial is told, and comes to nothing.
func TestTestOnly(t *testing.T) {
	t.Parallel()
	trial := func(c *Config) { c.TestOnly = true }
	s, _, _ := newFake(says(finding{virus: "Eicar"}, nil), trial)
	if got := s.Examine(t.Context(), letter()); !got[0].Test {
		t.Errorf("%+v", got)
	}
	s, _, _ = newFake(says(finding{}, io.ErrUnexpectedEOF), trial)
	if got := s.Examine(t.Context(), letter()); got[0].Defer || !got[0].Test {
		t.Errorf("%+v", got)
	}
}

// What a stranger says of himself makes no field of its own.
func TestTrace(t *testing.T) {
	t.Parallel()
	l := letter()
	l.Client.Helo, l.Now = "evil\r\nX-Spam: no (", time.Unix(0, 0).UTC()
	want := "Return-Path: <>\r\nReceived: from evil??X-Spam:?no?? (unknown [192.0.2.1])\r\n\tby mail.example.org (facteur) with ESMTP;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
	if got := trace(l, "mail.example.org"); got != want {
		t.Errorf("%q", got)
	}
}

// Scanners that are as before keep what they know.
func TestConfigure(t *testing.T) {
	t.Parallel()
	all := NewScanners(&told{})
	a, b := Config{Name: "a", Kind: Clamd}, Config{Name: "b", Kind: Rspamd}
	first := all.Configure([]Config{a, b})
	b.Weight = 2
	second := all.Configure([]Config{b, a})
	if second[1] != first[0] || second[0] == first[1] || len(all.Asked(t.Context())) != 2 {
		t.Errorf("%+v", all.Asked(t.Context()))
	}
}
