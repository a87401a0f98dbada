package mbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"facteur/internal/test/doubling"
)

type read struct {
	from, text string
	marks      Marks
	received   time.Time
}

func readAll(t testing.TB, in io.Reader) (list []read, base Base, err error) {
	t.Helper()
	r := NewReader(in, nil)
	for {
		l, err := r.Next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return list, r.Base(), err
		}
		text, err := io.ReadAll(l)
		if err != nil {
			return list, r.Base(), err
		}
		list = append(list, read{l.From, string(text), l.Marks, l.Received})
	}
}

func texts(list []read) string {
	var out []string
	for _, l := range list {
		out = append(out, strings.ReplaceAll(l.text, "\r\n", "|"))
	}
	return strings.Join(out, "#")
}

func TestRead(t *testing.T) {
	t.Parallel()
	const from = "From a@b Thu Nov 24 18:22:48 1986\n"
	for _, x := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"one", from + "Subject: a\n\nbody\n\n", "Subject: a||body|"},
		{"two", from + "A: 1\n\nx\n\n" + from + "A: 2\n\ny\n\n", "A: 1||x|#A: 2||y|"},
		{"CRLF", strings.ReplaceAll(from+"A: 1\n\nx\n\n"+from+"A: 2\n\ny\n\n", "\n", "\r\n"), "A: 1||x|#A: 2||y|"},
		{"no empty line at the end", from + "A: 1\n\nx", "A: 1||x"},
		{"empty lines before", "\n\n" + from + "A: 1\n\nx\n\n", "A: 1||x|"},
		{"empty body", from + "A: 1\n\n" + from + "A: 2\n\n", "A: 1||#A: 2||"},
		{"no body and no empty line", from + "A: 1\n" + from + "A: 2\n\n", "A: 1|#A: 2||"},
		{"empty lines are the body's", from + "A: 1\n\nx\n\n\n\n" + from + "A: 2\n\n", "A: 1||x|||#A: 2||"},
		{"text that says From", from + "A: 1\n\nx\n\nFrom here on it goes\n\n", "A: 1||x||From here on it goes|"},
		{"a From line in the midst of text", from + "A: 1\n\nx\n" + from + "\n", "A: 1||x|" + strings.TrimSpace(from) + "|"},
		{"mboxrd", from + "A: 1\n\n>From x\n>>From y\n> From\n\n", "A: 1||From x|>From y|> From|"},
		{"the first line is broken", "From \nA: 1\n\nx\n\n", "A: 1||x|"},
		{"remote from", "From uucp!a Thu Nov 24 18:22:48 1986 remote from b\nA: 1\n\n", "A: 1||"},
		{"content length of mboxcl2", from + "Content-Length: 30\n\nx\n\nFrom here\n>From there\nend.\n\n" + from + "A: 2\n\n", "|x||From here|>From there|end.|#A: 2||"},
		{"a From line inside of a content length", from + "Content-Length: " + fmt.Sprint(len(from)+3) + "\n\nx\n\n" + from + "\n" + from + "A: 2\n\n", "|x||" + strings.TrimSpace(from) + "|#A: 2||"},
		{"content length that lies", from + "Content-Length: 4\n\nx and y\n\n" + from + "A: 2\n\n", "|x and y|#A: 2||"},
		{"content length beyond the end", from + "Content-Length: 4000000000000\n\nx\n\n", "|x|"},
		{"content length to the end", from + "Content-Length: 2\n\nx\n", "|x|"},
		{"internal data of UW-IMAP", from + "X-IMAP: 12 34\nSubject: DON'T DELETE\n\nx\n\n" + from + "A: 2\n\n", "A: 2||"},
	} {
		t.Run(x.name, func(t *testing.T) {
			list, _, err := readAll(t, strings.NewReader(x.in))
			if got := texts(list); got != x.want || err != nil {
				t.Errorf("got %q %v\nwant %q", got, err, x.want)
			}
			if strings.Contains(x.name, "content length") {
				return // needs io.ReaderAt
			}
			list, _, err = readAll(t, iotest.OneByteReader(strings.NewReader(x.in)))
			if got := texts(list); got != x.want || err != nil {
				t.Errorf("byte by byte: %q %v", got, err)
			}
		})
	}
	if _, _, err := readAll(t, strings.NewReader("\x7fELF")); !errors.Is(err, ErrNotMbox) {
		t.Errorf("another file: %v", err)
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	in := "From a Thu Nov 24 18:22:48 1986\nX-IMAPbase: 1700000000 0000000042 Work $Forwarded\nStatus: RO\nX-Status: AFT\nX-Keywords: Work\n  Other\nX-UID: 41\nSubject: a\n b\n\nx\n\n"
	list, base, err := readAll(t, strings.NewReader(in))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	m := list[0].marks
	if got := fmt.Sprintf("%+v", m); got != "{Seen:true Answered:true Flagged:true Deleted:false Draft:true Old:true Keywords:[Work Other] UID:41 internal:false}" {
		t.Error(got)
	}
	if list[0].text != "Subject: a\r\n b\r\n\r\nx\r\n" || fmt.Sprint(base) != "{1700000000 42 [Work $Forwarded]}" {
		t.Errorf("%q %v", list[0].text, base)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a@b Thu Nov 24 18:22:48 1986":             "1986-11-24T18:22:48Z",
		"a@b Sat Jan  3 01:05:34 1996":             "1996-01-03T01:05:34Z",
		"a@b Thu Nov 24 18:22 1986":                "1986-11-24T18:22:00Z",
		"a@b Thu Nov 24 18:22:48 EST 1986":         "1986-11-24T18:22:48Z",
		"a@b Thu Nov 24 18:22:48 1986 -0500":       "1986-11-24T18:22:48-05:00",
		"a@b Thu Nov 24 18:22:48 +0100 1986":       "1986-11-24T18:22:48+01:00",
		"a b c Thu Nov 24 18:22:48 1986 remote ab": "1986-11-24T18:22:48Z",
		"here on it goes":                          "",
		"a@b Thu Nov 44 18:22:48 1986":             "",
		"a@b":                                      "",
	} {
		got, ok := fromDate(in, time.UTC)
		if text := got.Format(time.RFC3339); ok != (want != "") || ok && text != want {
			t.Errorf("%q: %s %v, want %s", in, text, ok, want)
		}
	}
}

