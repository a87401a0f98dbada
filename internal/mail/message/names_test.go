package message

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafeFileName(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"a.txt", "a.txt"}, {`..\..\x`, "x"}, {"/etc/passwd", "passwd"}, {"..", "unnamed"}, {"", "unnamed"}, {"a/", "unnamed"},
		{"gpj.\u202Eexe", "gpj.exe"}, {"a.txt. . ", "a.txt"}, {" .hidden", "hidden"}, {"con.txt", "_con.txt"}, {"CON", "_CON"}, {"com1.log", "_com1.log"}, {"LPT¹", "_LPT¹"},
		{"comma.txt", "comma.txt"}, {"con .x", "_con .x"}, {"a\x00b\r\nc.txt", "a_b__c.txt"}, {`a<b>:"|?*.txt`, "a_b______.txt"}, {"\xff.txt", "_.txt"}, {"résumé €.pdf", "résumé €.pdf"},
		{"a\u00a0b\u2028c", "a bc"}, {"C:\\x\\y.exe", "y.exe"}, {"x.exe.", "x.exe"},
	} {
		t.Run("MIME-010 "+strconv.Quote(tt.in), func(t *testing.T) {
			if got := SafeFileName(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("MIME-010 4 KiB", func(t *testing.T) {
		got := SafeFileName(strings.Repeat("é", 2048) + ".pdf")
		if len(got) > maxFileName || !strings.HasSuffix(got, "é.pdf") || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}

func TestMessageID(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"<1@x>", "<1@x>"}, {" text <1@x> <2@x>", "<1@x>"}, {"1@x", "<1@x>"}, {"", ""}, {"none", ""}, {"<>", ""}, {"<1@x", ""}, {"< 1 @ x >", "<1@x>"},
		{`<"01KF8JCEOCBS0045PS"@xxx.yyy.com>`, "<01KF8JCEOCBS0045PS@xxx.yyy.com>"}, // RFC 5256 §4
		{`<"a>b"@x>`, "<a>b@x>"}, {"<<1@x>>", "<1@x>"}, {"<no-at>", "<no-at>"},
		{"<" + strings.Repeat("x", 100<<10) + "@y>", ""}, {strings.Repeat("x", 100<<10) + "@y", ""}, {"<" + strings.Repeat("x", 2000) + "@y> <1@x>", "<1@x>"},
	} {
		if got := MessageID(tt.in); got != tt.want {
			t.Errorf("MIME-020 %.60q: %.60q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestReferences(t *testing.T) {
	if got := References("<1@x> (c) <2@x>\t<3@x"); !reflect.DeepEqual(got, []string{"<1@x>", "<2@x>"}) {
		t.Errorf("%q", got)
	}
	if got := References("none"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	t.Run("MIME-021 a million ids", func(t *testing.T) {
		var b strings.Builder
		for i := range 1_000_000 {
			b.WriteString("<" + strconv.Itoa(i) + "@x> ")
		}
		got := References(b.String())
		if len(got) != MaxReferences || got[99] != "<999999@x>" || got[0] != "<999900@x>" {
			t.Errorf("%d: %q … %q", len(got), got[0], got[len(got)-1])
		}
	})
}

func TestBaseSubject(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		reply    bool
	}{
		{"hello", "hello", false}, {"Re: hello", "hello", true}, {"RE : Fwd: fw:hello (fwd) (FWD)", "hello", true}, {"  a \t b  ", "a b", false},
		{"[list] Re: hello", "hello", true}, {"Re: [list] hello", "hello", true}, {"[list] hello", "hello", false}, {"[list]", "[list]", false}, {"[a][b]", "[b]", false},
		{"Re[2]: hello", "hello", true}, {"re [x] : hello", "hello", true}, {"[fwd: hello]", "hello", true}, {"[Fwd: [fwd: Re: hello (fwd)]]", "hello", true},
		{"[a] [b] Re: [c] x", "x", true}, {"report: x", "report: x", false}, {"Re:", "", true}, {"", "", false}, {"[a[b] x", "[a[b] x", false},
		{"=?utf-8?q?Re:_h=C3=A9?=", "hé", true}, {"(fwd)", "", true}, {"[fwd: x", "[fwd: x", false},
	} {
		if got, reply := baseSubject(tt.in); got != tt.want || reply != tt.reply {
			t.Errorf("%q: %q %v, want %q %v", tt.in, got, reply, tt.want, tt.reply)
		}
	}
}
