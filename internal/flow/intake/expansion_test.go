package intake

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

// aliases adds some to the directory of a counter.
func (c *counter) aliases(t *testing.T, all ...directory.Alias) {
	t.Helper()
	for _, a := range all {
		must(t, c.Desk.directory.AddAlias(t.Context(), a))
	}
}

// kept is what the queue would have of a transaction.
func kept(tx *Transaction) (out []string) {
	for _, r := range tx.item().Recipients {
		text := fmt.Sprint(r.Route, " ", int(r.Notify))
		if r.Sender != nil {
			text += fmt.Sprint(" from ", r.Sender, " ", r.Owned)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// RFC 3461 §5.2.7: one recipient inherits all; those of an alias all but the wish to hear
// of success; those of a list nothing. Nobody gets two copies.
func TestExpansion(t *testing.T) {
	c := newCounter(t, 0)
	c.aliases(t,
		directory.Alias{Address: "one@example.org", Targets: []string{"x@far.example"}},
		directory.Alias{Address: "both@example.org", Targets: []string{"alice@example.org", "bob@example.org"}},
		directory.Alias{Address: "list@example.org", Targets: []string{"bob@example.org", "x@far.example"}, Owner: "alice@example.org"},
		directory.Alias{Address: "ghosts@example.org", Targets: []string{"alice@example.org", "ghost@example.org"}},
	)
	for _, x := range []struct {
		to     string
		notify smtp.Notify
		want   string
	}{
		{"one", smtp.NotifySuccess, "smtp:far.example 1"},
		{"both", 0, "mailbox:alice@example.org 0; mailbox:bob@example.org 0"},
		{"both", smtp.NotifySuccess | smtp.NotifyFailure, "expanded: 1; mailbox:alice@example.org 2; mailbox:bob@example.org 2"},
		{"both", smtp.NotifySuccess, "expanded: 1; mailbox:alice@example.org 8; mailbox:bob@example.org 8"},
		{"both alice bob both", 0, "mailbox:alice@example.org 0; mailbox:bob@example.org 0"},
		{"list", smtp.NotifyFailure, "mailbox:bob@example.org 0 from alice@example.org true; smtp:far.example 0 from alice@example.org true"},
		{"ghosts", 0, "error:5.1.1 User unknown in virtual mailbox table 0 from postmaster@example.org true; mailbox:alice@example.org 0"},
	} {
		tx, reply := c.Begin(t.Context(), stranger, smtp.Mail{Sender: addr(t, "a@far.example")})
		for _, to := range strings.Fields(x.to) {
			if reply == nil {
				reply = tx.Recipient(t.Context(), smtp.Rcpt{To: addr(t, to+"@example.org"), Notify: x.notify})
			}
		}
		if got := strings.Join(kept(tx), "; "); reply != nil || got != x.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", x.to, reply, got, x.want)
		}
		tx.Abort()
	}
}

// A full member of an alias does not keep the others from their mail; a full mailbox that
// was named is refused.
func TestAFullMember(t *testing.T) {
	c := newCounter(t, 100)
	c.used = 100
	c.aliases(t, directory.Alias{Address: "some@example.org", Targets: []string{"alice@example.org", "x@far.example"}},
		directory.Alias{Address: "none@example.org", Targets: []string{"alice@example.org", "bob@example.org"}})
	tx, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, "a@far.example")}, "some@example.org")
	want := []string{"error:5.2.2 mailbox is full 0 from postmaster@example.org true", "smtp:far.example 0"}
	if got := kept(tx); reply != nil || !slices.Equal(got, want) {
		t.Errorf("%v %q", reply, got)
	}
	if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, "a@far.example")}, "none@example.org"); code(reply) != "552 5.2.2" {
		t.Errorf("all are full: %s", code(reply))
	}
}

// By LMTP each RCPT has one answer, however many it leads to.
func TestOneAnswerForAnAlias(t *testing.T) {
	c := newCounter(t, 0)
	c.aliases(t, directory.Alias{Address: "both@example.org", Targets: []string{"alice@example.org", "x@far.example"}})
	p := stranger
	p.PerRecipient = true
	tx, reply := c.offer(t, p, smtp.Mail{}, "both@example.org", "bob@example.org")
	if reply != nil {
		t.Fatal(reply)
	}
	tx.recipients[0].refused = smtp.NewReply(552, "5.2.2", "full")
	tx.recipients[2].refused = smtp.NewReply(552, "5.2.2", "full")
	tx.spare()
	if a := tx.Answers(); len(a) != 2 || a[0] != nil || code(a[1]) != "552 5.2.2" {
		t.Errorf("%v", a)
	}
	if it := tx.item(); len(it.Recipients) != 2 || it.Recipients[0].State != queue.Queued {
		t.Errorf("%+v", it.Recipients)
	}
}

// REL-019: a cycle is refused while the sender is there.
func TestACycleIsRefused(t *testing.T) {
	c := newCounter(t, 0)
	c.aliases(t, directory.Alias{Address: "a@example.org", Targets: []string{"b@example.org", "alice@example.org"}},
		directory.Alias{Address: "b@example.org", Targets: []string{"a@example.org"}})
	tx, reply := c.offer(t, stranger, smtp.Mail{}, "a@example.org")
	if code(reply) != "554 5.4.6" || len(tx.recipients) != 0 {
		t.Errorf("REL-019: %s, %d recipients", code(reply), len(tx.recipients))
	}
}

