package intake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"facteur/internal/base/event"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

// counter is a desk on real stores, with a usage that the test sets.
type counter struct {
	*Desk
	queue *queue.Queue
	state *db.DB
	dir   string
	used  int64
	fail  error
}

func newCounter(t testing.TB, quota int64) *counter {
	t.Helper()
	dir := t.TempDir()
	state, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	must(t, err)
	t.Cleanup(func() { state.Close() })
	d := directory.New(state, []string{"example.org"}, dir, quota)
	for _, name := range []string{"alice", "bob", "o'hara"} {
		must(t, d.AddHashed(context.Background(), address.Address{Local: name, Domain: "example.org"}, "{PLAIN}secret", 0))
	}
	q, err := queue.Open(dir)
	must(t, err)
	t.Cleanup(func() { q.Close() })
	c := &counter{queue: q, state: state, dir: dir}
	rules := &Rules{Hostname: "mail.example.org", SizeLimit: 10_000, Recipients: 3, Trusted: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	c.Desk = New(func() *Rules { return rules }, d, route.New(d, "mail.example.org", func() string { return "example.org" }), q,
		func(_ context.Context, a directory.Account, _ int64) (int64, error) {
			if a.Quota == 0 {
				return math.MaxInt64, c.fail
			}
			return max(a.Quota-c.used, 0), c.fail
		}, event.Discard)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var stranger = Peer{Addr: netip.MustParseAddr("192.0.2.1"), Name: "unknown", Helo: "h", Protocol: "ESMTP"}

func insider(account string) Peer {
	p := stranger
	p.Account, p.Submission = account, true
	return p
}

func addr(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	must(t, err)
	return a
}

// offer walks a transaction up to RCPT and gives the first refusal.
func (c *counter) offer(t testing.TB, p Peer, m smtp.Mail, to ...string) (*Transaction, *smtp.Reply) {
	t.Helper()
	tx, reply := c.Begin(context.Background(), p, m)
	for i := 0; reply == nil && i < len(to); i++ {
		reply = tx.Recipient(context.Background(), smtp.Rcpt{To: addr(t, to[i])})
	}
	return tx, reply
}

func code(r *smtp.Reply) string {
	if r == nil {
		return "ok"
	}
	return fmt.Sprint(r.Code, " ", r.Enhanced)
}

// TestWhoMaySendWhere: row 24, who relays (trusted networks, who has logged in) and who does
// not; row 34, recipients that nobody knows.
func TestWhoMaySendWhere(t *testing.T) {
	c := newCounter(t, 0)
	trusted := stranger
	trusted.Addr = netip.MustParseAddr("::ffff:10.1.2.3")
	for _, x := range []struct {
		name, to, want string
		peer           Peer
	}{
		{"a stranger to us", "alice@example.org", "ok", stranger},
		{"any case", "ALICE@EXAMPLE.ORG", "ok", stranger},
		{"REL-001 a stranger to elsewhere", "x@accept.example", "554 5.7.1", stranger},
		{"REL-004 a quoted @", `"x@accept.example"@example.org`, "550 5.1.1", stranger},
		{"REL-004 a quoted @ elsewhere", `"alice@example.org"@accept.example`, "554 5.7.1", stranger},
		{"REL-005 our own address as a literal", "alice@[192.0.2.25]", "554 5.7.1", stranger},
		{"REL-005 an address literal", "alice@[127.0.0.1]", "554 5.7.1", stranger},
		{"REL-006 a homograph", "alice@examplе.org", "554 5.7.1", stranger}, // Cyrillic е
		{"an unknown user", "nobody@example.org", "550 5.1.1", stranger},
		{"an unknown user, from inside", "nobody@example.org", "550 5.1.1", insider("alice@example.org")},
		{"alice to elsewhere", "x@accept.example", "ok", insider("alice@example.org")},
		{"REL-017 the trusted network, mapped into IPv6", "x@accept.example", "ok", trusted},
	} {
		t.Run(x.name, func(t *testing.T) {
			if _, reply := c.offer(t, x.peer, smtp.Mail{}, x.to); code(reply) != x.want {
				t.Errorf("%v, want %s", reply, x.want)
			}
		})
	}
}

// TestNeverRelayForStrangers holds the desk against a predicate of three lines:
// INV-07, row 22.
func TestNeverRelayForStrangers(t *testing.T) {
	c := newCounter(t, 0)
	rapid.Check(t, func(r *rapid.T) {
		local := rapid.SampledFrom([]string{"alice", "Alice", `"alice"`, `"a b"`, "bob%accept.example", "x!alice", `"@"`}).Draw(r, "local")
		domain := rapid.SampledFrom([]string{"example.org", "EXAMPLE.org", "example.org.example", "sub.example.org", "accept.example",
			"[127.0.0.1]", "[IPv6:::1]", "xn--exampl-8of.org", "examplE.ORG"}).Draw(r, "domain")
		to, err := address.Parse(local + "@" + domain)
		if err != nil {
			return
		}
		tx, reply := c.Begin(context.Background(), stranger, smtp.Mail{})
		if reply == nil {
			reply = tx.Recipient(context.Background(), smtp.Rcpt{To: to})
		}
		if ours := strings.EqualFold(domain, "example.org"); reply == nil && !ours {
			r.Fatalf("relayed to %s", to)
		} else if !ours && reply.Code != 554 {
			r.Fatalf("%s: %v", to, reply)
		}
	})
}

func TestSenderIsWhoLoggedIn(t *testing.T) {
	c := newCounter(t, 0)
	for from, want := range map[string]string{
		"alice@example.org": "ok", "Alice@Example.org": "ok", "alice+lists@example.org": "ok",
		"bob@example.org": "553 5.7.1", "alice@accept.example": "553 5.7.1", `"alice+x@y"@accept.example`: "553 5.7.1",
	} {
		if _, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, from)}); code(reply) != want {
			t.Errorf("SMTP-038, REL-010 %s: %v, want %s", from, reply, want)
		}
	}
	if _, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{}); reply != nil {
		t.Errorf("the null sender: %v", reply)
	}
}

