package inflate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// pack compresses with the standard library.
func pack(t testing.TB, level int, pieces ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		w.Write(p)
		w.Flush()
	}
	w.Close()
	return out.Bytes()
}

func samples() map[string][]byte {
	random := make([]byte, 100_000)
	rng := rand.NewChaCha8([32]byte{7})
	rng.Read(random)
	few := bytes.Clone(random)
	for i := range few {
		few[i] &= 7
	}
	return map[string][]byte{
		"nothing": nil, "one": []byte("a"), "random": random, "few": few, "same": make([]byte, 1<<20),
		"text": []byte(strings.Repeat("a1 FETCH 1:* (FLAGS UID)\r\na2 NOOP\r\n", 3000)),
		"far":  append(append(bytes.Clone(random[:32<<10]), random[:32<<10]...), random[:1000]...),
	}
}

func TestRead(t *testing.T) {
	for name, want := range samples() {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			packed := pack(t, level, want[:len(want)/3], want[len(want)/3:])
			for how, r := range map[string]io.Reader{"at once": bytes.NewReader(packed), "by octets": iotest.OneByteReader(bytes.NewReader(packed))} {
				got, err := io.ReadAll(NewReader(bufio.NewReaderSize(r, 16)))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, level %d, %s: %d octets of %d, %v", name, level, how, len(got), len(want), err)
				}
			}
		}
	}
}

// talker gives one octet after the other, then says that it has to wait.
type talker struct{ left []byte }

var errQuiet = errors.New("nothing more for now")

func (t *talker) Read(p []byte) (int, error) {
	if len(t.left) == 0 {
		return 0, errQuiet
	}
	n := copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}

// What came is given before more is asked for. The stream is what zlib makes of
// "3 NAMESPACE\r\n" with Z_PARTIAL_FLUSH: no block of no octets follows.
func TestPartialFlush(t *testing.T) {
	src := &talker{}
	d := NewReader(bufio.NewReader(src))
	src.left = []byte{0x32, 0x56, 0xf0, 0x73, 0xf4, 0x75, 0x0d, 0x0e, 0x70, 0x74, 0x76, 0xe5, 0xe5, 0x02, 0x08}
	var got []byte
	for p := make([]byte, 4); len(got) < 13; {
		n, err := d.Read(p)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, p[:n]...)
	}
	if string(got) != "3 NAMESPACE\r\n" {
		t.Errorf("%q", got)
	}
	if n, err := d.Read(make([]byte, 1)); n != 0 || err != errQuiet {
		t.Error(n, err)
	}
}

func TestCorrupt(t *testing.T) {
	for name, in := range map[string][]byte{
		"no such block": {0x07}, "stored length": {0x01, 1, 0, 0, 0}, "distance too far": {0x4b, 0x04, 0x12, 0x00},
		"cut": {0x4b}, "empty": {},
	} {
		_, err := io.ReadAll(NewReader(bufio.NewReader(bytes.NewReader(in))))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		d := NewReader(bufio.NewReader(bytes.NewReader(in)))
		io.ReadAll(d)
		if _, again := d.Read(make([]byte, 1)); again == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
}

// An idle connection is cheap.
func TestWindowGrows(t *testing.T) {
	d := NewReader(bufio.NewReader(bytes.NewReader(pack(t, 6, []byte("a NOOP\r\n")))))
	if io.ReadAll(d); len(d.window) != smallWindow {
		t.Error(len(d.window))
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples() {
		f.Add(pack(f, 6, s[:min(len(s), 2000)]))
		f.Add(pack(f, 1, s[:min(len(s), 2000)]))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 1 << 20
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), most))
		got, err := io.ReadAll(io.LimitReader(NewReader(bufio.NewReader(bytes.NewReader(in))), most))
		if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%d octets (%v), want %d", len(got), err, len(want))
		}
		if wantErr != nil && err == nil {
			t.Errorf("no error, want %v", wantErr)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := samples()["text"]
	packed := pack(b, 6, text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		io.Copy(io.Discard, NewReader(bufio.NewReader(bytes.NewReader(packed))))
	}
}
