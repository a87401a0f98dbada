package advice

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/milter"
	"facteur/internal/net/policy"
	"facteur/internal/store/db"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

// house is a desk on real stores, with hooks.
type house struct {
	*intake.Desk
	queue *queue.Queue
	rules *intake.Rules
	log   *lines
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Emit(e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, text := e.Line()
	fmt.Fprintln(&l.text, text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	state, err := db.Open(filepath.Join(dir, "facteur.db"), directory.Migrations())
	must(t, err)
	t.Cleanup(func() { state.Close() })
	d := directory.New(state, []string{"example.org"}, dir, 0)
	for _, name := range []string{"alice", "bob"} {
		must(t, d.AddHashed(t.Context(), address.Address{Local: name, Domain: "example.org"}, "{PLAIN}secret", 0))
	}
	q, err := queue.Open(dir)
	must(t, err)
	t.Cleanup(func() { q.Close() })
	h := &house{queue: q}
	h.fresh()
	h.Desk = intake.New(func() *intake.Rules { return h.rules }, d, route.New(d, "mail.example.org", func() string { return "example.org" }), q,
		func(context.Context, directory.Account, int64) (int64, error) { return 1 << 40, nil }, event.Discard)
	return h
}

// fresh forgets hooks and log.
func (h *house) fresh() {
	h.log = &lines{}
	h.rules = &intake.Rules{Hostname: "mail.example.org", SizeLimit: 1 << 20, Recipients: 10}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// milters makes hooks of milters at addresses.
func (h *house) milters(failure Failure, addrs ...string) {
	for _, a := range addrs {
		h.rules.Hooks = append(h.rules.Hooks, NewMilter(MilterConfig{
			Config: milter.Config{Name: "inet:" + a, Network: "tcp", Address: a, ConnectTimeout: time.Minute, CommandTimeout: time.Minute},
			Scope:  Scope{[]string{"smtp"}}, Failure: failure, Hostname: "mail.example.org", MaxBody: 1 << 20,
		}, h.queue, h.log))
	}
}

// policies makes one hook of policy servers at addresses, asked at all stages.
func (h *house) policies(t *testing.T, standard string, addrs ...string) {
	t.Helper()
	action, err := policy.ParseAction(standard)
	must(t, err)
	var servers []PolicyConfig
	for _, a := range addrs {
		servers = append(servers, PolicyConfig{
			Config: policy.Config{Name: "inet:" + a, Network: "tcp", Address: a, Tries: 1, Timeout: time.Minute},
			Scope:  Scope{[]string{"smtp"}}, Default: action, Context: "test",
			Stages: []rule.Stage{rule.Connect, rule.Helo, rule.Mail, rule.Rcpt, rule.Data, rule.End},
		})
	}
	p := NewPolicies(servers, h.log)
	t.Cleanup(p.Close)
	h.rules.Hooks = append(h.rules.Hooks, p)
}

var stranger = intake.Peer{Addr: netip.MustParseAddr("192.0.2.1"), Port: 4321, Name: "client.example", Helo: "h.example",
	Protocol: "ESMTP", Service: "smtp", Session: "S1", Server: netip.MustParseAddrPort("198.51.100.1:25")}

// talk goes through a whole visit and gives the refusal and where it came, or what
// was kept.
func (h *house) talk(t *testing.T, p intake.Peer, text string, to ...string) (where string, reply *smtp.Reply, it *queue.Item, kept string) {
	t.Helper()
	ctx := t.Context()
	v, reply := h.Connect(ctx, p)
	if reply != nil {
		return "connect", reply, nil, ""
	}
	defer v.Close()
	if reply = v.Helo(ctx, p); reply != nil {
		return "helo", reply, nil, ""
	}
	tx, reply := v.Begin(ctx, p, smtp.Mail{Sender: parse(t, "x@sender.example"), Size: 12})
	if reply != nil {
		return "mail", reply, nil, ""
	}
	defer tx.Abort()
	for _, s := range to {
		if reply = tx.Recipient(ctx, smtp.Rcpt{To: parse(t, s)}); reply != nil {
			return "rcpt", reply, nil, ""
		}
	}
	if reply = tx.Data(ctx); reply != nil {
		return "data", reply, nil, ""
	}
	if reply = tx.Receive(ctx, strings.NewReader(text)); reply != nil {
		return "end", reply, nil, ""
	}
	id, reply := tx.Commit(ctx)
	if reply != nil {
		return "commit", reply, nil, ""
	}
	it, kept = h.show(t, id)
	return "", nil, it, kept
}

func (h *house) show(t *testing.T, id queue.ID) (*queue.Item, string) {
	t.Helper()
	it, body, err := h.queue.Show(t.Context(), id)
	if err != nil {
		return nil, ""
	}
	f, err := body.Open()
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return it, string(b)
}

func parse(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	must(t, err)
	return a
}

func startMilter(t *testing.T, answers map[byte]string) *sim.Milter {
	t.Helper()
	m, err := sim.StartMilter("127.0.0.1:0", answers)
	must(t, err)
	t.Cleanup(m.Close)
	return m
}

// startPolicy gives the same action at one stage, and DUNNO at the others.
func startPolicy(t *testing.T, state, action string) *sim.Policy {
	t.Helper()
	p, err := sim.StartPolicy("127.0.0.1:0", func(q map[string]string) string {
		if q["protocol_state"] == state {
			return action
		}
		return "DUNNO"
	})
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

const letter = "Subject: one\r\nFrom: x@sender.example\r\n\r\nbody\r\n"

// All that a milter can change, in what is kept; the second milter sees the first
// one's changes. INV-14: the rest is as it came.
func TestMilterChanges(t *testing.T) {
	t.Parallel()
	p := sim.MilterPacket
	one := startMilter(t, map[byte]string{'E': p('h', "X-Below\x00one\n\ttwo\x00") + p('i', "\x00\x00\x00\x01X-Top\x00t\r\nBcc: evil@x.example\x00") +
		p('m', "\x00\x00\x00\x01subject\x00changed\x00") + p('+', "<bob@example.org>\x00") + p('-', "<ALICE@example.org>\x00") +
		p('e', "<new@sender.example>\x00SIZE=1\x00") + p('b', "new ") + p('b', "body\r\n") + p('q', "looks odd\x00") + p('c', "")})
	two := startMilter(t, nil)
	h := newHouse(t)
	h.milters(TempFail, one.Addr(), two.Addr())
	where, reply, it, kept := h.talk(t, stranger, letter, "alice@example.org")
	if where != "" {
		t.Fatal(where, reply)
	}
	trace, rest, _ := strings.Cut(kept, "X-Top: ")
	want := "t Bcc: evil@x.example\r\nsubject: changed\r\nFrom: x@sender.example\r\nX-Below: one\r\n\ttwo\r\n\r\nnew body\r\n"
	if !strings.HasPrefix(trace, "Received: from h.example") || rest != want {
		t.Errorf("kept\n%q\nwant\n%q", rest, want)
	}
	if len(it.Recipients) != 1 || it.Recipients[0].Address.String() != "bob@example.org" || it.Sender.String() != "new@sender.example" {
		t.Errorf("envelope: %+v", it)
	}
	if it.Recipients[0].State != queue.Held {
		t.Errorf("it is %v, and not held", it.Recipients[0].State)
	}
	for _, want := range []string{"\nLX-Top|t Bcc: evil@x.example|\n", "\nLsubject|changed|\n", "\nLX-Below|one\n\ttwo|\n", "\nBnew body\r\n\n", "\nM<new@sender.example>"} {
		if strings.HasPrefix(want, "\nM") == strings.Contains(two.Heard(), want) { // the envelope was told before
			t.Errorf("the second heard\n%s\nlooking for %q", two.Heard(), want)
		}
	}
}

// What a milter is told of a dialogue.
func TestMilterHears(t *testing.T) {
	t.Parallel()
	m := startMilter(t, nil)
	h := newHouse(t)
	h.milters(TempFail, m.Addr())
	if where, reply, _, _ := h.talk(t, stranger, letter, "alice@example.org", "bob@example.org"); where != "" {
		t.Fatal(where, reply)
	}
	for _, want := range []string{"\nCclient.example|4\x10\xe1192.0.2.1|\n", "\nHh.example|\n", "\nM<x@sender.example>|SIZE=12|\n", "\nR<bob@example.org>|\n", "\nT\n",
		"|{daemon_name}|mail.example.org|", "|_|client.example [192.0.2.1]|", "|{if_addr}|198.51.100.1|", "|{client_resolve}|OK|", "|{mail_addr}|x@sender.example|",
		"|{rcpt_addr}|alice@example.org|{rcpt_host}|example.org|"} {
		if !strings.Contains(m.Heard(), want) {
			t.Errorf("no %q in\n%s", want, m.Heard())
		}
	}
	if strings.Contains(m.Heard(), "LReceived") {
		t.Error("our own trace field is shown")
	}
	other := stranger
	other.Service = "submission"
	h.talk(t, other, letter, "alice@example.org")
	if strings.Count(m.Heard(), "\nC") != 1 {
		t.Error("it is asked about a service that it is not for")
	}
}

// Programs of this machine are asked about when the settings say so; to a milter they
// are localhost, as with Sendmail.
func TestLocalPrograms(t *testing.T) {
	t.Parallel()
	h, local := newHouse(t), intake.Peer{User: &intake.LocalUser{UID: 1000, Name: "joe"}, Protocol: "ESMTP", Helo: "localhost", Service: "local", Session: "S2"}
	for service, want := range map[string]bool{"local": true, "smtp": false} {
		m := startMilter(t, nil)
		h.fresh()
		h.milters(TempFail, m.Addr())
		h.rules.Hooks[0].(*Milter).cfg.Services = []string{service}
		if where, reply, _, _ := h.talk(t, local, letter, "alice@example.org"); where != "" {
			t.Fatal(where, reply)
		}
		heard := m.Heard()
		if strings.Contains(heard, "\nClocalhost|4||127.0.0.1|\n") != want {
			t.Errorf("%s: it heard\n%s", service, heard)
		}
		if want && !strings.Contains(heard, "|{daemon_name}|ORIGINATING|") {
			t.Errorf("it is not told that the mail begins here:\n%s", heard)
		}
	}
}

// What a milter's verdict is to the client, at each stage.
func TestMilterVerdicts(t *testing.T) {
	t.Parallel()
	p, h := sim.MilterPacket, newHouse(t)
	for _, test := range []struct {
		command     byte
		say         string
		where, want string
	}{
		{'C', p('r', ""), "connect", "550 5.7.1 Command rejected"},
		{'H', p('y', "550 5.7.1 No\x00"), "helo", "550 5.7.1 No"},
		{'M', p('t', ""), "mail", "451 4.7.1 Service unavailable - try again later"},
		{'R', p('y', "550 5.1.1 Not here\x00"), "rcpt", "550 5.1.1 Not here"},
		{'T', p('r', ""), "data", "550 5.7.1 Command rejected"},
		{'L', p('r', ""), "end", "550 5.7.1 Command rejected"},
		{'E', p('r', ""), "end", "550 5.7.1 Command rejected"},
		{'E', p('e', "<not an address>\x00") + p('c', ""), "end", "451 4.7.1 Service unavailable - try again later"},
		{'M', p('?', ""), "mail", "451 4.7.1 Service unavailable - try again later"},
		{'C', p('?', ""), "mail", "451 4.7.1 Service unavailable - try again later"},
	} {
		m := startMilter(t, map[byte]string{test.command: test.say})
		h.fresh()
		h.milters(TempFail, m.Addr())
		where, reply, _, _ := h.talk(t, stranger, letter, "alice@example.org")
		if where != test.where || reply.Error() != test.want {
			t.Errorf("%c %q: at %s: %v", test.command, test.say, where, reply)
		}
	}
	m := startMilter(t, map[byte]string{'E': p('d', "")})
	h.fresh()
	h.milters(TempFail, m.Addr())
	if where, reply, it, _ := h.talk(t, stranger, letter, "alice@example.org"); where != "" || it != nil {
		t.Errorf("discard: %s %v, kept %v", where, reply, it)
	}
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestMilterFails(t *testing.T) {
	t.Parallel()
	h, torn := newHouse(t), startMilter(t, map[byte]string{'E': "\x00\x00\x00\x09b"})
	for _, test := range []struct {
		name, addr  string
		failure     Failure
		where, want string
	}{
		{"FLT-018 down, tempfail", nobody(t), TempFail, "mail", "451 4.7.1 Service unavailable - try again later"},
		{"FLT-018 down, reject", nobody(t), Reject, "mail", "550 5.5.0 Service unavailable"},
		{"FLT-018 down, accept", nobody(t), Accept, "", ""},
		{"FLT-018 down, quarantine", nobody(t), Quarantine, "", "held"},
		{"FLT-018 not said", nobody(t), "", "mail", "451 4.7.1 Service unavailable - try again later"},
		{"SMTP-041 hangs at the end", torn.Addr(), TempFail, "end", "451 4.7.1 Service unavailable - try again later"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.fresh()
			h.milters(test.failure, test.addr)
			h.rules.Hooks[0] = impatient{h.rules.Hooks[0]}
			where, reply, it, kept := h.talk(t, stranger, letter, "alice@example.org")
			if where != test.where || where != "" && reply.Error() != test.want {
				t.Fatalf("at %q: %v", where, reply)
			}
			if where == "" && (!strings.HasSuffix(kept, letter) || (it.Recipients[0].State == queue.Held) != (test.want == "held")) {
				t.Errorf("kept %q, %v", kept, it.Recipients[0].State)
			}
			if got := h.log.String(); strings.Count(got, "Milter service inet:"+test.addr+": ") != 1 {
				t.Errorf("it is told\n%s", got)
			}
		})
	}
}

// impatient is a hook whose context ends soon at the end of a message: the desk's does
// after a minute.
type impatient struct{ intake.Hook }

func (h impatient) Open(p *intake.Peer) intake.Adviser { return impatientTalk{h.Hook.Open(p)} }

type impatientTalk struct{ intake.Adviser }

func (a impatientTalk) Ask(ctx context.Context, stage rule.Stage, q *intake.Question) intake.Advice {
	if stage == rule.End {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
	}
	return a.Adviser.Ask(ctx, stage, q)
}

func TestPolicyActions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, test := range []struct{ state, action, where, want string }{
		{"CONNECT", "REJECT go", "connect", "554 5.7.1 <client.example[192.0.2.1]>: Client host rejected: go"},
		{"HELO", "550 5.7.1 no", "helo", "550 5.7.1 <h.example>: Helo command rejected: no"},
		{"MAIL", "DEFER", "mail", "450 4.7.1 <x@sender.example>: Sender address rejected: Service is unavailable, try again later"},
		{"RCPT", "DEFER_IF_PERMIT 4.2.0 Greylisted", "rcpt", "450 4.2.0 <alice@example.org>: Recipient address rejected: Greylisted"},
		{"DATA", "REJECT", "data", "554 5.7.1 <DATA>: Data command rejected: Access denied"},
		{"END-OF-MESSAGE", "451 4.3.0 later", "end", "451 4.3.0 <END-OF-MESSAGE>: End-of-data rejected: later"},
		{"RCPT", "FILTER smtp:[127.0.0.1]:25", "rcpt", "451 4.3.5 <alice@example.org>: Recipient address rejected: broken"},
		{"RCPT", "whatever", "rcpt", "451 4.3.5 <alice@example.org>: Recipient address rejected: broken"},
		{"RCPT", "REDIRECT not an address", "rcpt", "451 4.3.5 <alice@example.org>: Recipient address rejected: broken"},
		{"RCPT", "", "rcpt", "451 4.3.5 <alice@example.org>: Recipient address rejected: broken"},
		{"RCPT", "OK", "", "to alice@example.org"},
		{"RCPT", "DUNNO", "", "to alice@example.org"},
		{"RCPT", "DEFER_IF_REJECT", "", "to alice@example.org"},
		{"RCPT", "PREPEND X-Policy: seen", "", "X-Policy: seen\r\nReceived: "},
		{"END-OF-MESSAGE", "PREPEND X-Policy: seen", "", "X-Policy: seen\r\nReceived: "},
		{"RCPT", "REDIRECT bob@example.org", "", "to bob@example.org"},
		{"RCPT", "BCC bob@example.org", "", "to bob@example.org alice@example.org"},
		{"MAIL", "HOLD look", "", "held"},
		{"END-OF-MESSAGE", "HOLD", "", "held"},
		{"RCPT", "WARN odd", "", "warning: policy server"},
		{"RCPT", "INFO odd", "", "info: policy server"},
	} {
		t.Run(test.state+" "+test.action, func(t *testing.T) {
			p := startPolicy(t, test.state, test.action)
			h.fresh()
			h.policies(t, "451 4.3.5 broken", p.Addr())
			where, reply, it, kept := h.talk(t, stranger, letter, "alice@example.org")
			if where != test.where || where != "" && reply.Error() != test.want {
				t.Fatalf("at %q: %v\n%s", where, reply, h.log)
			}
			if where != "" {
				return
			}
			var to []string
			for _, r := range it.Recipients {
				to = append(to, r.Address.String())
			}
			facts := "to " + strings.Join(to, " ") + "\n" + kept + "\n" + h.log.String()
			if it.Recipients[0].State == queue.Held {
				facts += "held"
			}
			if !strings.Contains(facts, test.want) {
				t.Errorf("no %q in\n%s", test.want, facts)
			}
		})
	}
	t.Run("DISCARD", func(t *testing.T) {
		p := startPolicy(t, "RCPT", "DISCARD sink")
		h.fresh()
		h.policies(t, "451 4.3.5 broken", p.Addr())
		if where, reply, it, _ := h.talk(t, stranger, letter, "alice@example.org"); where != "" || it != nil {
			t.Errorf("%s %v, kept %v", where, reply, it)
		}
	})
}

// INV-07: whatever a server says, what is not ours to relay stays refused.
func TestNoAnswerRelays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, action := range []string{"OK", "PREPEND X: y", "REDIRECT x@elsewhere.example"} {
		p := startPolicy(t, "RCPT", action)
		m := startMilter(t, map[byte]string{'R': sim.MilterPacket('a', "")})
		h.fresh()
		h.policies(t, "DUNNO", p.Addr())
		h.milters(Accept, m.Addr())
		if where, reply, _, _ := h.talk(t, stranger, letter, "y@elsewhere.example"); where != "rcpt" || reply.Code != 554 {
			t.Errorf("%s: at %q: %v", action, where, reply)
		}
	}
}

// Several servers: the first that decides, decides.
func TestPolicyOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, test := range []struct{ one, two, want string }{
		{"DUNNO", "REJECT", "554"},
		{"OK", "REJECT", ""},
		{"450 x", "REJECT", "450"},
		{"DEFER_IF_PERMIT", "REJECT", "554"},
		{"DEFER_IF_PERMIT", "OK", "450"},
		{"DEFER_IF_PERMIT", "DUNNO", "450"},
		{"DEFER_IF_REJECT", "REJECT", "450"},
		{"DEFER_IF_REJECT", "451 x", "451"},
		{"DEFER_IF_REJECT", "OK", ""},
	} {
		one := startPolicy(t, "RCPT", test.one)
		two := startPolicy(t, "RCPT", test.two)
		h.fresh()
		h.policies(t, "DUNNO", one.Addr(), two.Addr())
		_, reply, _, _ := h.talk(t, stranger, letter, "alice@example.org")
		got := ""
		if reply != nil {
			got = fmt.Sprint(reply.Code)
		}
		if got != test.want {
			t.Errorf("%s, then %s: %v, want %s", test.one, test.two, reply, test.want)
		}
	}
}

// A policy server with a condition is asked where it holds; where nobody knows, the client
// comes again.
func TestPolicyWhen(t *testing.T) {
	t.Parallel()
	trusted := stranger
	trusted.Addr = netip.MustParseAddr("192.0.2.200")
	h := newHouse(t)
	for when, want := range map[string][2]string{ // a stranger, a trusted client
		`!trusted && account == ""`:                                {"554", ""},
		`recipient.user == "alice" && sender.address != ""`:        {"554", "554"},
		`recipient.user == "bob"`:                                  {"", ""},
		`!trusted && in_list("down", client)`:                      {"451", ""},
		`!in_list("empty", sender) && recipient.domain != "x.net"`: {"554", "554"},
	} {
		asked, errs := rule.Compile([]rule.Rule{{Name: "x", Stage: "rcpt", When: when, Then: []string{"accept"}}}, []string{"down", "empty"},
			rule.Sources{List: func(_ context.Context, name, _ string) lookup.Answer[string] {
				if name == "down" {
					return lookup.Later[string](io.ErrUnexpectedEOF)
				}
				return lookup.No[string](nil)
			}})
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		server := startPolicy(t, "RCPT", "REJECT")
		h.fresh()
		h.rules.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.200/32")}
		p := NewPolicies([]PolicyConfig{{
			Config: policy.Config{Name: "inet:" + server.Addr(), Network: "tcp", Address: server.Addr(), Tries: 1, Timeout: time.Minute},
			Scope:  Scope{[]string{"smtp"}}, Stages: []rule.Stage{rule.Rcpt}, Asked: asked,
		}}, h.log)
		t.Cleanup(p.Close)
		h.rules.Hooks = append(h.rules.Hooks, p)
		for n, peer := range []intake.Peer{stranger, trusted} {
			_, reply, _, _ := h.talk(t, peer, letter, "alice@example.org")
			got := ""
			if reply != nil {
				got = fmt.Sprint(reply.Code)
			}
			if got != want[n] {
				t.Errorf("%s, client %d: %v, want %q", when, n, reply, want[n])
			}
		}
	}
}

// What a policy server is told.
func TestPolicyHears(t *testing.T) {
	t.Parallel()
	p := startPolicy(t, "", "DUNNO")
	h := newHouse(t)
	h.policies(t, "DUNNO", p.Addr())
	who := stranger
	who.Addr = netip.MustParseAddr("2001:db8::1")
	if where, reply, _, _ := h.talk(t, who, letter, "alice@example.org", "bob@example.org"); where != "" {
		t.Fatal(where, reply)
	}
	var stages []string
	instances := map[string]bool{}
	for _, q := range p.Asked() {
		stages = append(stages, q["protocol_state"]+" "+q["recipient"]+" "+q["recipient_count"]+" "+q["size"])
		if q["queue_id"] != "" {
			instances[q["instance"]] = true
		}
		if q["client_address"] != "2001:db8::1" || q["client_port"] != "4321" || q["server_port"] != "25" || q["policy_context"] != "test" || q["helo_name"] != "h.example" {
			t.Errorf("%v", q)
		}
	}
	want := fmt.Sprintf("CONNECT  0 0, HELO  0 0, MAIL  0 12, RCPT alice@example.org 0 12, RCPT bob@example.org 0 12, DATA  2 12, END-OF-MESSAGE  2 %d", len(letter))
	if got := strings.Join(stages, ", "); got != want || len(instances) != 1 {
		t.Errorf("got  %s\nwant %s\ninstances %v", got, want, instances)
	}
}

// MAP-006: what can not be framed is not sent, and nobody guesses the answer.
func TestPolicyUnframeable(t *testing.T) {
	t.Parallel()
	p := startPolicy(t, "", "OK")
	h := newHouse(t)
	h.policies(t, "451 4.3.5 broken", p.Addr())
	who := stranger
	who.Helo = "h\nclient_address=127.0.0.1"
	where, reply, _, _ := h.talk(t, who, letter, "alice@example.org")
	if where != "connect" || reply.Code != 451 || len(p.Asked()) != 0 {
		t.Errorf("at %s: %v, asked %d times", where, reply, len(p.Asked()))
	}
}

// Many visits at the same time: each milter talk is its own, and the connections of
// the policy server are shared without a mix-up of answers.
func TestManyVisits(t *testing.T) {
	t.Parallel()
	m := startMilter(t, map[byte]string{'E': sim.MilterPacket('h', "X-Seen\x00yes\x00") + sim.MilterPacket('c', "")})
	p, err := sim.StartPolicy("127.0.0.1:0", func(q map[string]string) string {
		return "PREPEND X-Session: " + q["instance"]
	})
	must(t, err)
	defer p.Close()
	h := newHouse(t)
	h.policies(t, "451 4.3.5 broken", p.Addr())
	h.milters(TempFail, m.Addr())
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			who := stranger
			who.Session = fmt.Sprint("S", i)
			for range 5 {
				where, reply, _, kept := h.talk(t, who, letter, "alice@example.org")
				if where != "" || strings.Count(kept, "X-Session: "+who.Session+".") != 4 || !strings.Contains(kept, "\r\nX-Seen: yes\r\n\r\nbody\r\n") {
					t.Errorf("at %q: %v, kept %q", where, reply, kept)
				}
			}
		})
	}
	wg.Wait()
}