func TestLimits(t *testing.T) {
	c := newCounter(t, 0)
	if _, reply := c.offer(t, stranger, smtp.Mail{Size: 10_001}); code(reply) != "552 5.3.4" {
		t.Errorf("SMTP-024: %v", reply)
	}
	tx, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{}, "a@x.example", "b@x.example", "a@x.example", "A@X.example", "c@x.example")
	// The case of a foreign local part may matter, so A@ is another; the second a@ is not.
	if code(reply) != "452 4.5.3" || tx.Recipients() != 3 {
		t.Errorf("SMTP-030, SMTP-031: %v, %d recipients", reply, tx.Recipients())
	}
	tx, _ = c.offer(t, stranger, smtp.Mail{Size: 1}, "alice@example.org")
	body := strings.NewReader("Subject: x\r\n\r\n" + strings.Repeat("y", 20_000))
	if reply := tx.Receive(context.Background(), body); code(reply) != "552 5.3.4" {
		t.Errorf("SMTP-025: %v", reply)
	}
	if body.Len() != 0 {
		t.Errorf("SMTP-025: %d bytes left unread, and the dialogue out of step", body.Len())
	}
	if n, _, _ := c.queue.Depth(context.Background()); n != 0 {
		t.Error("something was kept")
	}
}

func TestQuota(t *testing.T) {
	c := newCounter(t, 1000)
	receive := func(size int) *smtp.Reply {
		tx, reply := c.offer(t, stranger, smtp.Mail{}, "alice@example.org")
		if reply != nil {
			return reply
		}
		return tx.Receive(context.Background(), strings.NewReader("\r\n"+strings.Repeat("x", size)))
	}
	c.used = 100
	if reply := receive(10); reply != nil {
		t.Errorf("there is room: %v", reply)
	}
	if reply := receive(1000); code(reply) != "552 5.2.2" {
		t.Errorf("never fits: %v", reply)
	}
	rules := *c.Desk.rules()
	c.Desk.rules = func() *Rules { return &rules }
	for _, want := range []string{"552 5.2.2", "452 4.2.2"} {
		c.used = 100
		rules.FullLater = want[0] == '4'
		if reply := receive(780); code(reply) != want {
			t.Errorf("does not fit now: %v", reply)
		}
		if _, reply := c.offer(t, stranger, smtp.Mail{Size: 950}, "alice@example.org"); code(reply) != want {
			t.Errorf("announced too large: %v", reply)
		}
		c.used = 1000
		if _, reply := c.offer(t, stranger, smtp.Mail{}, "alice@example.org"); code(reply) != want {
			t.Errorf("full: %v", reply)
		}
	}
	c.fail = errors.New("disk")
	if _, reply := c.offer(t, stranger, smtp.Mail{}, "alice@example.org"); code(reply) != "451 4.3.0" {
		t.Errorf("INV-08: %v", reply)
	}
}

