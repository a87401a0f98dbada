package authline

import (
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

func TestParse(t *testing.T) {
	l, err := Parse("AUTH\t7\tPLAIN\tservice=smtp\tsecured\tresp=AGE=")
	if err != nil || l.Name != "AUTH" || l.Field(1) != "PLAIN" || l.Field(9) != "" {
		t.Fatal(l, err)
	}
	id, ok := l.ID()
	resp, has := l.Value("resp")
	if _, secured := l.Value("secured"); id != 7 || !ok || resp != "AGE=" || !has || !secured {
		t.Error(id, resp, secured)
	}
	if _, ok := l.Value("rip"); ok {
		t.Error("a field that is not there")
	}
	if _, ok := Of("X", "4294967296").ID(); ok {
		t.Error("a number of more than 32 bits")
	}
	for _, bad := range []string{"A\tb\x01", "A\t\x00", strings.Repeat("\t", maxFields+1), strings.Repeat("a", MaxLine+1)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%.20q was read", bad)
		}
	}
}

// MAP-006: whatever stands in a field, it stays one field of one line.
func FuzzLine(f *testing.F) {
	f.Add("AUTH\t1\tPLAIN\tresp=AGFs")
	f.Add("OK\t1\tuser=a\x01tb\x01nc\x011d\x010")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		again := l.String()
		if strings.Count(again, "\n") != 1 || strings.Count(again, "\t") != len(l.Fields) {
			t.Fatalf("%q", again)
		}
		back, err := Parse(strings.TrimSuffix(again, "\n"))
		if len(again) <= MaxLine && (err != nil || back.String() != again) {
			t.Fatalf("%q became %q: %v", text, again, err)
		}
	})
}

func TestLinear(t *testing.T) {
	doubling.Check(t, "escapes", 1<<11, func(n int) func() {
		text := "A\t" + strings.Repeat("\x01t", n)
		return func() {
			for range 20 {
				if _, err := Parse(text[:min(len(text), MaxLine)]); err != nil {
					panic(err)
				}
			}
		}
	})
}

func TestAppendString(t *testing.T) {
	if b, ok := AppendString(nil, "abc"); !ok || string(b) != "\x00\x03abc" {
		t.Errorf("%q", b)
	}
	if _, ok := AppendString(nil, strings.Repeat("a", MaxString+1)); ok {
		t.Error("longer than it may be")
	}
}
