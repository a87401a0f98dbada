package intake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/flow/brake"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// people are who gets an item, and the states of their copies.
func (c *counter) people(t testing.TB, id queue.ID) string {
	t.Helper()
	item, _ := c.bytes(t, id)
	var out []string
	for _, r := range item.Recipients {
		out = append(out, r.Address.String())
	}
	return strings.Join(out, " ")
}

// TestRedirectsReachMailboxesWithAQuota: whom a rule named is not refused in the name
// of a client who did not (SMTP-044).
func TestRedirectsReachMailboxesWithAQuota(t *testing.T) {
	for then, want := range map[string]string{"redirect bob@example.org": "bob@example.org", "bcc bob@example.org": "bob@example.org alice@example.org"} {
		for _, perRecipient := range []bool{false, true} {
			c := newCounter(t, 1<<20)
			c.govern(t, [3]string{"rcpt", "", then})
			p := stranger
			p.PerRecipient = perRecipient
			where, answer, id := c.talk(t, p, smtp.Mail{}, text, "alice@example.org")
			if where != "" {
				t.Fatal(where, answer)
			}
			if got := c.people(t, id); got != want {
				t.Errorf("%s, per recipient %v: %q get it", then, perRecipient, got)
			}
		}
	}
}

// TestNobodyHearsOfACopy: a notice about a copy would tell its sender who keeps one
// (INV-06). Who is named by the client as well is no secret.
func TestNobodyHearsOfACopy(t *testing.T) {
	for to, want := range map[string]smtp.Notify{"alice@example.org": smtp.NotifyNever, "alice@example.org bob@example.org": 0, "bob@example.org alice@example.org": 0} {
		c := newCounter(t, 0)
		c.govern(t, [3]string{"rcpt", "", "bcc bob@example.org"})
		where, answer, id := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, text, strings.Fields(to)...)
		if where != "" {
			t.Fatal(where, answer)
		}
		item, _ := c.bytes(t, id)
		for _, r := range item.Recipients {
			if r.Address.Local == "bob" && r.Notify != want || r.Address.Local == "alice" && r.Notify != 0 {
				t.Errorf("to %s: %s has NOTIFY %v", to, r.Address, r.Notify)
			}
		}
	}
}

// TestACopyForWhoGetsItAnyway is one copy.
func TestACopyForWhoGetsItAnyway(t *testing.T) {
	for then, want := range map[string]string{"bcc bob@example.org": "bob@example.org", "redirect bob@example.org": "bob@example.org"} {
		c := newCounter(t, 0)
		c.govern(t, [3]string{"rcpt", "", then})
		where, answer, id := c.talk(t, stranger, smtp.Mail{}, text, "bob@example.org", "BOB@example.org")
		if where != "" {
			t.Fatal(where, answer)
		}
		if got := c.people(t, id); got != want {
			t.Errorf("%s: %q get it", then, got)
		}
	}
}

// TestARefusedRecipientLeavesNothing: what rules wanted for his sake is not done to
// the others.
func TestARefusedRecipientLeavesNothing(t *testing.T) {
	for _, then := range []string{"redirect o'hara@example.org", "bcc o'hara@example.org", "hold odd", "prepend X-Odd: yes", "add header X-Odd: yes", "tag odd"} {
		c := newCounter(t, 0)
		c.govern(t,
			[3]string{"rcpt", `recipient.user == "bob"`, then},
			[3]string{"rcpt", `recipient.user == "bob"`, "defer 450 4.2.0 greylisted"},
			[3]string{"end", `"odd" in tags`, "reject 554 5.7.1 odd"})
		ctx := context.Background()
		tx, reply := c.offer(t, stranger, smtp.Mail{}, "alice@example.org")
		if reply != nil {
			t.Fatal(reply)
		}
		if got := code(tx.Recipient(ctx, smtp.Rcpt{To: addr(t, "bob@example.org")})); got != "450 4.2.0" {
			t.Fatal(got)
		}
		if reply := tx.Receive(ctx, strings.NewReader(text)); reply != nil {
			t.Fatal(then, reply)
		}
		id, reply := tx.Commit(ctx)
		if reply != nil {
			t.Fatal(then, reply)
		}
		item, stored := c.bytes(t, id)
		if got := c.people(t, id); got != "alice@example.org" || item.Recipients[0].State != queue.Queued || strings.Contains(stored, "X-Odd") {
			t.Errorf("%s: %q get it, %v", then, got, item.Recipients[0].State)
		}
	}
}

