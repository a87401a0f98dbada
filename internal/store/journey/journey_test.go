package journey

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// step is an event that is a step and nothing else.
type step event.Step

func (s step) Step() event.Step                  { return event.Step(s) }
func (step) Level() slog.Level                   { return slog.LevelInfo }
func (step) Record() (string, []slog.Attr)       { return "", nil }
func (step) Line() (program string, text string) { return "", "" }

// ear hears events.
type ear struct {
	mu    sync.Mutex
	heard []event.Event
}

func (l *ear) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, e)
}

var generous = Limits{Days: 14, MaxSize: 1 << 30}

func open(t testing.TB, fs vfs.FS, dir string, l Limits, events event.Sink) *Store {
	t.Helper()
	s, err := Open(fs, dir, l, events)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// story writes steps, closes, and gives the directory.
func story(t *testing.T, steps ...step) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journey")
	s := open(t, vfs.OS{}, dir, generous, event.Discard)
	for _, x := range steps {
		s.Emit(x)
	}
	s.Close()
	return dir
}

func find(t *testing.T, dir string, q Query) Found {
	t.Helper()
	f, err := Search(t.Context(), vfs.OS{}, dir, q)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// told is the sentences of what was found, a line for each group.
func told(f Found) string {
	var lines []string
	for _, g := range f.Groups {
		var words []string
		for _, e := range g.Steps {
			words = append(words, e.Sentence)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

var client = event.Client{Name: "mx.example.com", Addr: netip.MustParseAddr("192.0.2.1")}

// week is three letters, their notice, and a session that was refused.
func week() []step {
	return []step{
		{Kind: event.Connected, Session: "s1", Client: client, Sentence: "connect1"},
		{Kind: event.Refused, Session: "s1", Client: client, Sender: "spam@evil.example", Recipients: []string{"nobody@example.org"}, Sentence: "refuse1"},
		{Kind: event.Refused, Session: "s1", Client: client, Sender: "spam@evil.example", Recipients: []string{"other@example.org"}, Sentence: "refuse2"},
		{Kind: event.Connected, Session: "s2", Client: client, Sentence: "connect2"},
		{Kind: event.Accepted, Item: "A1", Session: "s2", Client: client, Sender: "Carol@Example.COM", Recipients: []string{"alice@example.org", "bob@remote.example"}, MessageID: "<1@example.com>", Sentence: "accept1"},
		{Kind: event.Accepted, Item: "A2", Session: "s2", Client: client, Sender: "carol@example.com", Recipients: []string{"bob@remote.example"}, MessageID: `<"2"@example.com>`, Sentence: "accept2"},
		{Kind: event.Ended, Session: "s2", Client: client, Sentence: "lost2"},
		{Kind: event.Delivered, Item: "A1", Recipients: []string{"alice@example.org"}, Sentence: "deliver1"},
		{Kind: event.Bounced, Item: "A2", Recipients: []string{"bob@remote.example"}, Sentence: "bounce2"},
		{Kind: event.Notified, Item: "A2", Related: "A3", Sentence: "notice2"},
		{Kind: event.Delivered, Item: "A3", Recipients: []string{"carol@example.com"}, Sentence: "deliver3"},
		{Kind: event.Bounced, Item: "A1", Recipients: []string{"bob@remote.example"}, Sentence: "bounce1"},
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	dir := story(t, week()...)
	one := "accept1 deliver1 bounce1"
	two := "accept2 bounce2 notice2\ndeliver3"
	for word, want := range map[string]string{
		"A1":                   "connect2 " + "accept1 lost2 deliver1 bounce1",
		"a1":                   "connect2 accept1 lost2 deliver1 bounce1",
		"A2":                   "connect2 accept2 lost2 bounce2 notice2\ndeliver3",
		"A3":                   "connect2 accept2 lost2 bounce2 notice2\ndeliver3",
		"<1@EXAMPLE.com>":      "connect2 accept1 lost2 deliver1 bounce1",
		`"2"@example.com`:      "connect2 accept2 lost2 bounce2 notice2\ndeliver3",
		"alice@example.org":    "connect2 accept1 lost2 deliver1 bounce1",
		"ALICE@example.org":    "connect2 accept1 lost2 deliver1 bounce1",
		"bob@remote.example":   "connect2 lost2\n" + one + "\n" + two,
		"@remote.example":      "connect2 lost2\n" + one + "\n" + two,
		"remote.example":       "connect2 lost2\n" + one + "\n" + two,
		"nobody@example.org":   "connect1 refuse1",
		"spam@evil.example":    "connect1 refuse1 refuse2",
		"evil.example":         "connect1 refuse1 refuse2",
		"s1":                   "connect1 refuse1 refuse2",
		"192.0.2.1":            "connect1 refuse1 refuse2\nconnect2 lost2\n" + one + "\n" + two,
		"mx.example.com":       "connect1 refuse1 refuse2\nconnect2 lost2\n" + one + "\n" + two,
		"lice@example.org":     "",
		"1":                    "",
		"":                     "",
		"<>":                   "",
		"accept1":              "",
		"A1\",\"session\":\"s": "",
	} {
		if got := told(find(t, dir, Query{Words: []string{word}})); got != want {
			t.Errorf("%q:\n got %s\nwant %s", word, strings.ReplaceAll(got, "\n", " | "), strings.ReplaceAll(want, "\n", " | "))
		}
	}
	if f := find(t, dir, Query{Words: []string{"bob@remote.example"}, Most: 1}); !f.More || f.Groups[0].Item != "A1" {
		t.Errorf("the newest one only: %+v", f)
	}
	for name, q := range map[string]Query{
		"since": {Words: []string{"A1"}, Since: time.Now().Add(time.Hour)},
		"until": {Words: []string{"A1"}, Until: time.Now().Add(-time.Hour)},
	} {
		if f := find(t, dir, q); len(f.Groups) != 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := find(t, filepath.Join(dir, "absent"), Query{Words: []string{"A1"}}); len(f.Groups) != 0 {
		t.Errorf("%+v", f)
	}
}

// INV-09: what peers send does not leave its field, its line or its bounds.
func TestHostileValuesStayInTheirField(t *testing.T) {
	t.Parallel()
	evil := "x\",\"item\":\"A9\"}\r\n{\"t\":\"2020\u2028\x00\x1b[2J\\\xff" + strings.Repeat("y", 1<<20)
	many := slices.Repeat([]string{evil}, 1000)
	line := appendStep(nil, time.Now(), &event.Step{Kind: event.Refused, Item: evil, Related: evil, Session: evil, Service: evil,
		Client: event.Client{Name: evil, Addr: netip.MustParseAddr("fe80::1%" + "eth0")}, Helo: evil, Account: evil, Sender: evil, Recipients: many,
		MessageID: evil, Rule: evil, Reply: evil, Sentence: evil})
	if bytes.Count(line, []byte("\n")) != 1 || bytes.ContainsAny(line, "\r\x00\x1b\u2028") || len(line) > 16<<10 {
		t.Errorf("%d bytes: %.200q", len(line), line)
	}
	e, ok := parseEntry(line)
	if !ok || e.Kind != event.Refused || len(e.To) != recipientsMax || e.Addr != "fe80::1" || !strings.HasPrefix(e.Item, `x","item":"A9"}??{"t":"2020???[2J\?yyy`) {
		t.Errorf("%v %+v", ok, e)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("A1", "s1", "a@b", "text")
	f.Add(`"`, `\`, "\n", "\u2028")
	f.Fuzz(func(t *testing.T, item, session, sender, text string) {
		in := event.Step{Kind: event.Accepted, Item: item, Session: session, Sender: sender, Sentence: text}
		line := appendStep(nil, time.Now(), &in)
		e, ok := parseEntry(line)
		if !ok || !json.Valid(line) || bytes.IndexByte(line, '\n') != len(line)-1 || e.Item != event.Clean(item, wordMax) || e.Sentence != event.Clean(text, sentenceMax) {
			t.Errorf("%q %+v", line, e)
		}
		if h := parseHead(line); item != "" && !strings.ContainsAny(item, `"\`) && string(h.item) != e.Item {
			t.Errorf("head %q of %q", h.item, line)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"t":"2026-11-22T00:00:00Z","item":"A1","kind":"x"}`))
	f.Add([]byte(`{"t":"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		parseHead(line)
		parseEntry(line)
		s := newSought("a1")
		s.mayMatch(line, make([]byte, lineMost))
	})
}

// A torn line, noise and lines without end hide nothing else.
func TestWhatIsNoLineIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := story(t, week()...)
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	whole, _ := os.ReadFile(files[0])
	noise := "\x00\xff noise A1\n" + strings.Repeat("A1 ", lineMost) + "\n" + `{"t":"x","item":"A1","kind":7}` + "\n"
	for cut := range len(whole) {
		if cut%97 != 0 {
			continue
		}
		if err := os.WriteFile(files[0], append([]byte(noise), whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		want := bytes.Count(whole[:cut], []byte(`"item":"A1"`)) // the last of them may be torn
		n := 0
		for _, g := range find(t, dir, Query{Words: []string{"A1"}}).Groups {
			for _, e := range g.Steps {
				if e.Item == "A1" {
					n++
				}
			}
		}
		if n != want && n != want-1 {
			t.Errorf("cut at %d: %d steps, want %d", cut, n, want)
		}
	}
}

// A new process begins a new segment; old and large ones go, whatever else is there
// stays.
func TestSegmentsComeAndGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now().UTC()
	day := func(ago int) string { return now.AddDate(0, 0, -ago).Format(dayForm) }
	for _, name := range []string{day(3) + ".jsonl", day(2) + ".jsonl", day(0) + ".jsonl", day(0) + ".10.jsonl", day(0) + ".1.jsonl", "notes.jsonl", day(9) + ".txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := segments{fs: vfs.OS{}, dir: dir}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(files.write([]byte("x\n"), Limits{Days: 2, MaxSize: 1 << 20}, now))
	if want := day(0) + ".11.jsonl"; files.current.name() != want {
		t.Errorf("%s, want %s", files.current.name(), want)
	}
	got, err := list(vfs.OS{}, dir)
	must(err)
	if want := []segment{{day(2), 1}, {day(0), 1}, {day(0), 10}, {day(0), 11}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	block := bytes.Repeat([]byte("y\n"), 20<<10)
	for range 100 {
		must(files.write(block, Limits{Days: 2, MaxSize: 1 << 20}, now))
	}
	files.close()
	got, err = list(vfs.OS{}, dir)
	must(err)
	var sum int64
	for _, x := range got {
		info, err := os.Stat(filepath.Join(dir, x.name()))
		must(err)
		sum += info.Size()
	}
	if sum > 1<<20+1<<20/parts+int64(len(block)) || sum < 1<<19 {
		t.Errorf("%d bytes in %d segments", sum, len(got))
	}
	for _, name := range []string{"notes.jsonl", day(9) + ".txt", day(0) + ".1.jsonl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// A full disk costs steps, and says so; it costs no mail, and no wait.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		disk.Inject(vfs.Fault{Op: vfs.OpWrite, Nth: 1, For: 3, Err: syscall.ENOSPC, Short: true})
		var log ear
		s := open(t, disk, "/journey", generous, &log)
		for i := range 5 {
			s.Emit(step{Kind: event.Accepted, Item: fmt.Sprint("A", i), Sentence: "accepted"})
			time.Sleep(time.Second)
		}
		s.Close()
		if len(log.heard) != 1 || !strings.Contains(fmt.Sprint(log.heard[0].Line()), "no space left") {
			t.Errorf("the log heard %v", log.heard)
		}
		f, err := Search(t.Context(), disk, "/journey", Query{Words: []string{"A3", "A4"}})
		if err != nil || told(f) != "accepted\naccepted" {
			t.Errorf("%v %+v", err, f)
		}
		if gaps := grep(t, disk, `"kind":"missed"`); len(gaps) != 1 || !strings.Contains(gaps[0], "3 steps") {
			t.Errorf("gaps: %q", gaps)
		}
	})
}

// A disk that stays full fills with segments no more than with steps: each write
// would leave an empty one, and the next read all their names.
func TestDiskThatStaysFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		disk.Inject(vfs.Fault{Op: vfs.OpWrite, Nth: 1, For: 50, Err: syscall.ENOSPC})
		s := open(t, disk, "/journey", generous, &ear{})
		for range 60 {
			s.Emit(step{Kind: event.Accepted, Item: "A", Sentence: "accepted"})
			time.Sleep(time.Second)
		}
		s.Close()
		all, err := list(disk, "/journey")
		if err != nil || len(all) != 1 {
			t.Errorf("%d segments, %v", len(all), err)
		}
		if gaps := grep(t, disk, `"kind":"missed"`); len(gaps) != 1 || !strings.Contains(gaps[0], "50 steps") {
			t.Errorf("gaps: %q", gaps)
		}
	})
}

func grep(t *testing.T, fs vfs.FS, text string) (lines []string) {
	t.Helper()
	all, err := list(fs, "/journey")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		b, err := vfs.ReadFile(fs, "/journey/"+x.name(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// A disk that hangs bounds the memory, and holds up nobody.
func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	s := &Store{work: make(chan struct{}, 1), urgent: make(chan struct{}, 1)} // nobody writes
	line := bytes.Repeat([]byte("x"), 10<<10)
	for range 2000 {
		s.add(line)
	}
	if len(s.pending) > pendingMax || s.missed != 2000-len(s.pending)/len(line) || s.missed == 0 {
		t.Errorf("%d bytes pending, %d missed", len(s.pending), s.missed)
	}
}

// Nothing is lost between many who tell at once, and steps of one keep their order.
func TestManyTellAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journey")
	s := open(t, vfs.OS{}, dir, generous, event.Discard)
	const tellers, each = 50, 200
	var wg sync.WaitGroup
	for g := range tellers {
		wg.Go(func() {
			for i := range each {
				s.Emit(step{Kind: event.Deferred, Item: fmt.Sprint("A", g), Sentence: fmt.Sprint(i)})
			}
		})
	}
	wg.Wait()
	s.Close()
	s.Emit(step{Kind: event.Deferred, Item: "A0", Sentence: "too late"})
	for _, g := range []string{"A0", "A49"} {
		steps := find(t, dir, Query{Words: []string{g}}).Groups[0].Steps
		if len(steps) != each {
			t.Errorf("%s: %d steps", g, len(steps))
		}
		for i, e := range steps {
			if e.Sentence != fmt.Sprint(i) {
				t.Errorf("%s: step %d is %s", g, i, e.Sentence)
				break
			}
		}
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := story(t, week()...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Search(ctx, vfs.OS{}, dir, Query{Words: []string{"A1"}}); err != context.Canceled {
		t.Error(err)
	}
}

// What a step costs whoever tells it, with 100 at it.
func BenchmarkEmit(b *testing.B) {
	s := open(b, vfs.OS{}, b.TempDir(), generous, event.Discard)
	var e event.Event = step{Kind: event.Accepted, Item: "64F1A2B3C4D5E", Session: "0123456789abcdef", Service: "smtp", Client: client,
		Helo: "mx.example.com", Sender: "carol@example.com", Recipients: []string{"alice@example.org"}, MessageID: "<20261122030311.GA1234@example.com>",
		Sentence: "mx.example.com [192.0.2.1] delivered a message of 10240 bytes from <carol@example.com> to <alice@example.org>; it is in the queue as 64F1A2B3C4D5E."}
	b.ReportAllocs()
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Emit(e)
		}
	})
	b.ReportMetric(float64(s.missed), "missed")
}

func BenchmarkSearch(b *testing.B) {
	dir := b.TempDir()
	var lines []byte
	for i := range 200_000 {
		lines = appendStep(lines, time.Now(), &event.Step{Kind: event.Accepted, Item: fmt.Sprintf("A%X", i), Session: fmt.Sprintf("S%X", i), Service: "smtp", Client: client,
			Helo: "mx.example.com", Sender: "carol@example.com", Recipients: []string{"alice@example.org"}, Sentence: "delivered a message"})
	}
	if err := os.WriteFile(filepath.Join(dir, "2026-11-22.jsonl"), lines, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		if f, err := Search(b.Context(), vfs.OS{}, dir, Query{Words: []string{"A30D3F"}}); err != nil || len(f.Groups) != 1 {
			b.Fatal(err, len(f.Groups))
		}
	}
}
