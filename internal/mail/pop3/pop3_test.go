package pop3

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]Command{
		"stat": {"STAT", ""}, "RETR 1": {"RETR", "1"}, "PASS  with spaces ": {"PASS", " with spaces "}, "TOP 1 10": {"TOP", "1 10"},
	} {
		if got, err := Parse([]byte(in)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", " STAT", "ST\tAT", "\x16\x03\x01", "RETR 1\x00", "caf\xc3\xa9"} {
		if got, err := Parse([]byte(in)); err == nil {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]uint32{"0": 0, "1": 1, "007": 7, "4294967295": 4294967295} {
		if n, ok := Number(in); !ok || n != want {
			t.Error(in, n, ok)
		}
	}
	for _, in := range []string{"", "-1", "+1", "4294967296", "99999999999999999999", "1x", "１"} {
		if n, ok := Number(in); ok {
			t.Error(in, n)
		}
	}
	if n, ok := Lines("999999999999"); !ok || n != 1<<32-1 {
		t.Error("POP-001:", n, ok)
	}
	if _, ok := Lines("-1"); ok {
		t.Error("-1 lines")
	}
}

func TestStuffer(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ".\r\n"}, {"a\r\n", "a\r\n.\r\n"}, {".\r\n", "..\r\n.\r\n"}, {"..a\r\n.b", "...a\r\n..b\r\n.\r\n"},
		{"a.\r\n\r\n.\r\n", "a.\r\n\r\n..\r\n.\r\n"}, {"a\r.b\r\n\xe9\x00\r\n", "a\r.b\r\n\xe9\x00\r\n.\r\n"},
	} {
		t.Run("POP-004", func(t *testing.T) {
			for step := 1; step <= len(c.in)+1; step++ {
				var out bytes.Buffer
				s := NewStuffer(&out)
				for rest := []byte(c.in); len(rest) > 0; rest = rest[min(step, len(rest)):] {
					s.Write(rest[:min(step, len(rest))])
				}
				s.Close()
				if out.String() != c.want {
					t.Errorf("%q by %d: %q", c.in, step, out.String())
				}
			}
		})
	}
}

func TestTop(t *testing.T) {
	const letter = "A: b\r\nC: d\r\n\r\n1\r\n\r\n.3\r\n4"
	for lines, want := range map[uint32]string{
		0: "A: b\r\nC: d\r\n\r\n.\r\n", 1: "A: b\r\nC: d\r\n\r\n1\r\n.\r\n", 3: "A: b\r\nC: d\r\n\r\n1\r\n\r\n..3\r\n.\r\n",
		4: "A: b\r\nC: d\r\n\r\n1\r\n\r\n..3\r\n4\r\n.\r\n", 1<<32 - 1: "A: b\r\nC: d\r\n\r\n1\r\n\r\n..3\r\n4\r\n.\r\n",
	} {
		for step := 1; step < len(letter); step++ {
			var out bytes.Buffer
			s := NewStuffer(&out)
			s.Top(lines)
			for rest := letter; rest != ""; rest = rest[min(step, len(rest)):] {
				if _, err := s.Write([]byte(rest[:min(step, len(rest))])); err == io.EOF {
					break
				}
			}
			if s.Close(); out.String() != want {
				t.Errorf("TOP %d by %d: %q", lines, step, out.String())
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for text, want := range map[string]string{
		"%08Xu%08Xv": "0000002a6b02b6ac", "%u": "42", "%v-%u": "1795339948-42", "UID%u-%Xv": "UID42-6b02b6ac",
	} {
		f, err := ParseFormat(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := f.Append(nil, 42, 1795339948); string(got) != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{"", "x", "%v", "%", "%u%q", "%8u", "%99999u", "%u with space", strings.Repeat("%020u", 4), "%u\xe9"} {
		if _, err := ParseFormat(text); err == nil {
			t.Errorf("%q passes", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"USER a", "PASS b c", "TOP 1 2", "AUTH PLAIN =", "\x00", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := Parse(line)
		if err == nil && (c.Name == "" || len(c.Name)+len(c.Rest) > len(line)) {
			t.Errorf("%q: %+v", line, c)
		}
	})
}

func FuzzStuffer(f *testing.F) {
	f.Add([]byte(".a\r\n..\r\n\r\n.b"), uint32(1))
	f.Fuzz(func(t *testing.T, in []byte, lines uint32) {
		var out bytes.Buffer
		s := NewStuffer(&out)
		s.Write(in)
		s.Close()
		text, ok := bytes.CutSuffix(out.Bytes(), []byte(".\r\n"))
		if !ok || bytes.HasPrefix(text, []byte(".\r\n")) || bytes.Contains(text, []byte("\n.\r\n")) {
			t.Fatalf("%q ends early: %q", in, out.Bytes())
		}
	})
}

func FuzzFormat(f *testing.F) {
	f.Add("%08Xu%08Xv")
	f.Add("%v.%u")
	f.Fuzz(func(t *testing.T, text string) {
		format, err := ParseFormat(text)
		if err == nil && !Valid(format.Append(nil, 1<<32-1, 1<<32-1)) {
			t.Errorf("%q", text)
		}
	})
}

func TestDoubling(t *testing.T) {
	doubling.Check(t, "dots", 1<<16, func(n int) func() {
		in := bytes.Repeat([]byte(".\r\n"), n)
		return func() { NewStuffer(io.Discard).Write(in) }
	})
}
