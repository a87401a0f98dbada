package smtp

import (
	"bufio"
	"math"
	"strings"
	"testing"

	"facteur/internal/test/doubling"
)

func TestReadLine(t *testing.T) {
	const limit = 20
	for _, c := range []struct {
		name, in, line string
		err            error
		next           string
	}{
		{"plain", "NOOP\r\nx", "NOOP", nil, "x"},
		{"empty", "\r\nx", "", nil, "x"},
		{"just fits", strings.Repeat("a", limit-2) + "\r\nx", strings.Repeat("a", limit-2), nil, "x"},
		{"SMTP-018 one over", strings.Repeat("a", limit-1) + "\r\nx", "", ErrLineTooLong, "x"},
		{"SMTP-018 over the buffer", strings.Repeat("a", 1000) + "\r\nx", "", ErrLineTooLong, "x"},
		{"bare LF", "NOOP\nx", "", ErrLineEnding, "x"},
		{"only LF", "\nx", "", ErrLineEnding, "x"},
		{"SMTP-035 bare CR", "a\rb\r\nx", "", ErrLineEnding, "x"},
		{"CR CR LF", "a\r\r\nx", "", ErrLineEnding, "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bufio.NewReaderSize(strings.NewReader(c.in), 64)
			line, err := ReadLine(r, limit)
			next := make([]byte, len(c.next))
			r.Read(next)
			if string(line) != c.line || err != c.err || string(next) != c.next {
				t.Errorf("got %q, %v, then %q", line, err, next)
			}
		})
	}
	if _, err := ReadLine(bufio.NewReaderSize(strings.NewReader(strings.Repeat("a", 1<<20)), 64), limit); err != ErrLineEndless {
		t.Error("SMTP-018: endless line gave", err)
	}
}

func TestParseCommand(t *testing.T) {
	for _, c := range []struct {
		in   string
		verb Verb
		args string
		code int
	}{
		{"EHLO x", EHLO, "x", 0}, {"ehlo x  ", EHLO, "x", 0}, {"MaIl FROM:<>", MAIL, "FROM:<>", 0}, {"QUIT", QUIT, "", 0},
		{"QUIT ", QUIT, "", 0}, {"STARTTLS", STARTTLS, "", 0},
		{"", Unknown, "", 500}, {" ", Unknown, "", 500}, {"XYZZY a", Unknown, "a", 500}, {" QUIT", Unknown, "QUIT", 500},
		{"UNKNOWN", Unknown, "", 500}, {"QUITX", Unknown, "", 500},
		{"EHLO a\x00b", EHLO, "", 501}, {"EHLO\tx", Unknown, "", 501}, {"\x00", Unknown, "", 501}, {"NOOP \x7f", NOOP, "", 501},
		{"MAIL FROM:<\xff@x>", MAIL, "", 501}, {"MAIL FROM:<\xc0\xaf@x>", MAIL, "", 501}, {"MAIL FROM:<é@x>", MAIL, "FROM:<é@x>", 0},
	} {
		cmd, bad := ParseCommand([]byte(c.in))
		code := 0
		if bad != nil {
			code = bad.Code
		}
		if cmd.Verb != c.verb || string(cmd.Args) != c.args || code != c.code {
			t.Errorf("%q: %v %q %v", c.in, cmd.Verb, cmd.Args, bad)
		}
	}
	if Verb(200).String() != "UNKNOWN" || EHLO.String() != "EHLO" {
		t.Error("String")
	}
}

