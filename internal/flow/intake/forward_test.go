package intake

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rewrite"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/srs"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

const everywhere = rewrite.EnvelopeSender | rewrite.EnvelopeRecipient | rewrite.HeaderSender | rewrite.HeaderRecipient

// rewriting gives a counter canonical addresses: bob, who is here, gets his mail elsewhere.
func (c *counter) rewriting(t testing.TB, entries ...string) {
	t.Helper()
	set, err := list.Open([]list.Source{{Name: "canonical", Entries: append(entries, "bob@example.org bob@remote.example")},
		{Name: "copies", Entries: []string{"alice@example.org copy@remote.example", "x@remote.example nobody@example.org"}}}, event.Discard)
	must(t, err)
	t.Cleanup(func() { set.Close() })
	c.with(func(r *Rules) {
		r.Rewrite = &rewrite.Rules{Canonical: rewrite.Table{Maps: set.Maps([]string{"canonical"}), In: everywhere}, Own: true, Origin: "example.org", Parent: "example.org",
			SenderBCC: set.Maps([]string{"copies"})}
		r.Forward = &forward.Rules{PerHour: 2, Ours: func(_ context.Context, d string) lookup.Answer[bool] { return lookup.Yes(d == "example.org") }}
	})
}

// TestSpamIsNotForwarded: REL-016, and REL-013 for whose word counts.
func TestSpamIsNotForwarded(t *testing.T) {
	marking := func(name, value string) func(*counter) {
		return func(c *counter) {
			hook := &adviser{answer: func(_ context.Context, stage rule.Stage, _ *Question) Advice {
				if stage != rule.End {
					return Advice{}
				}
				return Advice{By: "milter", Edits: []Edit{{Kind: AppendField, Name: name, Value: value}}}
			}}
			c.with(func(r *Rules) { r.Hooks = []Hook{hook} })
		}
	}
	nothing := func(*counter) {}
	for _, x := range []struct {
		name   string
		change func(*counter)
		header string
		to     []string
		want   string // who gets it, or the refusal
	}{
		{"no spam", nothing, "", []string{"bob@example.org"}, "bob@remote.example"},
		{"REL-013 a stranger's word", nothing, "X-Spam-Flag: YES\r\nX-Spam: Yes\r\n", []string{"bob@example.org"}, "bob@remote.example"},
		{"a rule's tag", func(c *counter) { c.govern(t, [3]string{"end", "", "tag spam"}) }, "", []string{"bob@example.org"}, "550 5.7.1"},
		{"another tag", func(c *counter) { c.govern(t, [3]string{"end", "", "tag spammy"}) }, "", []string{"bob@example.org"}, "bob@remote.example"},
		{"a rule's field", func(c *counter) { c.govern(t, [3]string{"rcpt", "", "prepend X-Spam-Flag: YES"}) }, "", []string{"bob@example.org"}, "550 5.7.1"},
		{"a milter's field", marking("x-spam", "Yes, score=12"), "", []string{"bob@example.org"}, "550 5.7.1"},
		{"REL-013 a milter takes a stranger's word back", marking("X-Spam-Flag", "NO"), "X-Spam-Flag: YES\r\n", []string{"bob@example.org"}, "bob@remote.example"},
		{"those here get it", marking("X-Spam-Flag", "YES"), "", []string{"bob@example.org", "alice@example.org"}, "alice@example.org"},
		{"the admin wants it", func(c *counter) {
			marking("X-Spam-Flag", "YES")(c)
			c.with(func(r *Rules) { f := *r.Forward; f.Spam = true; r.Forward = &f })
		}, "", []string{"bob@example.org"}, "bob@remote.example"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newCounter(t, 0)
			c.rewriting(t)
			x.change(c)
			where, answer, id := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "x@sender.example")}, x.header+text, x.to...)
			got := answer
			if where == "" {
				got = c.people(t, id)
			}
			if !strings.HasPrefix(got, x.want) || where != "" && where != "end" {
				t.Errorf("%s %s, want %s", where, got, x.want)
			}
		})
	}
}

// TestForwardedMailIsJudgedAsItCame: row 211. Filters see the sender who wrote, not one of
// ours, and what they found goes with the letter.
func TestForwardedMailIsJudgedAsItCame(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t)
	const result = "mail.example.org; spf=pass smtp.mailfrom=x@sender.example"
	var seen []string
	c.with(func(r *Rules) {
		r.Hooks = []Hook{&adviser{answer: func(_ context.Context, stage rule.Stage, q *Question) Advice {
			if q.Mail != nil {
				seen = append(seen, q.Mail.Sender.String())
			}
			if stage != rule.End {
				return Advice{}
			}
			return Advice{By: "milter", Edits: []Edit{{Kind: AppendField, Name: "Authentication-Results", Value: result}}}
		}}}
	})
	where, answer, id := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "x@sender.example")}, text, "bob@example.org")
	if where != "" || c.people(t, id) != "bob@remote.example" {
		t.Fatalf("row 211: %s %s", where, answer)
	}
	item, stored := c.bytes(t, id)
	if !strings.Contains(stored, "\r\nAuthentication-Results: "+result+"\r\n") || item.Sender.String() != "x@sender.example" {
		t.Errorf("row 211: from %s\n%s", item.Sender, stored)
	}
	if len(seen) == 0 || strings.Join(seen, "") != strings.Repeat("x@sender.example", len(seen)) {
		t.Errorf("row 211: the filters saw %q", seen)
	}
}

