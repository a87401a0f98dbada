package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
	"facteur/internal/server/listen"
)

// wire is a connection that gives segments, one for each read, and keeps what
// is written.
type wire struct {
	segments [][]byte
	written  bytes.Buffer
	writes   int
}

func (w *wire) Read(p []byte) (int, error) {
	for len(w.segments) > 0 && len(w.segments[0]) == 0 {
		w.segments = w.segments[1:]
	}
	if len(w.segments) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.segments[0])
	w.segments[0] = w.segments[0][n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	w.writes++
	return w.written.Write(p)
}

func (*wire) Close() error                     { return nil }
func (*wire) LocalAddr() net.Addr              { return nil }
func (*wire) RemoteAddr() net.Addr             { return nil }
func (*wire) SetDeadline(time.Time) error      { return nil }
func (*wire) SetReadDeadline(time.Time) error  { return nil }
func (*wire) SetWriteDeadline(time.Time) error { return nil }

// testRules are the defaults, without what takes time.
func testRules() *Rules {
	r := DefaultRules()
	r.Screen.Wait, r.ErrorSleep = 0, 0
	return r
}

// What the default rules allow.
const (
	maxErrors = 20
	maxJunk   = 100
)

// talk runs a session over segments.
func talk(d desk, c Config, segments ...string) *wire {
	return talkFrom(d, c, "192.0.2.1:4711", segments...)
}

// talkFrom is talk for a client of some address; the door has the same.
func talkFrom(d desk, c Config, remote string, segments ...string) *wire {
	w := &wire{}
	for _, s := range segments {
		w.segments = append(w.segments, []byte(s))
	}
	conn := listen.NewConn(w)
	conn.Remote = netip.MustParseAddrPort(remote)
	conn.Local = conn.Remote
	c.Hostname = "mx.local.example"
	c.Gate = testGate()
	if c.Rules == nil {
		c.Rules = testRules
	}
	newServer(c, d).Serve(context.Background(), conn)
	return w
}

// codes are the replies' codes; the test fails when what was written is no
// sequence of replies.
func codes(t interface{ Fatalf(string, ...any) }, w *wire) []int {
	var all []int
	r := bufio.NewReader(bytes.NewReader(w.written.Bytes()))
	for {
		reply, err := smtp.ReadReply(r)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("not a reply: %v in %q", err, w.written.String())
		}
		all = append(all, reply.Code)
	}
}

// TestOneWritePerGroup: a pipelined group is answered by one write.
func TestOneWritePerGroup(t *testing.T) {
	w := talk(newDouble(), Config{}, "EHLO x\r\n",
		"MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nRCPT TO:<nobody@local.example>\r\nDATA\r\n",
		"Subject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nRSET\r\nQUIT\r\n")
	if got := fmt.Sprint(codes(t, w)); got != "[220 250 250 250 550 354 250 250 250 250 221]" {
		t.Error(got)
	}
	if w.writes != 4 { // banner, EHLO, group, end
		t.Errorf("%d writes, want 4: %q", w.writes, w.written.String())
	}
}

// TestSegments is SMTP-003 for the whole door: message and what follows arrive
// in any pieces, and the outcome is the same.
func TestSegments(t *testing.T) {
	tails := []string{"a\r\n.\r\nNOOP\r\n", "a\n.\nMAIL FROM:<x@y>\r\n.\r\nNOOP\r\n", "a\r\n.\n.\r\n..\r\n\r\n.\r\nXYZZY\r\n",
		strings.Repeat("x", 4094) + "\r\n.\r\nNOOP\r\n", "\r.\r\n\r\n.\r\r\n.\r\nRSET\r\n", "..\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@local.example>\r\nDATA\r\n",
		"a\r\n.\r\nNOOP\nNOOP\r\n" + strings.Repeat("y", 3000) + "\r\nNOOP\r\n"}
	head := []string{"EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nDATA\r\n"}
	for _, tail := range tails {
		desk := newDouble()
		want := talk(desk, Config{}, append(head[:2:2], tail)...).written.String()
		kept := fmt.Sprint(desk.kept)
		check := func(t interface{ Errorf(string, ...any) }, pieces []string) {
			desk := newDouble()
			got := talk(desk, Config{}, append(head[:2:2], pieces...)...).written.String()
			if got != want || fmt.Sprint(desk.kept) != kept {
				t.Errorf("%.60q in %d pieces:\n got %q %v\nwant %q %s", tail, len(pieces), got, desk.kept, want, kept)
			}
		}
		check(t, strings.Split(tail, ""))
		for i := range tail[:min(len(tail), 60)] {
			check(t, []string{tail[:i], tail[i:]})
		}
		rapid.Check(t, func(rt *rapid.T) {
			var pieces []string
			for rest := tail; rest != ""; {
				n := rapid.IntRange(1, len(rest)).Draw(rt, "n")
				pieces = append(pieces, rest[:n])
				rest = rest[n:]
			}
			check(rt, pieces)
		})
	}
}

