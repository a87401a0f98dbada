package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/rule"
	mailaddress "facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// with changes the rules of a counter.
func (c *counter) with(change func(*Rules)) {
	rules := *c.Desk.rules()
	change(&rules)
	c.Desk.rules = func() *Rules { return &rules }
}

// govern gives a counter access rules: stage, when, then.
func (c *counter) govern(t testing.TB, rules ...[3]string) {
	t.Helper()
	var list []rule.Rule
	for i, r := range rules {
		list = append(list, rule.Rule{Name: fmt.Sprint("rule ", i), Stage: r[0], When: r[1], Then: strings.Split(r[2], "; ")})
	}
	set, errs := rule.Compile(list, []string{"down"}, rule.Sources{
		List: func(context.Context, string, string) lookup.Answer[string] {
			return lookup.Later[string](errors.New("no answer"))
		},
		Known: func(context.Context, mailaddress.Address) lookup.Answer[bool] { return lookup.Yes(true) },
	})
	for _, e := range errs {
		t.Fatal(e)
	}
	c.with(func(r *Rules) { r.Access = set })
}

// diary keeps what happened.
type diary struct {
	mu     sync.Mutex
	events []event.Event
}

func (d *diary) Emit(e event.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// lines are the traditional log.
func (d *diary) lines() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, e := range d.events {
		if program, text := e.Line(); text != "" && e.Level() >= slog.LevelInfo {
			fmt.Fprintf(&b, "%s: %s\n", program, text)
		}
	}
	return b.String()
}

// sentences are the journey.
func (d *diary) sentences() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, e := range d.events {
		if s, ok := e.(event.Stepper); ok && s.Step().Kind != "" {
			b.WriteString(s.Step().Sentence + "\n")
		}
	}
	return b.String()
}

// talk is a whole dialogue: what was answered where it first was refused.
func (c *counter) talk(t testing.TB, p Peer, m smtp.Mail, text string, to ...string) (where, answer string, id queue.ID) {
	t.Helper()
	ctx := context.Background()
	v, reply := c.Connect(ctx, p)
	if reply != nil {
		return "connect", reply.Error(), 0
	}
	defer v.Close()
	if reply := v.Helo(ctx, p); reply != nil {
		return "helo", reply.Error(), 0
	}
	tx, reply := v.Begin(ctx, p, m)
	if reply != nil {
		return "mail", reply.Error(), 0
	}
	defer tx.Abort()
	for _, r := range to {
		if reply := tx.Recipient(ctx, smtp.Rcpt{To: addr(t, r)}); reply != nil {
			return "rcpt", reply.Error(), 0
		}
	}
	if reply := tx.Data(ctx); reply != nil {
		return "data", reply.Error(), 0
	}
	if reply := tx.Receive(ctx, strings.NewReader(text)); reply != nil {
		return "end", reply.Error(), 0
	}
	id, reply = tx.Commit(ctx)
	if reply != nil {
		return "commit", reply.Error(), 0
	}
	return "", "", id
}

// bytes are what the queue keeps of an item.
func (c *counter) bytes(t testing.TB, id queue.ID) (*queue.Item, string) {
	t.Helper()
	item, body, err := c.queue.Show(context.Background(), id)
	must(t, err)
	f, err := body.Open()
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return item, string(b)
}

const text = "Subject: offer\r\nX-Old: 1\r\nx-old: 2\r\nDate: d\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n"

