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