// TestForwardingHasAPace: REL-016. Nothing is lost: who is over it comes again, and those
// who are here are not held up by it. REL-020: an extension makes no other address.
func TestForwardingHasAPace(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t)
	c.with(func(r *Rules) { r.Rewrite.Delimiters = "+" })
	to := []string{"bob@example.org", "Bob+1@example.org", "bob+2@example.org"}
	for i, want := range []string{"", "", "450 4.7.1"} {
		where, answer, id := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "x@sender.example")}, text, to[i])
		if !strings.HasPrefix(answer, want) || want == "" && where != "" {
			t.Errorf("message %d: %s %s", i+1, where, answer)
		}
		if where == "" {
			if item, _ := c.bytes(t, id); item.Recipients[0].Forwarder.String() != to[i] || item.Recipients[0].Original.String() != to[i] {
				t.Errorf("forwarded from %s", item.Recipients[0].Forwarder)
			}
		}
	}
	if where, answer, _ := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "x@sender.example")}, text, "alice@example.org"); where != "" {
		t.Error(where, answer)
	}
	if where, answer, _ := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, text, "bob@example.org"); where != "" {
		t.Error(where, answer)
	}
}

// TestLoopsOfForwarding: LOOP-002 for addresses that lead out.
func TestLoopsOfForwarding(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t)
	again := "Delivered-To: Bob@EXAMPLE.org\r\n" + text
	if where, answer, _ := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "x@sender.example")}, again, "bob@example.org"); where != "end" || !strings.HasPrefix(answer, "554 5.4.6") {
		t.Error(where, answer)
	}
	if where, answer, _ := c.talk(t, stranger, smtp.Mail{}, again, "alice@example.org"); where != "" {
		t.Error(where, answer)
	}
}

// TestRewritingMakesNoRelay: INV-07 holds whatever tables say.
func TestRewritingMakesNoRelay(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t, "@foreign.example @example.org", "alice@example.org alice@foreign2.example", "@foreign2.example @foreign3.example", "here@foreign4.example alice@example.org")
	rapid.Check(t, func(r *rapid.T) {
		local := rapid.SampledFrom([]string{"alice", "bob", "here", "o'hara", "nobody"}).Draw(r, "local")
		domain := rapid.SampledFrom([]string{"example.org", "foreign.example", "foreign2.example", "foreign3.example", "foreign4.example"}).Draw(r, "domain")
		to := address.Address{Local: local, Domain: domain}
		tx, reply := c.Begin(context.Background(), stranger, smtp.Mail{})
		if reply == nil {
			reply = tx.Recipient(context.Background(), smtp.Rcpt{To: to})
		}
		if ours := domain == "example.org"; !ours && (reply == nil || reply.Code < 500) {
			r.Fatalf("%s was taken from a stranger: %v", to, reply)
		} else if ours && reply != nil && local != "nobody" && local != "here" {
			r.Fatalf("%s: %v", to, reply)
		}
	})
}

// What tables say reaches envelope and header; the user is judged by what he wrote.
func TestRewrittenOnTheWayIn(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t, "alice@example.org Alice.A@example.org", "pal@remote.example friend@remote.example")
	c.with(func(r *Rules) { r.CheckFrom = true })
	letter := "From: Alice <alice@example.org>\r\nTo: pal, Pal <pal@remote.example>\r\nDate: d\r\nMessage-Id: <1@x>\r\n\r\nbody\r\n"
	where, answer, id := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, letter, "pal@remote.example", "x@sub")
	if where != "" {
		t.Fatal(where, answer)
	}
	item, stored := c.bytes(t, id)
	if item.Sender.String() != "Alice.A@example.org" || c.people(t, id) != "friend@remote.example x@sub.example.org" {
		t.Errorf("row 50, row 5: from %s to %s", item.Sender, c.people(t, id))
	}
	if !strings.Contains(stored, "From: Alice <Alice.A@example.org>\r\nTo: pal@example.org, Pal <friend@remote.example>\r\n") {
		t.Errorf("row 50, row 5: %s", stored)
	}
	c.rewriting(t, "postmaster@example.org alice@example.org", "alice@example.org Alice.A@example.org", "postmaster o'hara@example.org", "pal@remote.example friend@remote.example")
	if tx, reply := c.Begin(t.Context(), stranger, smtp.Mail{}); reply != nil || tx.Recipient(t.Context(), smtp.Rcpt{To: address.Address{Local: "Postmaster"}}) != nil {
		t.Error("a stranger can't write to the rewritten postmaster")
	}
	if tx, reply := c.Begin(t.Context(), insider("alice@example.org"), smtp.Mail{Sender: address.Address{Local: "alice"}}); reply != nil || tx.mail.Sender.String() != "alice@example.org" {
		t.Errorf("row 5: %v", reply)
	}
	// A stranger's header is his own, and may be signed.
	where, answer, id = c.talk(t, stranger, smtp.Mail{Sender: addr(t, "pal@remote.example")}, letter, "o'hara@example.org")
	if where != "" {
		t.Fatal(where, answer)
	}
	if item, stored := c.bytes(t, id); item.Sender.String() != "friend@remote.example" || !strings.HasSuffix(stored, letter) {
		t.Errorf("row 50: from %s:\n%s", item.Sender, stored)
	}
}

