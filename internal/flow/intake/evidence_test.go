package intake

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/spf"
	"facteur/internal/store/queue"
	"facteur/internal/test/sim"
)

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// world is the DNS of these tests: a bank that asks for rejection, a shop that asks for
// quarantine, a friend who signs, a list.
var world = `
	bank.example                 TXT "v=spf1 ip4:198.51.100.1 -all"
	_dmarc.bank.example          TXT "v=DMARC1; p=reject"
	shop.example                 TXT "v=spf1 ip4:198.51.100.2 ~all"
	_dmarc.shop.example          TXT "v=DMARC1; p=quarantine"
	friend.example               TXT "v=spf1 ip4:192.0.2.1 -all"
	_dmarc.friend.example        TXT "v=DMARC1; p=reject"
	s1._domainkey.friend.example TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(testKey.Public().(ed25519.PublicKey)) + `"
	1.2.0.192.in-addr.arpa       PTR mx.friend.example.
	mx.friend.example            A   192.0.2.1
	!servfail                    down.example
	!servfail                    _dmarc.down.example
`

// authenticating gives a counter the filter with the usual settings.
func (c *counter) authenticating(t testing.TB, change func(*filter.Rules)) *diary {
	t.Helper()
	rules := &filter.Rules{Hostname: "mail.example.org", DKIM: true, ARC: true, Learn: true,
		SPF:   filter.SPFRules{Enabled: true, ReceivedSPF: true, Results: true, HideReceiver: true},
		DMARC: filter.DMARCRules{Policy: filter.Honour, NoFrom: filter.OddAccept, UnreadableFrom: filter.OddJunk}}
	if change != nil {
		change(rules)
	}
	f := filter.New(rules, sim.Zone(t, world), nil)
	c.with(func(r *Rules) { r.Filter = f })
	log := &diary{}
	c.Desk.events = log
	return log
}

// from is the envelope of a sender.
func from(t testing.TB, sender string) smtp.Mail { return smtp.Mail{Sender: addr(t, sender)} }

// friendly is a letter that friend.example signed.
func friendly(t testing.TB, body string) string {
	t.Helper()
	const header = "From: f@friend.example\r\nTo: alice@example.org\r\nSubject: hello\r\n"
	form := dkim.Form{Header: dkim.Relaxed, Body: dkim.Relaxed}
	b := dkim.NewBody()
	digest := form.Wants(b)
	b.Write([]byte(body))
	field, err := dkim.Sign(message.Header(header+"\r\n"), b.Sum(digest), dkim.Key{Domain: "friend.example", Selector: "s1", Private: testKey}, form, time.Now())
	must(t, err)
	return string(field) + header + "\r\n" + body
}

const forged = "From: ceo@bank.example\r\nSubject: pay\r\n\r\nNow.\r\n"

// TestStrangersLetters: rows 163 to 171, whole transactions, and what becomes of them.
func TestStrangersLetters(t *testing.T) {
	level := func(l spf.Level) func(*filter.Rules) {
		return func(r *filter.Rules) { r.SPF.Policy = spf.Policy{MailFrom: l} }
	}
	small, large := "See you.\r\n", strings.Repeat("A line of a long letter.\r\n", 300)
	for _, x := range []struct {
		name, sender, text string
		change             func(*filter.Rules)
		where, answer      string
		says               string // the journey
		folder             string
		stored             string // what stands in it
		authentic          bool
	}{
		{name: "row 170 forged, p=reject", sender: "x@bank.example", text: forged, where: "end", answer: "550 5.7.1 Message rejected: bank.example publishes a DMARC policy of reject",
			says: "DMARC of bank.example asks to reject it. It was refused."},
		{name: "row 170 forged, p=quarantine", sender: "x@elsewhere.example", text: "From: a@shop.example\r\n\r\nx\r\n", folder: `\Junk`,
			says: "asks to quarantine it. It was taken as junk.", stored: "dmarc=fail (p=quarantine dis=quarantine) header.from=shop.example"},
		{name: "row 169 signed", sender: "f@friend.example", text: friendly(t, small), stored: "dkim=pass (256-bit key) header.d=friend.example", says: "DKIM: friend.example passed.", authentic: true},
		{name: "row 169 signed, and large", sender: "f@friend.example", text: friendly(t, large), stored: "dkim=pass (256-bit key) header.d=friend.example", authentic: true},
		{name: "row 169 a broken signature alone", sender: "f@friend.example", text: friendly(t, small) + "A footer.\r\n", says: "friend.example failed (the body was changed after signing; the header was not)",
			stored: "dkim=fail (256-bit key) reason=", authentic: true},
		{name: "row 163 SPF written down", sender: "f@friend.example", text: "Subject: x\r\n\r\nx\r\n", authentic: true,
			stored: "Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=mx.friend.example; envelope-from=f@friend.example; receiver=<UNKNOWN>\n"},
		{name: "row 164 SPF fail is evidence", sender: "x@bank.example", text: "Subject: x\r\n\r\nx\r\n", stored: "spf=fail smtp.mailfrom=x@bank.example"},
		{name: "row 164 SPF fail is refused", sender: "x@bank.example", change: level(spf.OnFail), where: "rcpt", answer: "550 5.7.23 <x@bank.example>: Sender address rejected: Message rejected",
			says: "bank.example does not allow 192.0.2.1 to send its mail (SPF: -all). It was refused."},
		{name: "row 164 softfail is not fail", sender: "x@shop.example", text: "Subject: x\r\n\r\nx\r\n", change: level(spf.OnFail)},
		{name: "row 164 softfail is refused", sender: "x@shop.example", change: level(spf.OnSoftFail), where: "rcpt", answer: "550 5.7.23"},
		{name: "row 165 test only", sender: "x@bank.example", text: "Subject: x\r\n\r\nx\r\n", says: "It would have been refused for that, if test_only were not set.",
			change: func(r *filter.Rules) { r.SPF.Policy = spf.Policy{MailFrom: spf.OnFail, TestOnly: true} }},
		{name: "row 165 AUT-004 the DNS is down", sender: "x@down.example", text: "From: x@down.example\r\n\r\nx\r\n", change: level(spf.OnNotPass), stored: "spf=temperror"},
		{name: "row 165 AUT-004 the DNS is down, and the admin waits", sender: "x@down.example", where: "rcpt", answer: "451 4.7.24",
			change: func(r *filter.Rules) { r.SPF.Policy = spf.Policy{MailFrom: spf.OnFail, DeferTempError: true} }},
		{name: "row 165 skip_addresses", sender: "x@bank.example", text: "Subject: x\r\n\r\nx\r\n", says: "SPF was not asked: its address is exempted from SPF.",
			change: func(r *filter.Rules) {
				r.SPF.Policy, r.SPF.Exemptions.Addresses = spf.Policy{MailFrom: spf.OnFail}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			}},
		{name: "REL-013 our word, by a stranger", sender: "f@friend.example", authentic: true,
			text:   "Authentication-Results: MAIL.example.ORG (x); dkim=pass header.d=bank.example\r\nAuthentication-Results: mx.friend.example; spf=none smtp.helo=x\r\nSubject: x\r\n\r\nx\r\n",
			stored: "Authentication-Results: mx.friend.example; spf=none"},
		{name: "AUT-015 no author", sender: "f@friend.example", text: "From: bank\r\n\r\nx\r\n", folder: `\Junk`, authentic: true},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newCounter(t, 0)
			log := c.authenticating(t, x.change)
			p := stranger
			p.Name, p.Helo = "mx.friend.example", "mx.friend.example"
			where, answer, id := c.talk(t, p, from(t, x.sender), x.text, "alice@example.org")
			if where != x.where || !strings.HasPrefix(answer, x.answer) {
				t.Fatalf("%s: %s; want %s: %s", where, answer, x.where, x.answer)
			}
			if !strings.Contains(log.sentences(), x.says) {
				t.Errorf("the journey: %s", log.sentences())
			}
			if where != "" {
				return
			}
			item, text := c.bytes(t, id)
			text = strings.NewReplacer("\r\n\t", " ", "\r\n", "\n").Replace(text)
			if !strings.Contains(text, x.stored) || item.Recipients[0].Folder != x.folder || item.Origin.Authentic != x.authentic {
				t.Errorf("%q, authentic %v:\n%s", item.Recipients[0].Folder, item.Origin.Authentic, text)
			}
			if strings.Contains(text, "dkim=pass header.d=bank.example") {
				t.Error("a stranger's word under our name")
			}
			at, received := strings.Index(text, "Authentication-Results: mail.example.org;"), strings.Index(text, "Received: from")
			if at < 0 || at > received || item.Size != int64(len(textOf(t, c, id))) {
				t.Errorf("our fields stand above Received:\n%s", text)
			}
		})
	}
}

func textOf(t testing.TB, c *counter, id queue.ID) string {
	_, text := c.bytes(t, id)
	return text
}

// Our own users are not checked: row 170, IgnoreAuthenticatedClients. The field says who
// they are, and nobody else can say it.
func TestInsidersAreKnown(t *testing.T) {
	trusted := stranger
	trusted.Addr = netip.MustParseAddr("10.1.2.3")
	filterOf := trusted
	filterOf.Forwarded = &Forwarded{Name: "mx.friend.example"}
	const lie = "Authentication-Results: mail.example.org; dkim=pass header.d=bank.example\r\n"
	for name, x := range map[string]struct {
		peer        Peer
		want, never string
	}{
		"row 170 who logged in":            {insider("alice@example.org"), "Authentication-Results: mail.example.org; auth=pass smtp.auth=alice@example.org\n", "bank.example"},
		"row 170 a trusted network":        {trusted, "Subject: x", "Authentication-Results"},
		"what a filter of ours gives back": {filterOf, "Authentication-Results: mail.example.org; dkim=pass", "auth=pass"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			log := c.authenticating(t, nil)
			m := smtp.Mail{}
			if x.peer.Account != "" {
				m = from(t, x.peer.Account)
			}
			where, answer, id := c.talk(t, x.peer, m, lie+"Subject: x\r\n\r\nx\r\n", "bob@example.org")
			if where != "" {
				t.Fatal(where, answer)
			}
			text := strings.NewReplacer("\r\n\t", " ", "\r\n", "\n").Replace(textOf(t, c, id))
			if !strings.Contains(text, x.want) || strings.Contains(text, x.never) || strings.Contains(log.lines(), "opendmarc") {
				t.Errorf("%s\n%s", text, log.lines())
			}
		})
	}
}

// TestMiltersSeeTheEvidence: row 172, a milter after us sees what we found, as Postfix's
// milters see what the ones before them wrote, and what it writes itself is kept, under
// our name too.
func TestMiltersSeeTheEvidence(t *testing.T) {
	var seen string
	for name, x := range map[string]struct {
		edits []Edit
		want  string
	}{
		"row 172 it looks":           {nil, "Authentication-Results: mail.example.org; iprev=pass"},
		"row 172 it adds its own":    {[]Edit{{Kind: InsertField, Index: 0, Name: "Authentication-Results", Value: "mail.example.org; x-own=pass"}}, "Authentication-Results: mail.example.org; x-own=pass"},
		"row 172 between ours":       {[]Edit{{Kind: InsertField, Index: 1, Name: "Authentication-Results", Value: "mail.example.org; x-own=pass"}}, "Authentication-Results: mail.example.org; x-own=pass"},
		"row 172 in place of ours":   {[]Edit{{Kind: ChangeField, Index: 1, Name: "Authentication-Results", Value: "mail.example.org; x-own=pass"}}, "Authentication-Results: mail.example.org; x-own=pass"},
		"row 172 it takes ours away": {[]Edit{{Kind: RemoveFields, Name: "Authentication-Results"}}, "Received-SPF: Pass"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			c.authenticating(t, nil)
			hook := &adviser{answer: func(_ context.Context, s rule.Stage, q *Question) Advice {
				if s != rule.End {
					return Advice{}
				}
				seen = string(q.Message.Header)
				return Advice{By: "milter", Edits: x.edits}
			}}
			c.with(func(r *Rules) { r.Hooks = []Hook{hook} })
			p := stranger
			p.Name, p.Helo = "mx.friend.example", "mx.friend.example"
			_, answer, id := c.talk(t, p, from(t, "f@friend.example"), friendly(t, "x\r\n"), "alice@example.org")
			if answer != "" {
				t.Fatal(answer)
			}
			plain := strings.NewReplacer("\r\n\t", " ", "\r\n", "\n").Replace
			text := plain(textOf(t, c, id))
			if !strings.HasPrefix(seen, "Received-SPF: Pass") || strings.Count(plain(seen), "\nAuthentication-Results: mail.example.org; iprev=pass") != 1 {
				t.Errorf("it sees\n%s", seen)
			}
			if !strings.Contains(text, x.want) || strings.Count(text, "Received-SPF:") != 1 || strings.Count(text, "\nSubject: hello\n") != 1 || !strings.HasSuffix(text, "\n\nx\n") {
				t.Errorf("kept is\n%s", text)
			}
			ours := strings.Count(text, "; iprev=pass")
			if untouched := len(x.edits) == 0 || x.edits[0].Kind == InsertField; untouched != (ours == 1) || ours > 1 {
				t.Errorf("%d fields of ours:\n%s", ours, text)
			}
		})
	}
}

// TestForgedIsNotForwarded: row 211, what is judged is judged before the sender is rewritten
// for the next host (SRS is made at departure), and the copy carries what was found; row 212,
// a forgery does not go on, for we would answer for it.
func TestForgedIsNotForwarded(t *testing.T) {
	for name, x := range map[string]struct {
		sender, text, want string
	}{
		"row 211 the copy carries what was found": {"f@friend.example", friendly(t, "x\r\n"), "; spf=pass smtp.mailfrom=f@friend.example"},
		"row 212 AUT-021 a forgery does not go":   {"x@elsewhere.example", "From: a@shop.example\r\n\r\nx\r\n", "550 5.7.1 Nothing proves that the message is from shop.example, and such messages are not forwarded from here"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCounter(t, 0)
			c.rewriting(t)
			c.with(func(r *Rules) {
				r.Forward = &forward.Rules{PerHour: 5, Ours: func(_ context.Context, d string) lookup.Answer[bool] { return lookup.Yes(d == "example.org") }}
			})
			c.authenticating(t, nil)
			_, answer, id := c.talk(t, stranger, from(t, x.sender), x.text, "bob@example.org")
			if id != 0 {
				answer = strings.NewReplacer("\r\n\t", " ").Replace(textOf(t, c, id))
			}
			if !strings.Contains(answer, x.want) {
				t.Errorf("%s", answer)
			}
		})
	}
}

// TestRulesKnowTheEvidence: what was found out are facts.
func TestRulesKnowTheEvidence(t *testing.T) {
	for _, x := range []struct {
		stage, when, sender, text string
	}{
		{"rcpt", `spf == "pass" && spf_helo == "none"`, "f@friend.example", ""},
		{"rcpt", `spf == "fail"`, "x@bank.example", ""},
		{"data", `spf == "softfail"`, "x@shop.example", ""},
		{"end", `"friend.example" in dkim && dmarc == "pass" && dmarc_policy == "reject" && verdict == "accept" && arc == "" && iprev == "pass"`, "f@friend.example", friendly(t, "x\r\n")},
		{"end", `dmarc == "fail" && dmarc_policy == "quarantine" && verdict == "junk" && len(dkim) == 0`, "x@elsewhere.example", "From: a@shop.example\r\n\r\nx\r\n"},
		{"end", `header("Authentication-Results") contains "dmarc=pass"`, "f@friend.example", friendly(t, "x\r\n")},
	} {
		t.Run(x.when, func(t *testing.T) {
			c := newCounter(t, 0)
			c.authenticating(t, nil)
			c.govern(t, [3]string{x.stage, x.when, "reject 550 5.7.1 found"})
			p := stranger
			p.Name, p.Helo = "mx.friend.example", "mx.friend.example"
			where, answer, _ := c.talk(t, p, from(t, x.sender), x.text, "alice@example.org")
			if where != x.stage || !strings.HasSuffix(answer, "found") {
				t.Errorf("%s: %s", where, answer)
			}
		})
	}
}

// TestAskedOnce: RCPT after RCPT, SPF is asked once, and a letter that nobody takes asks
// nothing.
func TestAskedOnce(t *testing.T) {
	d, err := sim.NewDNS(world)
	must(t, err)
	resolver, err := d.Resolver()
	must(t, err)
	c := newCounter(t, 0)
	log := c.authenticating(t, nil)
	c.with(func(r *Rules) {
		r.Filter = filter.New(&filter.Rules{Hostname: "mail.example.org", SPF: filter.SPFRules{Enabled: true, Policy: spf.Policy{MailFrom: spf.OnFail}}}, resolver, nil)
	})
	if _, reply := c.offer(t, stranger, from(t, "x@bank.example"), "nobody@example.org"); code(reply) != "550 5.1.1" || d.Total() > 0 {
		t.Errorf("%v, %d questions", reply, d.Total())
	}
	tx, _ := c.Begin(t.Context(), stranger, from(t, "x@bank.example"))
	defer tx.Abort()
	for _, to := range []string{"alice@example.org", "bob@example.org", "alice@example.org"} {
		if reply := tx.Recipient(t.Context(), smtp.Rcpt{To: addr(t, to)}); code(reply) != "550 5.7.23" {
			t.Errorf("%s: %v", to, reply)
		}
	}
	if n := d.Asked("bank.example", "TXT"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if n := strings.Count(log.lines(), "opendmarc"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.lines())
	}
}

// BenchmarkLetter: what a stranger's letter of 10 KB costs, from MAIL to its commit.
func BenchmarkLetter(b *testing.B) {
	body := strings.Repeat("A line of seventy-two characters, as they stand in most letters to us.\r\n", 140)
	for _, x := range []struct{ name, text string }{
		{"nobody asks", "From: f@friend.example\r\nSubject: x\r\n\r\n" + body},
		{"unsigned", "From: f@friend.example\r\nSubject: x\r\n\r\n" + body},
		{"signed", friendly(b, body)},
	} {
		b.Run(x.name, func(b *testing.B) {
			c := newCounter(b, 0)
			if x.name != "nobody asks" {
				c.authenticating(b, nil)
				c.Desk.events = event.Discard
			}
			c.with(func(r *Rules) { r.SizeLimit = 1 << 20 })
			p := stranger
			p.Name, p.Helo = "mx.friend.example", "mx.friend.example"
			b.ReportAllocs()
			for b.Loop() {
				if _, answer, _ := c.talk(b, p, from(b, "f@friend.example"), x.text, "alice@example.org"); answer != "" {
					b.Fatal(fmt.Sprint(answer))
				}
			}
		})
	}
}