func TestParseMail(t *testing.T) {
	for _, c := range []struct {
		name, in, from string
		want           Mail
		code           int
	}{
		{"plain", "FROM:<Smith@bar.com>", "Smith@bar.com", Mail{}, 0},
		{"null", "from:<>", "", Mail{}, 0},
		{"blank after colon", "FROM: <a@b>", "a@b", Mail{}, 0},
		{"all", "FROM:<é@b> SIZE=1000 BODY=8bitmime SMTPUTF8 AUTH=e+3Dmc2@example.com", "é@b",
			Mail{Size: 1000, Body: "8BITMIME", UTF8: true, Auth: "e=mc2@example.com"}, 0},
		{"SMTP-024 AUTH=<>", "FROM:<a@b> AUTH=<>", "a@b", Mail{Auth: "<>"}, 0},
		{"SMTP-024 overflow", "FROM:<a@b> SIZE=99999999999999999999", "a@b", Mail{Size: math.MaxInt64}, 0},
		{"SMTP-024 21 digits", "FROM:<a@b> SIZE=999999999999999999999", "", Mail{}, 501},
		{"SMTP-024 negative", "FROM:<a@b> SIZE=-1", "", Mail{}, 501},
		{"SMTP-024 plus", "FROM:<a@b> SIZE=+1", "", Mail{}, 501},
		{"SMTP-024 no value", "FROM:<a@b> SIZE", "", Mail{}, 501},
		{"SMTP-024 empty value", "FROM:<a@b> SIZE=", "", Mail{}, 501},
		{"SMTP-024 twice", "FROM:<a@b> SIZE=1 size=1", "", Mail{}, 501},
		{"SMTP-024 body", "FROM:<a@b> BODY=9BIT", "", Mail{}, 501},
		{"SMTP-022 UTF-8", "FROM:<é@b>", "", Mail{}, 553},
		{"SMTP-022 domain", "FROM:<a@é.example>", "", Mail{}, 553},
		{"AUTH lower hex", "FROM:<a@b> AUTH=+3d", "", Mail{}, 501},
		{"AUTH cut", "FROM:<a@b> AUTH=a@b+3", "", Mail{}, 501},
		{"AUTH no mailbox", "FROM:<a@b> AUTH=ab", "", Mail{}, 501},
		{"two =", "FROM:<a@b> SIZE=1=2", "", Mail{}, 501},
		{"keyword", "FROM:<a@b> -X=1", "", Mail{}, 501},
		{"no blank", "FROM:<a@b>SIZE=1", "", Mail{}, 501},
		{"no brackets", "FROM:a@b", "", Mail{}, 501},
		{"to", "TO:<a@b>", "", Mail{}, 501},
		{"space before colon", "FROM :<a@b>", "", Mail{}, 501},
		{"empty", "", "", Mail{}, 501},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, bad := ParseMail(c.in, &everything)
			code := 0
			if bad != nil {
				code = bad.Code
			}
			if m.Sender.String() != c.from || code != c.code {
				t.Fatalf("got %+v, %v", m, bad)
			}
			m.Sender = c.want.Sender
			if m != c.want {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestParseRcpt(t *testing.T) {
	for in, code := range map[string]int{
		"TO:<a@b>": 0, "to: <a@b> ": 0, "TO:<postmaster>": 0, "TO:<>": 501, "TO:<a@b> NOTIFY=NEVER": 555, "TO:<é@b>": 553,
		"FROM:<a@b>": 501, "TO:<a@b>x": 501, "TO:<a@b> =": 501,
	} {
		r, bad := ParseRcpt(in, false, &Extensions{})
		if got := codeOf(bad); got != code || (bad != nil) != r.To.IsNull() {
			t.Errorf("%q: %+v %v", in, r, bad)
		}
	}
	if r, bad := ParseRcpt("TO:<é@b>", true, &Extensions{}); bad != nil || r.To.Local != "é" {
		t.Error("SMTPUTF8", r, bad)
	}
}

func codeOf(r *Reply) int {
	if r == nil {
		return 0
	}
	return r.Code
}

// FuzzCommand: whatever comes, an envelope that was accepted is written and read
// back as the same, and a refusal is a 5xx.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME SMTPUTF8", "RCPT TO:<\"a b\"@[IPv6:::1]>", "EHLO x", "MAIL FROM:<> AUTH=<>", "RCPT TO:<postmaster>",
		"MAIL FROM:<a@b> RET=FULL ENVID=a+2Bb REQUIRETLS HOLDFOR=60 BY=-120;NT MT-PRIORITY=-9", "MAIL FROM:<> HOLDUNTIL=2027-01-01T00:00:00+01:00",
		"RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c", `RCPT TO:<a@b> ORCPT=utf-8;\x{E9}@c NOTIFY=NEVER`, "RCPT TO:<a@b> ORCPT=utf-8;é@c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		cmd, bad := ParseCommand(line)
		if bad == nil && cmd.Verb == MAIL {
			var m Mail
			if m, bad = ParseMail(string(cmd.Args), &everything); bad == nil {
				checkMail(t, m)
			}
		}
		if bad == nil && cmd.Verb == RCPT {
			var r Rcpt
			if r, bad = ParseRcpt(string(cmd.Args), true, &everything); bad == nil {
				again := again(t, r.AppendTo(nil), RCPT)
				if r2, bad := ParseRcpt(again, true, &everything); bad != nil || r2 != r {
					t.Fatalf("%+v was read back as %+v, %v", r, r2, bad)
				}
			}
		}
		if bad != nil && !bad.Permanent() {
			t.Fatalf("%q: %v", line, bad)
		}
	})
}

func checkMail(t *testing.T, m Mail) {
	m.Auth = "" // it is not sent
	args := again(t, m.AppendTo(nil), MAIL)
	m2, bad := ParseMail(args, &everything)
	if bad != nil || m2 != m {
		t.Fatalf("%+v was read back as %+v, %v", m, m2, bad)
	}
}

// again reads a command that was written.
func again(t *testing.T, b []byte, verb Verb) string {
	line, err := ReadLine(bufio.NewReader(strings.NewReader(string(b))), 4096)
	if err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	cmd, bad := ParseCommand(line)
	if bad != nil || cmd.Verb != verb {
		t.Fatalf("%q: %v", b, bad)
	}
	return string(cmd.Args)
}

func TestCommandDoubles(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for _, unit := range []string{"a", " SIZE=1", " x", "@a,", "\"", "\\", "é", "é.", "xn--a.",
		" ENVID=+41", " BY=1;R", " HOLDUNTIL=2027-01-01T00:00:00Z", "+41", `\x{41}`, ",SUCCESS"} {
		doubling.Check(t, unit, 1<<19, func(n int) func() {
			line := "MAIL FROM:<a@b>" + strings.Repeat(unit, n/len(unit)/16)
			path := "FROM:<" + strings.Repeat(unit, n/len(unit)/16) + ">"
			rcpt := "TO:<a@b> ORCPT=utf-8;" + strings.Repeat(unit, n/len(unit)/16)
			return func() {
				cmd, _ := ParseCommand([]byte(line))
				ParseMail(string(cmd.Args), &everything)
				ParseMail(path, &everything)
				ParseRcpt(rcpt, true, &everything)
			}
		})
	}
}