// model is RFC 5321 §4.1.4 as a table would say it.
type model struct {
	greeted, mail, refused bool
	rcpts                  int
	junk, errors, unknown  int
	over                   bool
	submission, account    bool // a door for users; somebody logged in
}

// step gives the code that a command must get, and changes the state.
func (m *model) step(cmd string) int {
	verb, arg, _ := strings.Cut(strings.TrimSpace(cmd), " ")
	code := m.code(verb, arg)
	if code >= 400 {
		m.errors++
	}
	m.over = verb == "QUIT" && arg == "" || m.errors >= maxErrors || m.junk > maxJunk || m.unknown > maxUnknown
	return code
}

func (m *model) code(verb, arg string) int {
	switch verb {
	case "EHLO", "HELO":
		m.junk++
		if arg == "" {
			return 501
		}
		m.greeted, m.mail, m.refused, m.rcpts = true, false, false, 0
		return 250
	case "MAIL":
		return m.from(arg)
	case "RCPT":
		return m.to(arg)
	case "DATA":
		return m.data(arg)
	case "RSET":
		m.junk++
		if arg != "" {
			return 501
		}
		m.mail, m.refused, m.rcpts = false, false, 0
		return 250
	case "NOOP":
		m.junk++
		return 250
	case "VRFY":
		m.junk++
		return map[bool]int{true: 501, false: 252}[arg == ""]
	case "HELP":
		m.junk++
		return 214
	case "QUIT":
		return map[bool]int{true: 221, false: 501}[arg == ""]
	case "AUTH":
		return m.auth(arg)
	case "STARTTLS":
		return 502
	}
	m.unknown++
	return 500
}

const (
	goodPlain  = "PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0"
	wrongPlain = "PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAd3Jvbmc="
)

func (m *model) auth(arg string) int {
	switch {
	case !m.submission, !m.greeted, m.account, m.mail:
		return 503
	case arg == goodPlain:
		m.account = true
		return 235
	case arg == wrongPlain:
		return 535
	}
	return 504
}

func (m *model) from(arg string) int {
	switch {
	case !m.greeted, m.mail:
		return 503
	case m.submission && !m.account:
		return 530
	case arg == "FROM:<a":
		return 501
	case arg == "FROM:<bad@b>":
		return 550
	}
	m.mail = true
	return 250
}

func (m *model) to(arg string) int {
	switch {
	case !m.mail:
		return 503
	case arg == "TO:<a":
		m.refused = true
		return 501
	case m.rcpts >= 3:
		m.errors-- // has a counter of its own
		return 452
	case strings.Contains(arg, "nobody"):
		m.refused = true
		return 550
	case strings.Contains(arg, "foreign"):
		m.refused = true
		return 554
	}
	m.rcpts++
	return 250
}

// data also takes the message that follows, in arg's place.
func (m *model) data(arg string) int {
	switch {
	case arg != "":
		return 501
	case !m.mail:
		return 503
	case m.rcpts == 0 && m.refused:
		return 554
	case m.rcpts == 0:
		return 503
	}
	return 354
}

// end is the code after the end of data.
func (m *model) end(msg string) int {
	m.mail, m.refused, m.rcpts = false, false, 0
	switch {
	case strings.Contains(msg, "spam"), strings.Contains(msg, "\n.\n"):
		m.errors++
		m.over = m.errors >= maxErrors
		return 550
	}
	m.junk, m.errors, m.unknown = 0, 0, 0
	return 250
}

// TestRandomWalk is SMTP-029: random commands in every state get the reply that
// the model gives, and only what it says was accepted is kept.
func TestRandomWalk(t *testing.T) {
	commands := []string{"EHLO x", "HELO x", "EHLO", "MAIL FROM:<a@b>", "MAIL FROM:<>", "MAIL FROM:<a", "MAIL FROM:<bad@b>",
		"RCPT TO:<c@local.example>", "RCPT TO:<c@local.example>", "RCPT TO:<nobody@local.example>", "RCPT TO:<c@foreign>", "RCPT TO:<a",
		"DATA", "DATA", "DATA now", "RSET", "RSET now", "NOOP", "VRFY x", "VRFY", "HELP", "QUIT now", "QUIT", "AUTH " + goodPlain, "AUTH " + wrongPlain, "AUTH CRAM-MD5", "STARTTLS", "XYZZY"}
	messages := []string{"Subject: a\r\n\r\na\r\n.\r\n", ".\r\n", "Subject: spam\r\n.\r\n", "a\n.\nb\r\n.\r\n"}
	walk := func(t *rapid.T, service Service) {
		m := model{submission: service != SMTP}
		var sent []string
		want := []int{220}
		kept := 0
		steps := rapid.SliceOfN(rapid.SampledFrom(commands), 1, 150).Draw(t, "steps")
		if rapid.Bool().Draw(t, "polite") {
			steps = append([]string{"EHLO x", "AUTH " + goodPlain, "MAIL FROM:<a@b>"}, steps...)
		}
		for _, cmd := range steps {
			sent = append(sent, cmd+"\r\n")
			code := m.step(cmd)
			want = append(want, code)
			if code == 354 {
				msg := rapid.SampledFrom(messages).Draw(t, "message")
				sent = append(sent, msg)
				end := m.end(msg)
				want = append(want, end)
				if end == 250 {
					kept++
				}
			}
			if m.over {
				if want[len(want)-1] != 221 {
					want = append(want, 421)
				}
				break
			}
		}
		desk := newDouble()
		desk.recipients = 3
		got := codes(t, talkFrom(desk, Config{Service: service}, "127.0.0.1:1", sent...))
		if fmt.Sprint(got) != fmt.Sprint(want) || len(desk.kept) != kept || desk.open != 0 {
			t.Fatalf("%v %q\n got %v, kept %d, open %d\nwant %v, kept %d", service, sent, got, len(desk.kept), desk.open, want, kept)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 15 {
			walk(t, SMTP)
			walk(t, Submissions)
		}
	})
}