func TestTheLastOfTheDiskIsKept(t *testing.T) {
	c := newCounter(t, 0)
	rules := *c.Desk.rules()
	c.Desk.rules = func() *Rules { return &rules }
	free := c.queue.Free()
	if free <= 0 {
		t.Skip("the free space of this disk is not known")
	}
	rules.MinFree = free * 2
	if _, reply := c.offer(t, stranger, smtp.Mail{}); code(reply) != "452 4.3.1" {
		t.Errorf("FLT-006: %v", reply)
	}
	rules.MinFree = free / 2
	if _, reply := c.offer(t, stranger, smtp.Mail{}); reply != nil {
		t.Errorf("FLT-006: %v", reply)
	}
}

// TestADeadDirectoryRefusesNobody: INV-08, MAP-004.
func TestADeadDirectoryRefusesNobody(t *testing.T) {
	c := newCounter(t, 0)
	c.state.Close()
	for _, to := range []string{"bob@example.org", "never-seen@example.org", "x@accept.example"} {
		if _, reply := c.offer(t, stranger, smtp.Mail{}, to); reply == nil || reply.Permanent() && to != "x@accept.example" {
			t.Errorf("%s: %v", to, reply)
		}
	}
}

// kept gives what the queue holds of the one message that was taken.
func (c *counter) kept(t testing.TB, p Peer, r io.Reader, to ...string) string {
	t.Helper()
	tx, reply := c.offer(t, p, smtp.Mail{}, to...)
	if reply == nil {
		reply = tx.Receive(context.Background(), r)
	}
	var id queue.ID
	if reply == nil {
		id, reply = tx.Commit(context.Background())
	}
	if reply != nil {
		t.Fatal(reply)
	}
	_, body, err := c.queue.Show(context.Background(), id)
	must(t, err)
	f, err := body.Open()
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return string(b)
}

func TestBytesAreKept(t *testing.T) {
	c := newCounter(t, 0)
	for name, text := range map[string]string{
		"usual":      "Subject: x\r\nDate: d\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n",
		"empty":      "",
		"no body":    "Subject: x\r\n",
		"no header":  "\r\nbody\r\n",
		"no newline": "x",
		"8 bit":      "Subject: \xff\x80\r\n\r\n\x00\xfe",
		"long":       "Subject: " + strings.Repeat("x", 5000) + "\r\n\r\n" + strings.Repeat("line\r\n", 700),
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
				got := c.kept(t, stranger, r, "alice@example.org")
				trace, ok := strings.CutSuffix(got, text)
				if !ok || !strings.HasPrefix(trace, "Received: from h (unknown [192.0.2.1])\r\n\tby mail.example.org (facteur) with ESMTP id ") ||
					!strings.Contains(trace, "\r\n\tfor <alice@example.org>; ") || strings.Count(trace, "\r\n") != 3 {
					t.Errorf("INV-14: %q", got)
				}
			}
		})
	}
}

func TestFieldsThatSubmittedMailLacks(t *testing.T) {
	c := newCounter(t, 0)
	got := c.kept(t, insider("alice@example.org"), strings.NewReader("Subject: x\r\n\r\n"), "x@y.example", "z@y.example")
	if !strings.Contains(got, "\r\nDate: ") || !strings.Contains(got, "\r\nMessage-Id: <") || strings.Contains(got, "for <") ||
		!strings.Contains(got, "\t(Authenticated sender: alice@example.org)\r\n") {
		t.Errorf("%q", got)
	}
	got = c.kept(t, insider("alice@example.org"), strings.NewReader("date:\r\n x\r\nMESSAGE-ID : <1@x>\r\n\r\n"), "x@y.example")
	if strings.Count(got, "ate:") != 1 || strings.Count(got, "1@x") != 1 || strings.Contains(got, "Message-Id:") {
		t.Errorf("doubled: %q", got)
	}
	if got = c.kept(t, stranger, strings.NewReader("Subject: x\r\n\r\n"), "alice@example.org"); strings.Contains(got, "Date:") {
		t.Errorf("a stranger's letter was mended: %q", got)
	}
}

func TestLoopsEnd(t *testing.T) {
	c := newCounter(t, 0)
	for n, want := range map[int]string{50: "ok", 51: "554 5.4.6"} {
		tx, _ := c.offer(t, stranger, smtp.Mail{}, "alice@example.org")
		text := strings.Repeat("Received: from x by y\r\n\tfor z; date\r\n", n) + "\r\nReceived: in the body\r\n"
		if reply := tx.Receive(context.Background(), strings.NewReader(text)); code(reply) != want {
			t.Errorf("LOOP-001 with %d: %v, want %s", n, reply, want)
		}
	}
}