// TestWhereRefusalsAreTold: what is decided before RCPT is told there, or at once (row 32);
// the restrictions of each stage (rows 25, 27, 28, 29 and 31) with soft_bounce (row 38).
func TestWhereRefusalsAreTold(t *testing.T) {
	c := newCounter(t, 0)
	for _, x := range []struct{ stage, when, late, early, answer string }{
		{"connect", `client.in("192.0.2.0/24")`, "rcpt", "connect", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: no"},
		{"helo", `!fqdn(helo)`, "rcpt", "helo", "554 5.7.1 <h>: Helo command rejected: no"},
		{"mail", `sender.domain == "x.example"`, "rcpt", "mail", "554 5.7.1 <s@x.example>: Sender address rejected: no"},
		{"rcpt", `recipient.user == "alice"`, "rcpt", "rcpt", "554 5.7.1 <alice@example.org>: Recipient address rejected: no"},
		{"data", `recipients == 1`, "data", "data", "554 5.7.1 no"},
		{"end", `header("subject") == "offer"`, "end", "end", "554 5.7.1 no"},
	} {
		for _, delay := range []bool{true, false} {
			c.govern(t, [3]string{x.stage, x.when, "reject 554 5.7.1 no"})
			c.with(func(r *Rules) { r.DelayReject, r.SoftBounce = delay, false })
			want := x.early
			if delay {
				want = x.late
			}
			where, answer, _ := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "s@x.example")}, text, "alice@example.org")
			if where != want || answer != x.answer {
				t.Errorf("%s, delayed %v: at %s %q", x.stage, delay, where, answer)
			}
			if c.WantsName() != (x.stage == "connect" && !delay) {
				t.Errorf("%s: wants the name: %v", x.stage, c.WantsName())
			}
			// soft_bounce: the same, for now.
			c.with(func(r *Rules) { r.SoftBounce = true })
			_, answer, _ = c.talk(t, stranger, smtp.Mail{Sender: addr(t, "s@x.example")}, text, "alice@example.org")
			if soft := "454 4.7.1" + strings.TrimPrefix(x.answer, "554 5.7.1"); answer != soft {
				t.Errorf("%s: soft_bounce: %q", x.stage, answer)
			}
		}
	}
}

// TestSoftBounceIsForOurOwnRefusalsToo: row 38, not only for those of rules.
func TestSoftBounceIsForOurOwnRefusalsToo(t *testing.T) {
	c := newCounter(t, 0)
	c.with(func(r *Rules) { r.SoftBounce = true })
	for to, want := range map[string]string{"nobody@example.org": "450 4.1.1", "x@accept.example": "454 4.7.1"} {
		if _, reply := c.offer(t, stranger, smtp.Mail{}, to); code(reply) != want {
			t.Errorf("%s: %v, want %s", to, reply, want)
		}
	}
}

// TestNoRuleMakesARelay: the last word of "accept" is about the rules, not about
// where mail may go.
func TestNoRuleMakesARelay(t *testing.T) {
	c := newCounter(t, 0)
	c.govern(t, [3]string{"rcpt", "", "accept"}, [3]string{"mail", "", "accept"})
	if where, answer, _ := c.talk(t, stranger, smtp.Mail{}, text, "x@accept.example"); where != "rcpt" || !strings.HasPrefix(answer, "554 5.7.1") {
		t.Errorf("INV-07: %s %q", where, answer)
	}
}

// TestAFailingLookUpPutsOff: INV-08, at each stage.
func TestAFailingLookUpPutsOff(t *testing.T) {
	c := newCounter(t, 0)
	for _, stage := range []string{"connect", "helo", "mail", "rcpt", "data", "end"} {
		log := &diary{}
		c.Desk.events = log
		c.govern(t, [3]string{stage, `in_list("down", client)`, "reject 554 5.7.1 no"})
		where, answer, _ := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org")
		if answer != "451 4.3.0 Temporary lookup failure" {
			t.Errorf("INV-08 %s: at %s %q", stage, where, answer)
		}
		if !strings.Contains(log.lines(), `rule "rule 0": list down: no answer`) {
			t.Errorf("%s: %s", stage, log.lines())
		}
	}
}

