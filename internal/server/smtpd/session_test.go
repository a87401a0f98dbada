package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
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
	data := []string{"EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nDATA\r\n"}
	bdat := []string{"EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\n"}
	heads := slices.Repeat([][]string{data}, len(tails))
	// The same for chunks, each with what follows it (SMTP-005).
	for _, tail := range []string{"BDAT 9 LAST\r\na\n.\r\nQUIQUIT\r\n", "BDAT 5\r\na\n.\r\nBDAT 0\r\nNOOP\r\nBDAT 4 LAST\r\n\n.\n.QUIT\r\n",
		"BDAT 4\r\n\r\n.\rBDAT 5\r\n\nRSETRSET\r\nBDAT 3 LAST\r\nabcDATA\r\nNOOP\r\n", "BDAT 4001\r\n" + strings.Repeat("\n.\r", 1333) + "\n.BDAT 2 LAST\r\nx\nNOOP\r\n",
		"BDAT 5\r\nx\r\n.\rXYZZY\r\nMAIL FROM:<a@b>\r\nBDAT 1 LAST\r\n\nQUIT\r\n"} {
		tails, heads = append(tails, tail), append(heads, bdat)
	}
	// Commands that come too early are another test's: whether they do depends on
	// segments.
	rules := testRules()
	rules.Screen.Pipelining = Ignore
	config := Config{Rules: func() *Rules { return rules }}
	for i, tail := range tails {
		head := heads[i]
		desk := newDouble()
		want := talk(desk, config, append(head[:2:2], tail)...).written.String()
		kept := fmt.Sprint(desk.kept)
		check := func(t interface{ Errorf(string, ...any) }, pieces []string) {
			desk := newDouble()
			got := talk(desk, config, append(head[:2:2], pieces...)...).written.String()
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

// model is RFC 5321 §4.1.4, RFC 3030 and RFC 2033 as a table would say it.
type model struct {
	greeted, mail, refused bool
	rcpts                  int
	chunks                 bool // the message comes by BDAT
	given                  int
	text                   string // of the chunks
	junk, errors, unknown  int
	over                   bool
	closed                 bool // over without a 421
	account                bool // somebody logged in
	kept                   int
	service                Service
}

// reset ends the transaction.
func (m *model) reset() {
	m.mail, m.refused, m.rcpts, m.chunks, m.given, m.text = false, false, 0, false, 0, ""
}

// step gives the codes that a command must get, and changes the state.
func (m *model) step(cmd string) []int {
	line, data, _ := strings.Cut(cmd, "\r\n")
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO", "HELO", "LHLO", "RSET", "QUIT", "STARTTLS", "XCLIENT":
		if m.chunks {
			m.reset()
		}
	}
	codes := []int{m.code(verb, arg)}
	if verb == "BDAT" {
		codes = m.bdat(arg, data)
	}
	m.judge(codes[len(codes)-1])
	m.over = m.over || verb == "QUIT" && arg == ""
	return codes
}

// judge counts a reply.
func (m *model) judge(code int) {
	if code >= 400 && code != 452 { // which has a counter of its own
		m.errors++
	}
	m.over = m.over || m.errors >= maxErrors || m.junk > maxJunk || m.unknown > maxUnknown
}

func (m *model) code(verb, arg string) int {
	switch verb {
	case "EHLO", "HELO", "LHLO":
		return m.greet(verb, arg)
	case "MAIL":
		return m.from(arg)
	case "RCPT":
		return m.to(arg)
	case "DATA":
		return m.data(arg)
	case "BDAT":
		return 0
	case "RSET":
		m.junk++
		if arg != "" {
			return 501
		}
		m.reset()
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
	case "EXPN", "ETRN":
		m.junk++
		return 502
	case "QUIT":
		return map[bool]int{true: 221, false: 501}[arg == ""]
	case "AUTH":
		return m.auth(arg)
	case "STARTTLS":
		return 502
	case "XCLIENT":
		switch {
		case m.mail:
			return 503
		case arg == "ADDR=127.0.0.1":
			return 220
		}
		return 501
	case "XFORWARD":
		return 550
	}
	m.unknown++
	return 500
}

func (m *model) greet(verb, arg string) int {
	switch {
	case (verb == "LHLO") == (m.service == LMTP):
	case verb == "LHLO":
		m.unknown++
		return 500
	default:
		return 500
	}
	m.junk++
	if arg == "" {
		return 501
	}
	m.reset()
	m.greeted = true
	return 250
}

const (
	goodPlain  = "PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0"
	wrongPlain = "PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAd3Jvbmc="
)

func (m *model) auth(arg string) int {
	switch {
	case m.service != Submissions, !m.greeted, m.account, m.mail:
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
	case m.service == Submissions && !m.account:
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
	case !m.mail, m.chunks:
		return 503
	case arg == "TO:<a":
		m.refused = true
		return 501
	case m.rcpts >= 3:
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
	case m.mail && m.chunks:
		return 503
	}
	return m.ready()
}

// ready is 354 when a message may come.
func (m *model) ready() int {
	switch {
	case !m.mail:
		return 503
	case m.rcpts == 0 && m.refused:
		return 554
	case m.rcpts == 0:
		return 503
	}
	return 354
}

// bdat takes a chunk with its bytes.
func (m *model) bdat(arg, data string) []int {
	last := strings.HasSuffix(arg, " LAST")
	var size int
	if n, err := fmt.Sscanf(arg, "%d", &size); n != 1 || err != nil || size < 0 {
		m.closed, m.over = true, true
		return []int{501}
	}
	if !m.chunks {
		if code := m.ready(); code != 354 {
			return []int{code}
		}
	}
	if size > 4000-m.given {
		n := 1
		if m.service == LMTP && last {
			n = m.rcpts
		}
		m.reset()
		return slices.Repeat([]int{552}, n)
	}
	if m.chunks && size == 0 && !last {
		m.junk++
	}
	m.chunks, m.given, m.text = true, m.given+size, m.text+data
	if last {
		return m.end(strings.HasPrefix(m.text, "Subject: spam"))
	}
	return []int{250}
}

// end is the codes after the end of a message.
func (m *model) end(refused bool) []int {
	code, n := 250, 1
	if m.service == LMTP {
		n = m.rcpts
	}
	m.reset()
	if refused {
		code = 550
	} else {
		m.kept++
		m.junk, m.errors, m.unknown = 0, 0, 0
	}
	return slices.Repeat([]int{code}, n)
}

// TestRandomWalk is SMTP-029: random commands in every state get the replies that
// the model gives, and only what it says was accepted is kept.
func TestRandomWalk(t *testing.T) {
	commands := []string{"EHLO x", "HELO x", "EHLO", "LHLO x", "MAIL FROM:<a@b>", "MAIL FROM:<>", "MAIL FROM:<a", "MAIL FROM:<bad@b>",
		"RCPT TO:<c@local.example>", "RCPT TO:<c@local.example>", "RCPT TO:<nobody@local.example>", "RCPT TO:<c@foreign>", "RCPT TO:<a",
		"DATA", "DATA", "DATA now", "RSET", "RSET now", "NOOP", "VRFY x", "VRFY", "HELP", "QUIT now", "QUIT", "AUTH " + goodPlain,
		"AUTH " + wrongPlain, "AUTH CRAM-MD4", "STARTTLS", "XYZZY", "EXPN x", "ETRN example.org", "XFORWARD NAME=x",
		"XCLIENT ADDR=127.0.0.1", "XCLIENT X=1", "BDAT 0", "BDAT 0 LAST", "BDAT 6\r\n\r\n.\r\n\x00", "BDAT 6 LAST\r\nQUIT\r\n",
		"BDAT 15 LAST\r\nSubject: spam\r\n", "BDAT 3000\r\n" + strings.Repeat("x", 3000), "BDAT 4001 LAST\r\n" + strings.Repeat("y", 4001), "BDAT x"}
	messages := []string{"Subject: a\r\n\r\na\r\n.\r\n", ".\r\n", "Subject: spam\r\n.\r\n", "a\n.\nb\r\n.\r\n"}
	rules := testRules()
	rules.XclientHosts = rules.Trusted
	walk := func(t *rapid.T, service Service) {
		m := model{service: service}
		var sent []string
		want := []int{220}
		steps := rapid.SliceOfN(rapid.SampledFrom(commands), 1, 150).Draw(t, "steps")
		if rapid.Bool().Draw(t, "polite") {
			steps = append([]string{"EHLO x", "LHLO x", "AUTH " + goodPlain, "MAIL FROM:<a@b>", "RCPT TO:<c@local.example>"}, steps...)
		}
		for _, cmd := range steps {
			line := cmd
			if !strings.Contains(cmd, "\r\n") {
				line += "\r\n"
			}
			sent = append(sent, line)
			codes := m.step(cmd)
			want = append(want, codes...)
			if codes[0] == 354 {
				msg := rapid.SampledFrom(messages).Draw(t, "message")
				sent = append(sent, msg)
				codes = m.end(strings.Contains(msg, "spam") || strings.Contains(msg, "\n.\n") && !strings.HasPrefix(msg, "Subject: a"))
				m.judge(codes[len(codes)-1])
				want = append(want, codes...)
			}
			if m.over {
				if want[len(want)-1] != 221 && !m.closed {
					want = append(want, 421)
				}
				break
			}
		}
		desk := newDouble()
		desk.recipients = 3
		got := codes(t, talkFrom(desk, Config{Service: service, Rules: func() *Rules { return rules }}, "127.0.0.1:1", sent...))
		if fmt.Sprint(got) != fmt.Sprint(want) || len(desk.kept) != m.kept || desk.open != 0 {
			t.Fatalf("%v %q\n got %v, kept %d, open %d\nwant %v, kept %d", service, sent, got, len(desk.kept), desk.open, want, m.kept)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			walk(t, SMTP)
			walk(t, Submissions)
			walk(t, LMTP)
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

// states are beginnings of sessions, one for each state of the dialogue. The account
// is there at submission only; the others refuse it and go on.
var states = []string{
	"",
	"EHLO x\r\n|LHLO x\r\n",
	"EHLO x\r\n|LHLO x\r\n|AUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\n",
	"EHLO x\r\n|LHLO x\r\n|AUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\n|MAIL FROM:<a@b>\r\n",
	"EHLO x\r\n|LHLO x\r\n|AUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\n|MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\n",
	"EHLO x\r\n|LHLO x\r\n|AUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\n|MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nDATA\r\n|Subject: x\r\n",
	"EHLO x\r\n|LHLO x\r\n|AUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\n|MAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nBDAT 12\r\nSubject: x\r\n",
	"EHLO x\r\n|LHLO x\r\n|AUTH LOGIN\r\n",
	"EHLO x\r\n|LHLO x\r\n|XCLIENT ADDR=192.0.2.7 NAME=x.example\r\n",
}

// FuzzSession plays anything at the door, from every state, line by line and as it
// comes. (After STARTTLS a session is as a fresh one: FuzzSessionTLS.)
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"), true, uint8(0))
	f.Add([]byte("EHLO x\r\nAUTH LOGIN\r\nYWxpY2VAbG9jYWwuZXhhbXBsZQ==\r\nc2VjcmV0\r\nMAIL FROM:<a@b>\r\n"), true, uint8(0))
	f.Add([]byte("EHLO x\r\nAUTH PLAIN AGFsaWNlQGxvY2FsLmV4YW1wbGUAc2VjcmV0\r\nMAIL FROM:<> SIZE=1\r\nRSET\r\n"), false, uint8(0))
	f.Add([]byte("HELO x\nSTARTTLS\r\n"), false, uint8(1))
	f.Add([]byte("BDAT 5\r\nab\r\n.BDAT 3 LAST\r\n\r\n\x00NOOP\r\n"), false, uint8(4))
	f.Add([]byte("BDAT 0\r\nRCPT TO:<a@b>\r\nRSET\r\nBDAT 1 LAST\r\nx"), true, uint8(6))
	f.Add([]byte(".\r\nMAIL FROM:<a@b>\r\n"), true, uint8(5))
	f.Add([]byte("*\r\nXFORWARD NAME=x IDENT=+41\r\nETRN example.org\r\nHELP BDAT\r\n"), true, uint8(7))
	f.Add([]byte("MAIL FROM:<a@b> RET=FULL ENVID=x BY=1;N\r\nRCPT TO:<c@local.example> NOTIFY=NEVER\r\nBDAT 99999999999999\r\n"), true, uint8(8))
	rules := testRules()
	rules.XclientHosts, rules.XforwardHosts = rules.Trusted, rules.Trusted
	f.Fuzz(func(t *testing.T, script []byte, byLine bool, state uint8) {
		var segments []string
		if start := states[int(state)%len(states)]; start != "" {
			segments = strings.Split(start, "|")
		}
		if byLine {
			segments = append(segments, strings.SplitAfter(string(script), "\n")...)
		} else {
			segments = append(segments, string(script))
		}
		all := strings.Join(segments, "")
		for _, service := range []Service{SMTP, Submissions, LMTP} {
			desk, log := newDouble(), &lines{}
			w := talkFrom(desk, Config{Service: service, Events: log, Rules: func() *Rules { return rules }}, "127.0.0.1:1", segments...)
			checkSession(t, all, w, desk, log)
		}
	})
}

// checkSession is what is true of any session.
func checkSession(t *testing.T, script string, w *wire, desk *double, log *lines) {
	t.Helper()
	replies := codes(t, w)
	if len(replies) == 0 || replies[0] != 220 || desk.open != 0 {
		t.Fatalf("%v, %d open", replies, desk.open)
	}
	chunks := strings.Contains(strings.ToUpper(script), "BDAT ")
	for _, k := range desk.kept {
		if !chunks && (strings.Contains(strings.ReplaceAll(k.body, "\r\n", ""), "\n") || k.body != "" && !strings.HasSuffix(k.body, "\r\n")) {
			t.Fatalf("kept %q", k.body)
		}
	}
	if ends := strings.Count(script, "\r\n.\r\n") + strings.Count(strings.ToUpper(script), "LAST"); len(desk.kept) > ends {
		t.Fatalf("kept %d messages of %q", len(desk.kept), script)
	}
	for _, l := range log.text {
		if strings.ContainsAny(l, "\r\n\x00") {
			t.Fatalf("log line %q", l)
		}
	}
}

// TestSessionDoubles: twice the commands take about twice the time, in every state.
func TestSessionDoubles(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	message := "MAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<c@local.example>\r\nBDAT 5\r\n12345BDAT 5 LAST\r\n67890"
	for name, unit := range map[string]string{
		"messages": message, "recipients": "RCPT TO:<c@local.example>\r\n", "parameters": "MAIL FROM:<a@b> ENVID=" + strings.Repeat("+41", 30) + "\r\nRSET\r\n" + message,
		"chunks": "BDAT 1\r\nx", "data": "some text\r\n.\r\n", "help": "HELP\r\n" + message,
	} {
		rules := testRules()
		rules.MaxMessages = 1 << 30
		rules.Screen.Pipelining = Ignore
		run := func(n int) time.Duration {
			desk := newDouble()
			desk.size, desk.recipients = 1<<40, 1<<30
			script := "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@local.example>\r\n"
			if name == "messages" || name == "parameters" || name == "help" {
				script = "EHLO x\r\n"
			}
			script += strings.Repeat(unit, n)
			best := time.Hour
			for range 3 {
				start := time.Now()
				talkFrom(desk, Config{Rules: func() *Rules { return rules }}, "127.0.0.1:1", script)
				best = min(best, time.Since(start))
			}
			return best
		}
		const n = 4000
		a, b := run(n), run(2*n)
		for range 10 {
			if b < 3*a {
				break
			}
			a, b = min(a, run(n)), min(b, run(2*n))
		}
		if b >= 3*a {
			t.Errorf("%s: time grows faster than the session: %v, then %v", name, a, b)
		}
	}
}