func TestHostileHeloStaysOnItsLine(t *testing.T) {
	c := newCounter(t, 0)
	p := stranger
	p.Helo, p.Name = "a\r\nBcc: x@y (", "n\x00\\)"+strings.Repeat("é", 1000)
	got := c.kept(t, p, strings.NewReader("S: x\r\n\r\n"), "alice@example.org")
	if strings.Contains(got, "\nBcc") || strings.Count(got, "(") != 3 || !utf8.ValidString(got) || strings.Contains(got, "\x00") {
		t.Errorf("SMTP-035, AUT-027: %q", got[:200])
	}
}

// reader that fails as a door's data reader does.
type bad struct{ io.Reader }

func (b bad) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = &smtp.DataError{BareLF: true}
	}
	return n, err
}

func TestTheDoorsVerdictIsTheReply(t *testing.T) {
	c := newCounter(t, 0)
	for _, text := range []string{"", "x: y", "x: y\r\n\r\nbody"} {
		tx, _ := c.offer(t, stranger, smtp.Mail{}, "alice@example.org")
		if reply := tx.Receive(context.Background(), bad{strings.NewReader(text)}); code(reply) != "550 5.6.11" {
			t.Errorf("SMTP-001 %q: %v", text, reply)
		}
	}
	const lines = "Date: d\nMessage-Id: <1@x>\n\n.\nbody\n"
	var data smtp.Data
	data.Reset(bufio.NewReader(strings.NewReader(lines+"\r\n.\r\n")), 1000)
	if got := c.kept(t, insider("alice@example.org"), &data, "x@y.example"); !strings.HasSuffix(got, "\r\nDate: d\r\nMessage-Id: <1@x>\r\n\r\n.\r\nbody\r\n\r\n") {
		t.Errorf("SMTP-001 from our own user: %q", got)
	}
	if got := c.kept(t, insider("alice@example.org"), strings.NewReader(lines), "x@y.example"); !strings.HasSuffix(got, lines) {
		t.Errorf("SMTP-005 from our own user, by BDAT: %q", got)
	}
	tx, _ := c.offer(t, stranger, smtp.Mail{}, "alice@example.org")
	if reply := tx.Receive(context.Background(), iotest.ErrReader(io.ErrUnexpectedEOF)); reply == nil || !reply.Temporary() {
		t.Errorf("SMTP-040: %v", reply)
	}
}

// TestForwarded: what a filter in front says of its client is in the log line, in
// Postfix's words, and in the journey.
func TestForwarded(t *testing.T) {
	p := stranger
	p.Forwarded = &Forwarded{Name: "mx.example.com", Ident: "4F1A", Addr: netip.MustParseAddr("198.51.100.2")}
	e := Accepted{Item: &queue.Item{ID: 1, Size: 9}, Peer: p}
	if _, line := e.Line(); !strings.HasSuffix(line, ": client=unknown[192.0.2.1], orig_queue_id=4F1A, orig_client=mx.example.com[198.51.100.2]") {
		t.Error(line)
	}
	if s := e.Step().Sentence; !strings.Contains(s, ", which it had from mx.example.com [198.51.100.2], where its name was 4F1A; it was accepted") {
		t.Error(s)
	}
	p.Forwarded = &Forwarded{}
	e = Accepted{Item: &queue.Item{ID: 1, Size: 9}, Peer: p}
	if _, line := e.Line(); !strings.HasSuffix(line, "client=unknown[192.0.2.1]") {
		t.Error("nothing known: ", line)
	}
	e.Peer = Peer{}
	if _, line := e.Line(); !strings.HasSuffix(line, "client=localhost[unix]") {
		t.Error("a Unix socket: ", line)
	}
}

// TestHeadersAreLines: what comes by BDAT may have any octet in its body, and not in
// its header.
func TestHeadersAreLines(t *testing.T) {
	c := newCounter(t, 0)
	for text, want := range map[string]string{
		"A: b\r\n\r\nNUL \x00, CR \r, LF \n": "ok",
		"A: b\n\n\x00":                       "ok",
		"A: \x00b\r\n\r\n":                   "550 5.6.11",
		"A: b\rBcc: c@d\r\n\r\n":             "550 5.6.11",
		"A: b\r\n\r\r\n\r\n":                 "550 5.6.11",
		// What is looked at ends between CR and LF.
		"B: \r\n" + strings.Repeat("A: x\r\n", headMax/6+1): "552 5.3.4",
	} {
		tx, _ := c.offer(t, stranger, smtp.Mail{Body: "BINARYMIME"}, "alice@example.org")
		if reply := tx.Receive(context.Background(), strings.NewReader(text)); code(reply) != want {
			t.Errorf("SMTP-021 %.40q: %v, want %s", text, reply, want)
		}
	}
}
