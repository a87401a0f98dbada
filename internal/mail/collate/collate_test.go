package collate

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"facteur/internal/test/doubling"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "ABC 1": "ABC 1", "abc": "ABC", "ä": "A\u0308", "Ä": "A\u0308", "a\u0308": "A\u0308", "Straße": "STRAßE", "ﬁ": "fi", "Ａ": "A",
		"ǆ": "D\u017d"[:1] + "z\u030c", "한": "\u1112\u1161\u11ab", "ж": "Ж", "\xff": "\ufffd", "½": "1\u20442", "\u00a0": " ",
	} {
		if got := Fold(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if Fold("äb") >= Fold("ÄC") || Fold("é") != Fold("É") || Bare("Crème brûlée") != "CREME BRULEE" {
		t.Error("Fold or Bare")
	}
}

func TestNeedle(t *testing.T) {
	long := strings.Repeat("äÖ x", 30000)
	for _, c := range []struct {
		text, needle string
		want         bool
	}{
		{"Hello World", "o w", true}, {"Hello", "x", false}, {"", "", true}, {"", "a", false}, {"ÄPFEL", "äpfel", true}, {"Äpfel", "apfel", false},
		{"Äpfel", "a", true}, {"ﬁne", "fine", false}, {"oﬁNE", "ofi", false}, {"Ａbc", "abc", true}, {"x\u00a0y", "X Y", true},
		{long + "Ende", "öende", false}, {long + "Ende", "xende", true}, {long, "XÄÖ X", true}, {"\xff\xfeAb", "ab", true}, {"zzz", "zz", true},
	} {
		n := NewNeedle(c.needle)
		if got := n.In([]byte(c.text)); got != c.want {
			t.Errorf("%.20q in %.20q: %v", c.needle, c.text, got)
		}
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.text), "octets": iotest.OneByteReader(strings.NewReader(c.text))} {
			if got, err := n.InReader(r); got != c.want || err != nil {
				t.Errorf("%s: %.20q in %.20q: %v %v", name, c.needle, c.text, got, err)
			}
		}
	}
	if _, err := NewNeedle("x").InReader(iotest.ErrReader(io.ErrClosedPipe)); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

// naive is what Needle has to agree with.
func naive(text, needle string) bool { return strings.Contains(Fold(text), Fold(needle)) }

// TestNeedleRandom compares with a search in the whole fold, on texts of few
// different characters, where almost-matches are frequent.
func TestNeedleRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	parts := []string{"a", "b", "A", "B", "ä", "a\u0308", " ", "한", "ﬁ", "f", "i", "Ａ", "\xff", "𝐀", "z"}
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		return b.String()
	}
	for range 5000 {
		hay, needle := text(rng.IntN(60)), strings.ToValidUTF8(text(1+rng.IntN(4)), "?")
		n := NewNeedle(needle)
		if got := n.In([]byte(hay)); got != naive(hay, needle) {
			t.Fatalf("%q in %q: %v", needle, hay, got)
		}
	}
	// Across the ends of chunks.
	for range 40 {
		pad := strings.Repeat("é", (chunkSize-rng.IntN(40))/2)
		hay, needle := pad+text(30), strings.ToValidUTF8(text(1+rng.IntN(4)), "?")
		if got, err := NewNeedle(needle).InReader(strings.NewReader(hay)); got != naive(hay, needle) || err != nil {
			t.Fatalf("%q after %d: %v %v", needle, len(pad), got, err)
		}
	}
}

func FuzzNeedle(f *testing.F) {
	f.Add("some text ÄÖ", "ö")
	f.Add("AAAAAAAB", "aaab")
	f.Add("\xff\u00bd", "1")
	f.Fuzz(func(t *testing.T, text, needle string) {
		needle = strings.ToValidUTF8(needle, "?")
		want := naive(text, needle)
		if got := NewNeedle(needle).In([]byte(text)); got != want {
			t.Errorf("%q in %q: %v", needle, text, got)
		}
		if got, err := NewNeedle(needle).InReader(strings.NewReader(text)); got != want || err != nil {
			t.Errorf("%q in a stream of %q: %v %v", needle, text, got, err)
		}
	})
}

func TestINV16NeedleDoubling(t *testing.T) {
	for name, make := range map[string]func(n int) (text []byte, needle string){
		"plain":   func(n int) ([]byte, string) { return bytes.Repeat([]byte("plain text "), n), "needle" },
		"almost":  func(n int) ([]byte, string) { return bytes.Repeat([]byte("z"), 11*n), "b" + strings.Repeat("z", 4000) },
		"almost2": func(n int) ([]byte, string) { return bytes.Repeat([]byte("z"), 11*n), strings.Repeat("z", 4000) + "q" },
		"wide":    func(n int) ([]byte, string) { return bytes.Repeat([]byte("ä  "), 3*n), strings.Repeat(" ", 50) + "x" },
		"needle":  func(n int) ([]byte, string) { return bytes.Repeat([]byte("ab"), n), strings.Repeat("ab", n) + "c" },
	} {
		t.Run(name, func(t *testing.T) {
			doubling.Check(t, name, 5000, func(n int) func() {
				text, needle := make(n)
				k := NewNeedle(needle)
				return func() { k.In(text) }
			})
		})
	}
}

func BenchmarkNeedle(b *testing.B) {
	for name, text := range map[string]string{
		"ascii": strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody cares.\r\n", 200),
		"mixed": strings.Repeat("Der schnelle braune Fuchs springt über den trägen Hund und läuft.\r\n", 200),
		"wide":  strings.Repeat("Съешь же ещё этих мягких французских булок да выпей чаю\r\n", 200),
	} {
		b.Run(name, func(b *testing.B) {
			n, t := NewNeedle("invoice"), []byte(text)
			b.SetBytes(int64(len(t)))
			for b.Loop() {
				n.In(t)
			}
		})
	}
}