// What is written reads the same, whatever it is.
func FuzzRoundTrip(f *testing.F) {
	f.Add("Subject: a\r\n\r\nFrom x\r\n>From y\r\n\r\n", "A: 1\r\n\r\n\r\n")
	f.Add("A: 1", "From a Thu Nov 24 18:22:48 1986\n\nFrom a Thu Nov 24 18:22:48 1986\n")
	f.Add("\r\n\r\rx", "Status: R\n\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ReplaceAll(a, "\r", ""), strings.ReplaceAll(b, "\r", "") // a bare CR may become a line's end
		var out bytes.Buffer
		w := NewWriter(&out)
		o := Outgoing{Sender: "a@b", Received: time.Unix(1e9, 0), Marks: Marks{Seen: true, UID: 3}, Base: Base{Validity: 9, LastUID: 3}}
		for _, text := range []string{a, b} {
			if err := w.Write(o, strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		list, _, err := readAll(t, bytes.NewReader(out.Bytes()))
		if err != nil || len(list) != 2 {
			t.Fatalf("%d letters, %v, of\n%q", len(list), err, out.String())
		}
		for _, l := range list {
			if !l.marks.Seen || l.received.Unix() != 1e9 {
				t.Errorf("%+v of %q", l, out.String())
			}
		}
		// Once more, and nothing changes any more.
		var again bytes.Buffer
		w = NewWriter(&again)
		for _, l := range list {
			w.Write(o, strings.NewReader(l.text))
		}
		w.Flush()
		if again.String() != out.String() {
			t.Errorf("second time\n%q\nfirst time\n%q", again.String(), out.String())
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("From a Thu Nov 24 18:22:48 1986\nContent-Length: 3\n\nx\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		list, _, err := readAll(t, bytes.NewReader(in))
		var sum int
		for _, l := range list {
			sum += len(l.text)
		}
		if err == nil && sum > 2*len(in)+4 {
			t.Errorf("%d bytes of %d", sum, len(in))
		}
	})
}

// A line of 64 MB takes no more memory than one of 64 bytes.
func TestLongLine(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	head := "From a Thu Nov 24 18:22:48 1986\nSubject: a\n\n"
	in := io.MultiReader(strings.NewReader(head), io.LimitReader(endless('x'), size), strings.NewReader("\n\n"+head+"y\n"))
	r := NewReader(in, nil)
	n := 0
	for {
		l, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		m, _ := io.Copy(io.Discard, l)
		n += int(m)
		if cap(l.out) > 2*bufferSize {
			t.Fatalf("%d bytes in memory", cap(l.out))
		}
	}
	if n < size || n > size+100 {
		t.Errorf("%d bytes of %d", n, size)
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// Content-Length is heeded in files.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mbox")
	from := "From a Thu Nov 24 18:22:48 1986\n"
	os.WriteFile(path, []byte(from+"Content-Length: 38\n\n\n"+from+"text\n\n"+from+"A: 2\n\n"), 0o600)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, _, err := readAll(t, f)
	if err != nil || len(list) != 2 {
		t.Errorf("%v %v", list, err)
	}
}

// TestDoubling: INV-16.
func TestDoubling(t *testing.T) {
	const from = "From a@b Thu Nov 24 18:22:48 1986\n"
	for name, input := range map[string]func(n int) string{
		"letters":          func(n int) string { return strings.Repeat(from+"Subject: x\nX-UID: 4\n\ntext\n\n", n) },
		"fields":           func(n int) string { return from + strings.Repeat("X-Keywords: a\n", n) + "\nx\n" },
		"a long field":     func(n int) string { return from + "X: " + strings.Repeat("abcdefgh\n ", n) + "\n\nx\n" },
		"quoted lines":     func(n int) string { return from + "\n" + strings.Repeat(">>>From x\n", n) },
		"empty lines":      func(n int) string { return from + "\n" + strings.Repeat("\n\n\n\n", n) },
		"no From lines":    func(n int) string { return from + "\n" + strings.Repeat("\nFrom x\n", n) },
		"a long line":      func(n int) string { return from + "\n" + strings.Repeat(">\r\r\r\r", n) },
		"different words":  func(n int) string { return from + "X-Keywords:" + words(n) + "\n\nx\n" },
		"words of letters": func(n int) string { return strings.Repeat(from+"X-Keywords:"+words(50)+"\n\nx\n\n", n/50) },
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Check(t, name, 10_000, func(n int) func() {
				text := input(n)
				return func() { readAll(t, strings.NewReader(text)) }
			})
		})
	}
}

func words(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, " w%d", i)
	}
	return out.String()
}
