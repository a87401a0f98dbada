package dkim

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// bodies are how a body looks in its two forms (RFC 6376 §3.4.3 to §3.4.5).
var bodies = []struct{ name, body, simple, relaxed string }{
	{"empty", "", "\r\n", ""},
	{"the example of §3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
	{"only an empty line", "\r\n", "\r\n", ""},
	{"only empty lines", "\r\n\r\n\r\n", "\r\n", ""},
	{"only white space", " \t\r\n \r\n", " \t\r\n \r\n", ""},
	{"only white space, no line end", " ", " \r\n", ""},
	{"no last line end", "a", "a\r\n", "a\r\n"},
	{"white space and no last line end", "a \t", "a \t\r\n", "a\r\n"},
	{"empty lines at the end", "a\r\n\r\n\r\n", "a\r\n", "a\r\n"},
	{"empty lines within", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
	{"empty lines first", "\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
	{"lines of white space at the end", "a\r\n \t\r\n\t\r\n", "a\r\n \t\r\n\t\r\n", "a\r\n"},
	{"lines of white space within", "a\r\n \t\r\nb\r\n", "a\r\n \t\r\nb\r\n", "a\r\n\r\nb\r\n"},
	{"runs of white space", "a \t b\t\tc  d\r\n", "a \t b\t\tc  d\r\n", "a b c d\r\n"},
	{"single spaces", "a b c\r\n", "a b c\r\n", "a b c\r\n"},
	{"a tab is a space", "a\tb\r\n", "a\tb\r\n", "a b\r\n"},
	{"white space first", "\t a\r\n", "\t a\r\n", " a\r\n"},
	{"bare LF", "a \nb\n\n", "a \r\nb\r\n", "a\r\nb\r\n"},
	{"bare CR", "a\rb\r\n", "a\rb\r\n", "a\rb\r\n"},
	{"CR CR LF", "a\r\r\nb\r\n", "a\r\r\nb\r\n", "a\r\r\nb\r\n"},
	{"bare CR at the end", "a\r", "a\r\r\n", "a\r\r\n"},
	{"bare CR after white space", "a \r b\r\n", "a \r b\r\n", "a \r b\r\n"},
	{"bytes of all kinds", "\x00\xff\x0b\x0c é\r\n", "\x00\xff\x0b\x0c é\r\n", "\x00\xff\x0b\x0c é\r\n"},
	{"dots", ".\r\n..\r\n", ".\r\n..\r\n", ".\r\n..\r\n"},
}

// TestBodies: AUT-013, in one piece, byte by byte, and cut in two anywhere.
func TestBodies(t *testing.T) {
	t.Parallel()
	for _, tc := range bodies {
		t.Run("AUT-013 "+tc.name, func(t *testing.T) {
			for cut := range len(tc.body) + 1 {
				checkBody(t, tc.simple, tc.relaxed, tc.body[:cut], tc.body[cut:])
			}
			checkBody(t, tc.simple, tc.relaxed, strings.Split(tc.body, "")...)
		})
	}
}

func checkBody(t *testing.T, simple, relaxed string, parts ...string) {
	t.Helper()
	b := NewBody()
	want := map[Canon]string{Simple: simple, Relaxed: relaxed}
	var claims []Digest
	for _, c := range []Canon{Simple, Relaxed} {
		for l := int64(-1); l < 40; l++ {
			claims = append(claims, b.Want(c, crypto.SHA256, l))
		}
	}
	for _, p := range parts {
		b.Write([]byte(p))
	}
	for _, d := range claims {
		text := want[d.canon]
		if d.limit >= 0 {
			text = text[:min(int64(len(text)), d.limit)]
		}
		if sum := sha256.Sum256([]byte(text)); !bytes.Equal(b.Sum(d), sum[:]) {
			t.Errorf("%q, %v, %d bytes: not the hash of %q", parts, d.canon, d.limit, text)
		}
		if n := b.Length(d.canon); n != int64(len(want[d.canon])) {
			t.Errorf("%q, %v: %d bytes, want %d", parts, d.canon, n, len(want[d.canon]))
		}
	}
}

// A claim that can not be kept is void, and says so by giving nothing.
func TestBodyClaims(t *testing.T) {
	t.Parallel()
	b := NewBody()
	good := b.Want(Relaxed, crypto.SHA256, -1)
	if sha1 := b.Want(Relaxed, crypto.SHA1, -1); b.forms[Simple] != nil || sha1.valid {
		t.Error("SHA-1 can be had")
	}
	fmt.Fprint(b, "text\r\n")
	late := b.Want(Simple, crypto.SHA256, -1)
	if b.Sum(late) != nil || b.Sum(Digest{}) != nil || b.Length(Simple) != 0 {
		t.Error("a claim that came too late was kept")
	}
	if b.Sum(good) == nil || !bytes.Equal(b.Sum(good), b.Sum(good)) {
		t.Error("a good claim was not kept")
	}
}

// What many want is done once.
func TestEqualClaimsShare(t *testing.T) {
	t.Parallel()
	b := NewBody()
	for range 100 {
		b.Want(Simple, crypto.SHA256, 7)
		b.Want(Simple, crypto.SHA256, -1)
	}
	if len(b.forms[Simple].marks) != 1 || b.forms[Relaxed] != nil {
		t.Errorf("%d marks", len(b.forms[Simple].marks))
	}
}

// TestFields: AUT-013, header fields (RFC 6376 §3.4.1, §3.4.2 and §3.4.5).
func TestFields(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, raw, simple, relaxed string }{
		{"plain", "A: X\r\n", "A: X\r\n", "a:X\r\n"},
		{"the example of §3.4.5", "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
		{"bare LF", "A: x\n y\n", "A: x\r\n y\r\n", "a:x y\r\n"},
		{"no line end", "A: x", "A: x\r\n", "a:x\r\n"},
		{"empty", "Subject:\r\n", "Subject:\r\n", "subject:\r\n"},
		{"only white space", "Subject: \t\r\n \r\n", "Subject: \t\r\n \r\n", "subject:\r\n"},
		{"fold with much white space", "S: a  \r\n\t  b\r\n", "S: a  \r\n\t  b\r\n", "s:a b\r\n"},
		{"fold right after the name", "S:\r\n a\r\n", "S:\r\n a\r\n", "s:a\r\n"},
		{"colons", "S: a:b : c\r\n", "S: a:b : c\r\n", "s:a:b : c\r\n"},
		{"bare CR", "S: a\rb\r\n", "S: a\rb\r\n", "s:a\rb\r\n"},
		{"8 bit", "SÉ: É  é\r\n", "SÉ: É  é\r\n", "sÉ:É é\r\n"},
	} {
		t.Run("AUT-013 "+tc.name, func(t *testing.T) {
			if got := string(Simple.AppendField([]byte("x"), []byte(tc.raw))); got != "x"+tc.simple {
				t.Errorf("simple: %q, want %q", got, tc.simple)
			}
			if got := string(Relaxed.AppendField([]byte("x"), []byte(tc.raw))); got != "x"+tc.relaxed {
				t.Errorf("relaxed: %q, want %q", got, tc.relaxed)
			}
		})
	}
}

// The last of several fields is meant first, and none is there twice (RFC 6376 §5.4.2).
func TestSelection(t *testing.T) {
	t.Parallel()
	h, _ := letter("A: 1\r\nB: 2\r\na: 3\r\nno field\r\nA : 4\r\n\r\n")
	f := NewFields(h)
	for names, want := range map[string]string{
		"a": "a:4\r\n", "A:a": "a:4\r\na:3\r\n", "a:b:A:c:a:a:a": "a:4\r\nb:2\r\na:3\r\na:1\r\n", "c": "", "": "", "no field": "",
	} {
		if got := string(f.AppendSigned(nil, Names(names), Relaxed)); got != want {
			t.Errorf("%s: %q, want %q", names, got, want)
		}
	}
}

// What b= says is not signed, all else of the field is.
func TestWithoutSignature(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"D: b=abc; bh=def\r\n":                     "D: b=; bh=def\r\n",
		"D: bh=b=c;\r\n b = a b\r\n\tc ; x=b=\r\n": "D: bh=b=c;\r\n b =; x=b=\r\n",
		"D: a=1; b=abc\r\n":                        "D: a=1; b=",
		"D: b=":                                    "D: b=",
		"D: a=1":                                   "D: a=1",
	} {
		if got := string(WithoutSignature([]byte(raw))); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

// A body of 20 MB in two forms, with limits, costs no more memory than a small one.
func TestConstantMemory(t *testing.T) {
	line := bytes.Repeat([]byte("a line  of a large body \r\n\r\n"), 1<<10)
	spent := func(mb int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b := NewBody()
		for l := range int64(8) {
			b.Want(Canon(l%2), crypto.SHA256, l<<20-1)
		}
		for range mb << 20 / len(line) {
			b.Write(line)
		}
		b.Length(Simple)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if small, large := spent(1), spent(20); large > small+64<<10 {
		t.Errorf("1 MB takes %d bytes, 20 MB %d", small, large)
	}
}