func TestCopiesOfSenders(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t)
	where, answer, id := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, text, "y@remote.example")
	if where != "" {
		t.Fatal(where, answer)
	}
	item, _ := c.bytes(t, id)
	if got := fmt.Sprint(c.people(t, id), item.Recipients[1].Notify); got != fmt.Sprint("y@remote.example copy@remote.example", smtp.NotifyNever) {
		t.Error(got)
	}
	// A copy for nobody does not keep the letter from arriving; notices have no copies.
	for _, from := range []string{"x@remote.example", ""} {
		m := smtp.Mail{}
		if from != "" {
			m.Sender = addr(t, from)
		}
		where, answer, id = c.talk(t, stranger, m, text, "o'hara@example.org")
		if where != "" || c.people(t, id) != "o'hara@example.org" {
			t.Errorf("from %q: %s %s %s", from, where, answer, c.people(t, id))
		}
	}
}

// MAP-004: a table that does not answer puts mail off, wherever it is asked.
func TestRewritingWaitsForTables(t *testing.T) {
	set, err := list.Open(nil, event.Discard)
	must(t, err)
	defer set.Close()
	down := set.Maps([]string{"gone"})
	for in, want := range map[rewrite.Class]string{rewrite.EnvelopeRecipient: "rcpt", rewrite.EnvelopeSender: "end", rewrite.HeaderSender: "end"} {
		c := newCounter(t, 0)
		c.with(func(r *Rules) { r.Rewrite = &rewrite.Rules{Canonical: rewrite.Table{Maps: down, In: in}, Own: true} })
		where, answer, _ := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, "From: alice@example.org\r\n"+text, "bob@example.org")
		if where != want || !strings.HasPrefix(answer, "451") {
			t.Errorf("class %d: %s %s", in, where, answer)
		}
	}
}

// TestCatchAllHasOnePace: REL-016. Names that a stranger invents count as the one entry
// that sends them on; who has a way of his own is not held up by them.
func TestCatchAllHasOnePace(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t)
	d := directory.New(c.state, []string{"example.org"}, c.dir, 0)
	must(t, d.AddAlias(t.Context(), directory.Alias{Address: "@example.org", Targets: []string{"all@remote.example"}}))
	for i, x := range []struct{ to, want string }{{"a1@example.org", ""}, {"a2@example.org", ""}, {"a3@example.org", "450 4.7.1"}, {"bob@example.org", ""}} {
		where, answer, _ := c.talk(t, stranger, smtp.Mail{Sender: addr(t, "x@sender.example")}, text, x.to)
		if !strings.HasPrefix(answer, x.want) || x.want == "" && where != "" {
			t.Errorf("REL-016 message %d to %s: %s %s", i+1, x.to, where, answer)
		}
	}
}

// TestReturnsHaveAPace: REL-016. Who has seen an address of SRS can't write to whom it
// leads to as often as he likes, whenever it was made.
func TestReturnsHaveAPace(t *testing.T) {
	c := newCounter(t, 0)
	c.rewriting(t)
	scheme := &srs.Scheme{Domain: "example.org", Secrets: [][]byte{[]byte("key")}, Hash: srs.DefaultHash, Days: srs.DefaultDays}
	c.with(func(r *Rules) { r.Forward.SRS = scheme })
	for i, want := range []string{"", "", "450 4.7.1"} {
		to, err := scheme.Forward(addr(t, "pal@remote.example"), time.Now().AddDate(0, 0, -i))
		must(t, err)
		where, answer, id := c.talk(t, stranger, smtp.Mail{}, text, to.String())
		if !strings.HasPrefix(answer, want) || want == "" && (where != "" || c.people(t, id) != "pal@remote.example") {
			t.Errorf("REL-016 notice %d: %s %s", i+1, where, answer)
		}
	}
	other, err := scheme.Forward(addr(t, "other@remote.example"), time.Now())
	must(t, err)
	if where, answer, _ := c.talk(t, stranger, smtp.Mail{}, text, other.String()); where != "" {
		t.Errorf("another's: %s %s", where, answer)
	}
}