// TestTransparent: what the desk reads is what was sent, for any CRLF text.
func TestTransparent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{".", "..", "\r\n", "a", "é", "\t", ".\r\n", " ", "MAIL FROM:<x@y>", "\xff\xfe"})).Draw(t, "parts")
		msg := strings.Join(parts, "")
		if msg != "" && !strings.HasSuffix(msg, "\r\n") {
			msg += "\r\n"
		}
		var b bytes.Buffer
		w := smtp.NewDotWriter(&b)
		io.WriteString(w, msg)
		w.Close()
		desk := newDouble()
		desk.size = 1 << 20
		talk(desk, Config{}, "EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nDATA\r\n", b.String())
		if len(desk.kept) != 1 || desk.kept[0].body != msg {
			t.Fatalf("sent %q, kept %q", msg, desk.kept)
		}
	})
}

// TestManyRecipients is SMTP-030 in full: a limit of 1000, and a peer that does
// not listen.
func TestManyRecipients(t *testing.T) {
	desk := newDouble()
	desk.recipients = 1000
	w := talk(desk, Config{}, "EHLO x\r\n", "MAIL FROM:<a@b>\r\n", strings.Repeat("RCPT TO:<c@local.example>\r\n", 3000))
	count := map[int]int{}
	for _, c := range codes(t, w) {
		count[c]++
	}
	if count[250] != 1002 || count[452] != maxOvershoot || count[421] != 1 || desk.open != 0 {
		t.Error(count, desk.open)
	}
}

// panicDesk is a desk that breaks a promise.
type panicDesk struct{ *double }

func (d panicDesk) Connect(context.Context, intake.Peer) (visit, *smtp.Reply) { return d, nil }

func (d panicDesk) Begin(ctx context.Context, p intake.Peer, m smtp.Mail) (transaction, *smtp.Reply) {
	t, reply := d.double.Begin(ctx, p, m)
	return panicTx{t}, reply
}

type panicTx struct{ transaction }

func (panicTx) Recipient(context.Context, smtp.Rcpt) *smtp.Reply { panic("a broken promise") }

// TestPanicForgets: a panic in the middle of a message leaves no transaction.
func TestPanicForgets(t *testing.T) {
	desk := newDouble()
	d := panicDesk{desk}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed by the door; package listen reports it")
			}
		}()
		talk(d, Config{}, "EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<panic@local.example>\r\n")
	}()
	if desk.open != 0 {
		t.Error("a transaction is left open")
	}
}

// FuzzSession plays anything at the door, line by line and as it comes.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"), true)
	f.Add([]byte("EHLO x\r\nAUTH LOGIN\r\nYWxpY2VAbG9jYWwuZXhhbXBsZQ==\r\nc2VjcmV0\r\nMAIL FROM:<a@b>\r\n"), true)
	f.Add([]byte("EHLO x\r\nAUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\nMAIL FROM:<> SIZE=1\r\nRSET\r\n"), false)
	f.Add([]byte("HELO x\nSTARTTLS\r\n"), false)
	f.Fuzz(func(t *testing.T, script []byte, byLine bool) {
		segments := []string{string(script)}
		if byLine {
			segments = strings.SplitAfter(string(script), "\n")
		}
		for _, service := range []Service{SMTP, Submissions} {
			desk, log := newDouble(), &lines{}
			w := talkFrom(desk, Config{Service: service, Events: log}, "127.0.0.1:1", segments...)
			all := codes(t, w)
			if len(all) == 0 || all[0] != 220 || desk.open != 0 {
				t.Fatalf("%v, %d open", all, desk.open)
			}
			for _, k := range desk.kept {
				if strings.Contains(strings.ReplaceAll(k.body, "\r\n", ""), "\n") || k.body != "" && !strings.HasSuffix(k.body, "\r\n") {
					t.Fatalf("kept %q", k.body)
				}
			}
			if len(desk.kept) > bytes.Count(script, []byte("\r\n.\r\n")) {
				t.Fatalf("kept %d messages of %q", len(desk.kept), script)
			}
			for _, l := range log.text {
				if strings.ContainsAny(l, "\r\n\x00") {
					t.Fatalf("log line %q", l)
				}
			}
		}
	})
}