// TestADiscardedMessageLeavesNoFile in the spool.
func TestADiscardedMessageLeavesNoFile(t *testing.T) {
	c := newCounter(t, 0)
	c.with(func(r *Rules) { r.SizeLimit = 1 << 20 })
	c.govern(t, [3]string{"end", "", "discard"})
	ctx := context.Background()
	tx, reply := c.offer(t, stranger, smtp.Mail{}, "alice@example.org")
	if reply == nil {
		reply = tx.Receive(ctx, strings.NewReader(text+strings.Repeat("0123456789abcd\r\n", 20_000)))
	}
	if reply == nil {
		_, reply = tx.Commit(ctx)
	}
	if reply != nil {
		t.Fatal(reply)
	}
	var left []string
	filepath.Walk(c.dir, func(path string, info os.FileInfo, _ error) error {
		if info != nil && !info.IsDir() && info.Size() > 200_000 {
			left = append(left, path)
		}
		return nil
	})
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestPaceOfManySessions is ABU-016: transactions at the same time do not send more
// than one after the other could.
func TestPaceOfManySessions(t *testing.T) {
	for _, hold := range []bool{true, false} {
		c := newCounter(t, 0)
		must(t, c.directory.AddHashed(context.Background(), addr(t, "postmaster@example.org"), "{PLAIN}secret", 0))
		verdict := brake.Defer
		if hold {
			verdict = brake.Hold
		}
		c.limit(t, verdict, "", 4)
		var all []*Transaction
		for range 6 {
			tx, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, "a@x.example", "b@x.example")
			if reply != nil {
				t.Fatal(reply)
			}
			all = append(all, tx)
		}
		got := map[string]int{}
		for _, tx := range all {
			reply := tx.Receive(context.Background(), strings.NewReader(text))
			state := code(reply)
			if reply == nil && tx.hold != "" {
				state = "held"
			}
			got[state]++
			tx.Abort()
		}
		want := map[string]int{"ok": 2, "450 4.7.1": 4}
		if hold {
			want = map[string]int{"ok": 2, "held": 2, "450 4.7.1": 2}
		}
		for state, n := range want {
			if got[state] != n {
				t.Errorf("ABU-016, hold %v: %v, want %v", hold, got, want)
			}
		}
	}
}

// TestWhatAHookWantsOfAClient it wants for all of his messages.
func TestWhatAHookWantsOfAClient(t *testing.T) {
	for _, delay := range []bool{true, false} {
		for _, stage := range []rule.Stage{rule.Connect, rule.Helo, rule.Mail} {
			c := newCounter(t, 0)
			a := &adviser{answer: func(_ context.Context, s rule.Stage, _ *Question) Advice {
				if s == stage {
					return Advice{By: "policy x", Actions: []rule.Action{{Verb: rule.Hold, Text: "odd client"}}}
				}
				return Advice{}
			}}
			c.with(func(r *Rules) { r.Hooks, r.DelayReject = []Hook{a}, delay })
			ctx := context.Background()
			v, reply := c.Connect(ctx, stranger)
			if reply == nil {
				reply = v.Helo(ctx, stranger)
			}
			for n := range 2 {
				var tx *Transaction
				if reply == nil {
					tx, reply = v.Begin(ctx, stranger, smtp.Mail{})
				}
				if reply == nil {
					reply = tx.Recipient(ctx, smtp.Rcpt{To: addr(t, "alice@example.org")})
				}
				if reply != nil {
					t.Fatal(reply)
				}
				if tx.hold == "" {
					t.Errorf("%s, delayed %v: message %d is not held", stage, delay, n)
				}
				tx.Abort()
			}
			v.Close()
		}
	}
}

