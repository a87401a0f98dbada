package dnslist

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

func mustCodes(t testing.TB, texts ...string) (out []Code) {
	t.Helper()
	for _, text := range texts {
		c, err := ParseCode(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// TestCodes: row 158, the forms in which the answers of lists stand in settings.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		codes, answers string
		want           string
	}{
		{"127.0.0.2 = 3.5", "127.0.0.2", "3.5 [127.0.0.2] true"},
		{"127.0.0.2=3", "127.0.0.3", "0 [] false"},
		{"127.0.0.[2..4;9]=3", "127.0.0.3", "3 [127.0.0.3] true"},
		{"127.0.0.[2..4;9]=3", "127.0.0.9", "3 [127.0.0.9] true"},
		{"127.0.0.[2..4;9]=3", "127.0.0.5", "0 [] false"},
		{"127.0.[0..255].[1..3]=-2", "127.0.7.2", "-2 [127.0.7.2] true"},
		{"127.0.0.&8=2|127.0.0.&64=1", "127.0.0.72", "2 [127.0.0.72] true"},
		{"127.0.0.&8=2|127.0.0.&64=1", "127.0.0.64", "1 [127.0.0.64] true"},
		{"127.0.0.&8=2|127.0.0.&64=1", "127.0.0.4", "0 [] false"},
		{"127.0.0.10=1|any=4", "127.0.0.10", "1 [127.0.0.10] true"},
		{"127.0.0.10=1|any=4", "127.0.0.11", "4 [127.0.0.11] true"},
		{"127.0.0.2=1|127.0.0.4=3", "127.0.0.2 127.0.0.4", "3 [127.0.0.2 127.0.0.4] true"},
		{"127.0.0.2=1", "127.0.0.2 127.0.0.99", "1 [127.0.0.2] false"},
	} {
		var answers []netip.Addr
		for _, a := range strings.Fields(c.answers) {
			answers = append(answers, netip.MustParseAddr(a))
		}
		score, counted, known := weigh(mustCodes(t, strings.Split(c.codes, "|")...), answers)
		if got := fmt.Sprint(score, " ", counted, " ", known); got != c.want {
			t.Errorf("%s about %s: %s, want %s", c.codes, c.answers, got, c.want)
		}
	}
}

func TestCodesRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.2":           "expected an answer and its score",
		"127.0.0.2 = viel":    "expected a score",
		"127.0.0.2 = NaN":     "expected a score",
		"127.0.0.2 = 1000":    "at most 100",
		"127.0.0 = 1":         "expected an answer such as",
		"127.0.0.[2..3 = 1":   "expected an answer such as",
		"127.0.0.256 = 1":     "a number from 0 to 255",
		"127.0.0.[4..2] = 1":  "goes backwards",
		"127.0.0.&0 = 1":      "a number from 1 to 255",
		"128.0.0.1 = 1":       "begin with 127",
		"2001:db8::1 = 1":     "expected an answer such as",
		"127.0.0.[] = 1":      "a number from 0 to 255",
		"127.0.0.[2;;3] = 1":  "a number from 0 to 255",
		"127.[0.0].0.[2] = 1": "a number from 0 to 255",
	} {
		if _, err := ParseCode(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	for _, seed := range []string{"127.0.0.2 = 3.5", "127.0.[0..255].[1..3;9] = -2", "127.0.0.&8=1", "any = 1", "127.0.0.[", "=", "127...=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCode(text)
		if err != nil {
			return
		}
		again, err := ParseCode(c.String())
		if err != nil || again != c {
			t.Fatalf("%q became %q: %v", text, c, err)
		}
		c.means(netip.MustParseAddr("127.0.0.2"))
	})
}

func TestDoubles(t *testing.T) {
	doubling.Check(t, "a set", 1<<14, func(n int) func() {
		text := "127.0.0.[" + strings.Repeat("1..9;", n/5) + "2] = 1"
		return func() { ParseCode(text) }
	})
}