// What only says that an address led to several, or that somebody is not there, keeps no
// message that reaches nobody else: it is refused while its sender is there to be told.
func TestAWordIsNobody(t *testing.T) {
	lmtp := stranger
	lmtp.PerRecipient, lmtp.Protocol = true, "LMTP"
	spam := func(c *counter) {
		c.rewriting(t)
		c.govern(t, [3]string{"end", "", "tag spam"})
	}
	small := func(c *counter) { c.used = 900 }
	for name, x := range map[string]struct {
		peer         Peer
		change       func(*counter)
		header, to   string
		want, answer string
		kept         int
	}{
		"LOOP-002 it was with all of them":  {stranger, nil, "Delivered-To: alice@example.org\r\nDelivered-To: bob@example.org\r\n", "both", "554 5.4.6", "", 0},
		"LOOP-002 it was with one of them":  {stranger, nil, "Delivered-To: alice@example.org\r\n", "both", "ok", "", 3},
		"LOOP-002 beside somebody unknown":  {stranger, nil, "Delivered-To: alice@example.org\r\n", "ghosts", "554 5.4.6", "", 0},
		"LOOP-002 LMTP, beside unknown":     {lmtp, nil, "Delivered-To: alice@example.org\r\n", "ghosts", "ok", "554 5.4.6", 0},
		"LOOP-002 LMTP, with one of them":   {lmtp, nil, "Delivered-To: alice@example.org\r\n", "both", "ok", "ok", 3},
		"too large for all of them":         {stranger, small, "Subject: " + strings.Repeat("x", 500) + "\r\n", "both", "552 5.2.2", "", 0},
		"REL-016 spam for other machines":   {stranger, spam, "", "out", "550 5.7.1", "", 0},
		"REL-016 spam, beside one here":     {stranger, spam, "", "mixed", "ok", "", 2},
		"REL-016 spam, beside unknown here": {stranger, spam, "", "away", "550 5.7.1", "", 0},
	} {
		c := newCounter(t, 1000)
		c.aliases(t, directory.Alias{Address: "both@example.org", Targets: []string{"alice@example.org", "bob@example.org"}},
			directory.Alias{Address: "out@example.org", Targets: []string{"x@far.example", "y@far.example"}},
			directory.Alias{Address: "mixed@example.org", Targets: []string{"alice@example.org", "y@far.example"}},
			directory.Alias{Address: "away@example.org", Targets: []string{"ghost@example.org", "y@far.example"}},
			directory.Alias{Address: "ghosts@example.org", Targets: []string{"ghost@example.org", "alice@example.org"}})
		if x.change != nil {
			x.change(c)
		}
		tx, reply := c.Begin(t.Context(), x.peer, smtp.Mail{Sender: addr(t, "a@far.example")})
		if reply == nil {
			reply = tx.Recipient(t.Context(), smtp.Rcpt{To: addr(t, x.to+"@example.org"), Notify: smtp.NotifySuccess | smtp.NotifyFailure})
		}
		if reply == nil {
			reply = tx.Receive(t.Context(), strings.NewReader(x.header+"\r\nx\r\n"))
		}
		var answers []string
		got := 0
		if reply == nil {
			got = len(tx.item().Recipients)
			if x.peer.PerRecipient {
				for _, a := range tx.Answers() {
					answers = append(answers, code(a))
				}
			}
		}
		if code(reply) != x.want || strings.Join(answers, ", ") != x.answer || got != x.kept {
			t.Errorf("%s: %v %q, %d recipients; want %s %q, %d", name, reply, answers, got, x.want, x.answer, x.kept)
		}
		tx.Abort()
	}
}

// Whom a rule added before the client named him has the wishes and the sender that he has
// without the rule, and room as everybody.
func TestNamedAfterARule(t *testing.T) {
	c := newCounter(t, 1<<20)
	c.aliases(t, directory.Alias{Address: "both@example.org", Targets: []string{"bob@example.org", "o'hara@example.org"}},
		directory.Alias{Address: "list@example.org", Targets: []string{"bob@example.org"}, Owner: "alice@example.org"})
	c.govern(t, [3]string{"rcpt", `recipient.user == "alice"`, "bcc bob@example.org; bcc o'hara@example.org"})
	lmtp := stranger
	lmtp.PerRecipient = true
	for to, want := range map[string]string{
		"both": "expanded: 1; mailbox:alice@example.org 0; mailbox:bob@example.org 2; mailbox:o'hara@example.org 2",
		"list": "expanded: 1; mailbox:alice@example.org 0; mailbox:bob@example.org 0 from alice@example.org true; mailbox:o'hara@example.org 8",
	} {
		tx, reply := c.offer(t, lmtp, smtp.Mail{Sender: addr(t, "a@far.example")}, "alice@example.org")
		if reply == nil {
			reply = tx.Recipient(t.Context(), smtp.Rcpt{To: addr(t, to+"@example.org"), Notify: smtp.NotifySuccess | smtp.NotifyFailure})
		}
		if got := strings.Join(kept(tx), "; "); reply != nil || got != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", to, reply, got, want)
		}
		if reply := tx.Receive(t.Context(), strings.NewReader(text)); reply != nil {
			t.Error(reply)
		}
		for _, a := range tx.Answers() {
			if a != nil {
				t.Errorf("%s: %s", to, a)
			}
		}
		tx.Abort()
	}
}