// TestAFromWithoutAnAddress is nobody's, and not the user's.
func TestAFromWithoutAnAddress(t *testing.T) {
	c := newCounter(t, 0)
	c.with(func(r *Rules) { r.CheckFrom, r.SizeLimit = true, 1<<20 })
	for _, from := range []string{"", "Boss", "<>", "boss:;", "=?utf-8?q?boss=40example.org?=", "alice@example.org, Boss", strings.Repeat("alice@example.org,", 12_000) + "boss@example.org", "boss@", "@example.org", "\"boss@example.org\""} {
		where, answer, _ := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, "From: "+from+"\r\n\r\nx\r\n", "bob@example.org")
		if where != "end" || !strings.HasPrefix(answer, "550 5.7.1") {
			t.Errorf("REL-010: From: %s: %s %s", from, where, answer)
		}
	}
}

// TestManyRedirects: the last word counts, and a thousand recipients cost no more than
// they have to.
func TestManyRedirects(t *testing.T) {
	c := newCounter(t, 0)
	c.with(func(r *Rules) { r.Recipients = 2000 })
	c.govern(t, [3]string{"rcpt", "", "bcc o'hara@example.org"}, [3]string{"rcpt", "", "redirect bob@example.org"})
	var to []string
	for i := range 1000 {
		to = append(to, fmt.Sprintf("alice%d@accept.example", i))
	}
	where, answer, id := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, text, to...)
	if where != "" {
		t.Fatal(where, answer)
	}
	if got := c.people(t, id); got != "bob@example.org" {
		t.Errorf("%q get it", got)
	}
}

// TestTLSRequiredNoIsNoted: RFC 8689 §5.
func TestTLSRequiredNoIsNoted(t *testing.T) {
	for header, want := range map[string]bool{
		"TLS-Required: No\r\n": true, "tls-required:  NO \r\n": true,
		"TLS-Required: Yes\r\n": false, "X-TLS-Required: No\r\n": false, "": false,
		"\r\nTLS-Required: No\r\n": false, // in the body
	} {
		c := newCounter(t, 0)
		where, answer, id := c.talk(t, stranger, smtp.Mail{}, header+text, "alice@example.org")
		if where != "" {
			t.Fatal(where, answer)
		}
		if item, _ := c.bytes(t, id); item.TLSOptional != want {
			t.Errorf("%q: %v", header, item.TLSOptional)
		}
	}
}

// What rules and milters make of that field counts: it is what the next server will read.
func TestTLSRequiredNoAfterHooks(t *testing.T) {
	const says = "TLS-Required: No\r\n"
	field := func(kind EditKind, value string) Edit {
		return Edit{Kind: kind, Index: 1, Name: "TLS-Required", Value: value}
	}
	for name, x := range map[string]struct {
		header string
		stage  rule.Stage
		edit   Edit
		want   bool
	}{
		"taken away":    {says, rule.End, field(RemoveFields, ""), false},
		"added":         {"", rule.End, field(AppendField, "No"), true},
		"changed":       {says, rule.End, field(ChangeField, "Yes"), false},
		"another field": {says, rule.End, Edit{Kind: RemoveFields, Name: "Subject"}, true},
	} {
		c := newCounter(t, 0)
		hook := &adviser{answer: func(_ context.Context, stage rule.Stage, _ *Question) Advice {
			if stage != x.stage {
				return Advice{}
			}
			return Advice{By: "milter", Edits: []Edit{x.edit}}
		}}
		c.with(func(r *Rules) { r.Hooks = []Hook{hook} })
		where, answer, id := c.talk(t, stranger, smtp.Mail{}, x.header+text, "alice@example.org")
		if where != "" {
			t.Fatal(where, answer)
		}
		if item, body := c.bytes(t, id); item.TLSOptional != x.want {
			t.Errorf("%s: %v\n%s", name, item.TLSOptional, body)
		}
	}
	c := newCounter(t, 0)
	c.govern(t, [3]string{"rcpt", "", "prepend TLS-Required: No"})
	_, _, id := c.talk(t, stranger, smtp.Mail{}, text, "alice@example.org")
	if item, body := c.bytes(t, id); !item.TLSOptional {
		t.Errorf("put above it by a rule:\n%s", body)
	}
}
