package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"facteur/internal/test/doubling"
)

// naive is the DATA grammar as plainly as it can be said: find the first
// CRLF.CRLF (the CRLF before the dot may be that of the DATA command), drop one
// dot from each line that starts with one.
func naive(stream string) (msg string, rest string, fault DataError, ended bool) {
	s := "\r\n" + stream
	end := strings.Index(s, "\r\n.\r\n")
	if end < 0 {
		return "", "", fault, false
	}
	raw := s[:end+2]
	rest = s[end+5:]
	msg = strings.ReplaceAll(raw, "\r\n.", "\r\n")[2:]
	bare := strings.ReplaceAll(raw, "\r\n", "")
	fault.BareLF = strings.Contains(bare, "\n")
	fault.BareCR = strings.Contains(bare, "\r")
	fault.NUL = strings.Contains(bare, "\x00")
	return msg, rest, fault, true
}

// bites gives its text in pieces of the given sizes, then of the last size.
type bites struct {
	text  string
	sizes []int
}

func (b *bites) Read(p []byte) (int, error) {
	if b.text == "" {
		return 0, io.EOF
	}
	n := min(len(p), len(b.text), max(b.sizes[0], 1))
	if len(b.sizes) > 1 {
		b.sizes = b.sizes[1:]
	}
	copy(p, b.text[:n])
	b.text = b.text[n:]
	return n, nil
}

// readData reads one message with a reader and a destination of given sizes.
func readData(stream string, sizes []int, buffer, dst int, limit int64) (msg, rest string, fault DataError, err error) {
	r := bufio.NewReaderSize(&bites{stream, sizes}, buffer)
	var d Data
	d.Reset(r, limit)
	var b strings.Builder
	p := make([]byte, dst)
	for err == nil {
		var n int
		n, err = d.Read(p)
		b.Write(p[:n])
	}
	if _, again := d.Read(p); again != err {
		panic("the end was not the end")
	}
	var de *DataError
	if errors.As(err, &de) {
		fault, err = *de, nil
	} else if err == io.EOF {
		err = nil
	}
	left, _ := io.ReadAll(r)
	return b.String(), string(left), fault, err
}

// checkData compares Data with naive.
func checkData(t *testing.T, stream string, sizes []int, buffer, dst int) {
	t.Helper()
	msg, rest, fault, ended := naive(stream)
	gotMsg, gotRest, gotFault, err := readData(stream, sizes, buffer, dst, 1<<40)
	if !ended {
		if err != io.ErrUnexpectedEOF {
			t.Fatalf("%q in %v: no end, but got %v", stream, sizes, err)
		}
		return
	}
	if err != nil || gotMsg != msg || gotRest != rest || gotFault != fault {
		t.Fatalf("%q in %v:\n got %q rest %q %+v %v\nwant %q rest %q %+v", stream, sizes,
			gotMsg, gotRest, gotFault, err, msg, rest, fault)
	}
}

func TestData(t *testing.T) {
	for _, c := range []struct{ name, in, msg, rest string }{
		{"SMTP-007 empty", ".\r\n", "", ""},
		{"SMTP-007 empty line", "\r\n.\r\nNOOP\r\n", "\r\n", "NOOP\r\n"},
		{"SMTP-007 dots", "..\r\n...\r\n.x\r\nx.\r\n.\r\nQUIT", ".\r\n..\r\nx\r\nx.\r\n", "QUIT"},
		{"twice", "a\r\n.\r\n.\r\n", "a\r\n", ".\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			msg, rest, fault, err := readData(c.in, []int{1000}, 4096, 4096, 1<<20)
			if msg != c.msg || rest != c.rest || err != nil || fault != (DataError{}) {
				t.Errorf("got %q rest %q %v %v", msg, rest, fault, err)
			}
		})
	}
}

// smuggled are ends of data that are none, and that some server took for one.
var smuggled = []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\r\n.\r\r\n", "\r\n\x00.\r\n",
	"\n\n.\r\n", "\r\n.\r.\r\n", "\r\n.\r\r\n", "\r\n.\x00\r\n", "\r\n. \r\n"}

func TestSmuggling(t *testing.T) {
	for _, end := range smuggled {
		stream := "one" + end + "MAIL FROM:<evil@x>\r\n.\r\nNOOP\r\n"
		t.Run("SMTP-002 "+strings.Trim(escape(end), `"`), func(t *testing.T) {
			checkData(t, stream, []int{len(stream)}, 4096, 4096)
			msg, rest, fault, err := readData(stream, []int{1}, 16, 1, 1<<20)
			if err != nil || rest != "NOOP\r\n" || !strings.Contains(msg, "MAIL FROM") {
				t.Errorf("ended early: %q rest %q %v", msg, rest, err)
			}
			if fault == (DataError{}) && end != "\r\n. \r\n" {
				t.Error("no fault was found")
			}
			if fault != (DataError{}) && fault.Reply().Code != 550 {
				t.Error(fault.Reply())
			}
		})
	}
}

func escape(s string) string {
	return strings.NewReplacer("\r", "CR", "\n", "LF", "\x00", "NUL").Replace(s)
}