// TestWhatRulesDo: each action, in the queue and in the log.
func TestWhatRulesDo(t *testing.T) {
	c := newCounter(t, 0)
	for _, x := range []struct {
		stage, then string
		stored      string // what is behind the prefix
		check       func(*queue.Item, string) bool
		log         string
	}{
		{"rcpt", "prepend X-A: b", text, func(_ *queue.Item, b string) bool { return strings.HasPrefix(b, "X-A: b\r\nReceived: ") }, "prepend: RCPT from"},
		{"end", "prepend X-A: b", text, func(_ *queue.Item, b string) bool { return strings.HasPrefix(b, "X-A: b\r\nReceived: ") }, "prepend: END-OF-MESSAGE from"},
		{"rcpt", "add header X-A: b", strings.Replace(text, "\r\n\r\n", "\r\nX-A: b\r\n\r\n", 1), nil, ""},
		{"end", "add header X-A: b", strings.Replace(text, "\r\n\r\n", "\r\nX-A: b\r\n\r\n", 1), nil, ""},
		{"rcpt", "remove header X-Old", "Subject: offer\r\nDate: d\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n", nil, ""},
		{"end", "remove header x-OLD", "Subject: offer\r\nDate: d\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n", nil, ""},
		{"end", "hold odd", text, func(it *queue.Item, _ string) bool {
			return it.Recipients[0].State == queue.Held && it.Recipients[0].LastReply == `rule "rule 0": odd`
		}, "hold: END-OF-MESSAGE from unknown[192.0.2.1]: rule \"rule 0\": hold odd; from=<> proto=ESMTP helo=<h>"},
		{"rcpt", "redirect bob@example.org", text, func(it *queue.Item, b string) bool {
			return len(it.Recipients) == 1 && it.Recipients[0].Address.Local == "bob" && strings.Contains(b, "for <alice@")
		}, "redirect: RCPT from"},
		{"rcpt", "bcc x@accept.example", text, func(it *queue.Item, b string) bool {
			return len(it.Recipients) == 2 && strings.Contains(b, "for <alice@") && !strings.Contains(b, "x@accept")
		}, "bcc: RCPT from"},
		{"mail", "warn seen", text, nil, "warn: MAIL from unknown[192.0.2.1]: rule \"rule 0\": seen;"},
		{"end", "tag a; prepend X-A: b; add header X-C: d; hold", strings.Replace(text, "\r\n\r\n", "\r\nX-C: d\r\n\r\n", 1), nil, "hold: END"},
	} {
		t.Run(x.stage+" "+x.then, func(t *testing.T) {
			log := &diary{}
			c.Desk.events = log
			c.govern(t, [3]string{x.stage, "", x.then})
			c.with(func(r *Rules) { r.DelayReject = true })
			where, answer, id := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org")
			if where != "" {
				t.Fatalf("%s: %s", where, answer)
			}
			item, stored := c.bytes(t, id)
			if !strings.HasSuffix(stored, "\r\n"+x.stored) {
				t.Errorf("stored %q", stored)
			}
			if strings.Count(stored, "Received: ") != 1 || int64(len(stored)) != item.Size {
				t.Errorf("%d bytes, item says %d: %q", len(stored), item.Size, stored)
			}
			if x.check != nil && !x.check(item, stored) {
				t.Errorf("%+v %q", item.Recipients, stored)
			}
			if !strings.Contains(log.lines(), x.log) {
				t.Errorf("log: %s", log.lines())
			}
		})
	}
}

func TestDiscard(t *testing.T) {
	c := newCounter(t, 0)
	log := &diary{}
	c.Desk.events = log
	c.govern(t, [3]string{"rcpt", "", "discard junk"})
	where, answer, id := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org", "bob@example.org")
	if n, _, _ := c.queue.Depth(context.Background()); n != 0 || where != "" || id == 0 {
		t.Errorf("%d kept; %s %s", n, where, answer)
	}
	if s := log.sentences(); !strings.Contains(s, `The rule "rule 0" had the message thrown away, and the client was told that it was taken: junk.`) ||
		!strings.Contains(s, "nobody gets it") {
		t.Error(s)
	}
}

// TestJourneyOfARefusal reads like something to send on.
func TestJourneyOfARefusal(t *testing.T) {
	c := newCounter(t, 0)
	log := &diary{}
	c.Desk.events = log
	c.govern(t, [3]string{"rcpt", "", "reject 550 5.7.1 only for people of the house"})
	c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org")
	want := `The rule "rule 0" refused the recipient <alice@example.org> at RCPT: ` +
		"<alice@example.org>: Recipient address rejected: only for people of the house.\n"
	if got := log.sentences(); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if log.lines() != "" {
		t.Errorf("the door writes this line: %s", log.lines())
	}
}

func TestTagsAreOfOneMessage(t *testing.T) {
	c := newCounter(t, 0)
	c.govern(t, [3]string{"connect", "", "tag conn"}, [3]string{"rcpt", `"msg" in tags || !("conn" in tags)`, "reject"}, [3]string{"end", "", "tag msg"})
	ctx := context.Background()
	for _, delay := range []bool{true, false} {
		c.with(func(r *Rules) { r.DelayReject = delay })
		v, _ := c.Connect(ctx, stranger)
		for i := range 3 {
			tx, reply := v.Begin(ctx, stranger, smtp.Mail{})
			if reply == nil {
				reply = tx.Recipient(ctx, smtp.Rcpt{To: addr(t, "alice@example.org")})
			}
			if reply == nil {
				reply = tx.Receive(ctx, strings.NewReader(text))
			}
			if reply == nil {
				_, reply = tx.Commit(ctx)
			}
			if reply != nil {
				t.Errorf("delayed %v, message %d: %v", delay, i, reply)
			}
		}
	}
}

// TestJudgementHasAnEnd: SMTP-041. Nobody waits longer for a hook than for the sum of
// its patience, and then comes again.
func TestJudgementHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &adviser{answer: func(ctx context.Context, stage rule.Stage, q *Question) Advice {
			if stage == rule.End {
				<-ctx.Done()
				return Advice{By: "slow", Reply: later()}
			}
			return Advice{}
		}}
		d := New(func() *Rules { return &Rules{Hooks: []Hook{slow}, SizeLimit: 1000, Recipients: 1} }, nil, nil, nil, nil, event.Discard)
		v, _ := d.Connect(context.Background(), stranger)
		tx := &Transaction{desk: d, visit: v, rules: d.rules(), peer: stranger, received: true, spool: &queue.Spool{}}
		begin := time.Now()
		if reply := tx.judgeMessage(context.Background()); code(reply) != "451 4.3.0" || time.Since(begin) != judgement {
			t.Errorf("SMTP-041: %v after %v", reply, time.Since(begin))
		}
	})
}

// TestSleepingRulesHaveAnEnd: SMTP-041, INV-16. So many pauses are too many.
func TestSleepingRulesHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleep := strings.TrimSuffix(strings.Repeat("sleep 10s; ", 20), "; ")
		var list []rule.Rule
		for i := range 5 {
			list = append(list, rule.Rule{Name: fmt.Sprint(i), Stage: "end", Then: strings.Split(sleep, "; ")})
		}
		set, errs := rule.Compile(list, nil, rule.Sources{})
		if len(errs) > 0 {
			t.Fatal(errs[0])
		}
		d := New(func() *Rules { return &Rules{Access: set} }, nil, nil, nil, nil, event.Discard)
		v, _ := d.Connect(context.Background(), stranger)
		tx := &Transaction{desk: d, visit: v, rules: d.rules(), peer: stranger, received: true, spool: &queue.Spool{}}
		begin := time.Now()
		if reply := tx.judgeMessage(context.Background()); code(reply) != "451 4.3.0" || time.Since(begin) != judgement {
			t.Errorf("SMTP-041: %v after %v", reply, time.Since(begin))
		}
	})
}

// TestABCCOfManyRecipientsIsOne: and a recipient who is also named gets one copy.
func TestABCCOfManyRecipientsIsOne(t *testing.T) {
	c := newCounter(t, 0)
	c.govern(t, [3]string{"rcpt", "", "bcc o'hara@example.org"})
	_, _, id := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org", "bob@example.org", "o'hara@example.org")
	if item, _ := c.bytes(t, id); len(item.Recipients) != 3 {
		t.Errorf("%+v", item.Recipients)
	}
	c.govern(t, [3]string{"rcpt", "", "redirect bob@example.org"})
	_, _, id = c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org", "bob@example.org")
	if item, _ := c.bytes(t, id); len(item.Recipients) != 1 || item.Recipients[0].Address.Local != "bob" {
		t.Errorf("%+v", item.Recipients)
	}
}