// TestDataSegments is SMTP-003: every split in two of every short stream over
// the alphabet that matters, byte by byte, and around buffer sizes.
func TestDataSegments(t *testing.T) {
	alphabet := "\r\n.a\x00"
	depth := 6
	if testing.Short() {
		depth = 4
	}
	var all func(prefix string)
	all = func(prefix string) {
		stream := prefix + "\r\n.\r\nX"
		checkData(t, stream, []int{1}, 16, 1)
		checkData(t, stream, []int{len(stream)}, 16, 3)
		for i := 1; i < len(stream); i++ {
			checkData(t, stream, []int{i, len(stream)}, 32, 64)
		}
		if len(prefix) < depth {
			for _, c := range alphabet {
				all(prefix + string(c))
			}
		}
	}
	all("")
	for _, end := range append(smuggled, "\r\n..\r\n") {
		for n := 4080; n < 4100; n++ {
			stream := strings.Repeat("x", n) + end + "y\r\n.\r\nX"
			checkData(t, stream, []int{4096}, 4096, 4096)
			checkData(t, stream, []int{4095, 1, 1, 1, 4096}, 4096, 512)
		}
	}
}

func TestDataLimit(t *testing.T) {
	body := strings.Repeat("0123456789\r\n", 1000)
	for _, limit := range []int64{0, 1, 100, int64(len(body)) - 1} {
		msg, rest, fault, err := readData(body+".\r\nQUIT", []int{700}, 1024, 333, limit)
		if msg != body[:limit] || rest != "QUIT" || !fault.TooBig || err != nil || fault.Reply().Code != 552 {
			t.Errorf("SMTP-025 limit %d: %d bytes, rest %q, %+v, %v", limit, len(msg), rest, fault, err)
		}
	}
	if _, _, fault, err := readData(body+".\r\n", []int{700}, 1024, 333, int64(len(body))); fault.TooBig || err != nil {
		t.Error("a message of just the limit is too big", err)
	}
	_, _, _, err := readData(strings.Repeat(body, 100), []int{4096}, 4096, 4096, 10)
	if err != ErrDataEndless {
		t.Error("endless data gave", err)
	}
}

func TestDataLost(t *testing.T) {
	for _, s := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r"} {
		if _, _, _, err := readData(s, []int{1}, 16, 16, 100); err != io.ErrUnexpectedEOF {
			t.Errorf("SMTP-040 %q: %v", s, err)
		}
	}
	var d Data
	d.Reset(bufio.NewReader(iotest.ErrReader(io.ErrClosedPipe)), 100)
	if _, err := d.Read(make([]byte, 1)); err != io.ErrClosedPipe || d.Ended() {
		t.Error(err)
	}
}

// TestDotWriter: what is written comes out of Data as it went in, line endings
// mended, whatever the pieces.
func TestDotWriter(t *testing.T) {
	mend := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n")
	for _, msg := range []string{"", "a", "a\r\n", ".", ".\r\n", "\r\n.\r\n", "a\n.\nb", "a\r.\rb\r", "..\r\n.a\n", "a\r\n\r\n", "\r\r\n\n"} {
		want := mend.Replace(msg)
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		for size := 1; size <= len(msg)+1; size++ {
			var b bytes.Buffer
			w := NewDotWriter(&b)
			if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{strings.NewReader(msg)}, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, rest, fault, err := readData(b.String(), []int{100}, 4096, 4096, 1<<20)
			if got != want || rest != "" || fault != (DataError{}) || err != nil {
				t.Errorf("SMTP-008 %q by %d: sent %q, read %q rest %q %v %v", msg, size, b.String(), got, rest, fault, err)
			}
		}
	}
}

func FuzzData(f *testing.F) {
	for i, s := range smuggled {
		f.Add("x"+s+"y\r\n.\r\nNOOP\r\n", uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream string, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		sizes := make([]int, 1+rng.IntN(20))
		for i := range sizes {
			sizes[i] = 1 + rng.IntN(40)
		}
		checkData(t, stream, sizes, 16+rng.IntN(100), 1+rng.IntN(100))
	})
}

func FuzzDotWriter(f *testing.F) {
	f.Add("a\n.\nb", 2)
	f.Fuzz(func(t *testing.T, msg string, cut int) {
		var b bytes.Buffer
		w := NewDotWriter(&b)
		cut = min(max(cut, 0), len(msg))
		w.Write([]byte(msg[:cut]))
		w.Write([]byte(msg[cut:]))
		w.Close()
		got, rest, fault, err := readData(b.String(), []int{7}, 64, 64, 1<<30)
		if rest != "" || fault.BareCR || fault.BareLF || err != nil {
			t.Fatalf("%q went out as %q", msg, b.String())
		}
		strip := func(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }
		if strip(got) != strip(msg) {
			t.Fatalf("%q came out as %q", msg, got)
		}
	})
}

// TestDataDoubles: twice the message takes about twice the time, for the kinds
// of text that cost most.
func TestDataDoubles(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for _, unit := range []string{"x", "\r\n", ".\r\n.", "\r", "\n", "\r\n.", "some text in a line as it comes\r\n"} {
		doubling.Check(t, unit, 1<<19, func(n int) func() {
			stream := strings.Repeat(unit, n/len(unit)) + "\r\n.\r\n"
			return func() {
				var d Data
				d.Reset(bufio.NewReaderSize(strings.NewReader(stream), 16<<10), 1<<40)
				io.Copy(io.Discard, struct{ io.Reader }{&d})
			}
		})
	}
}

func BenchmarkData10K(b *testing.B) {
	stream := strings.Repeat("some text in a line as it comes in an ordinary letter, of 70 octets.\r\n", 146) + ".\r\n"
	src := strings.NewReader(stream)
	r := bufio.NewReaderSize(src, 16<<10)
	var d Data
	p := make([]byte, 32<<10)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(stream)
		r.Reset(src)
		d.Reset(r, 1<<30)
		for {
			if _, err := d.Read(p); err != nil {
				break
			}
		}
	}
}
