package intake

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"facteur/internal/base/lookup"
	"facteur/internal/flow/brake"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// TestWhoMaySendAsWhom: own addresses, granted ones, and those of the list.
func TestWhoMaySendAsWhom(t *testing.T) {
	c := newCounter(t, 0)
	ctx := context.Background()
	must(t, c.directory.Grant(ctx, addr(t, "alice@example.org"), "sales@example.org"))
	must(t, c.directory.Grant(ctx, addr(t, "alice@example.org"), "@shop.example"))
	c.with(func(r *Rules) {
		r.SenderLogins = func(_ context.Context, key string) lookup.Answer[string] {
			switch key {
			case "info@example.org":
				return lookup.Yes("bob@example.org, Alice@example.org")
			case "boss@example.org":
				return lookup.Yes("bob@example.org")
			case "@team.example":
				return lookup.Yes("alice@example.org")
			case "unix@example.org":
				return lookup.Yes("bob alice")
			case "others@example.org":
				return lookup.Yes("bob alice@example.net")
			case "later@x.example":
				return lookup.Later[string](errors.New("no answer"))
			}
			return lookup.No[string](nil)
		}
	})
	for from, want := range map[string]string{
		"alice@example.org": "ok", "sales@example.org": "ok", "SALES+x@example.org": "ok", "any@shop.example": "ok",
		"info@example.org": "ok", "info+x@example.org": "ok", "who@team.example": "ok",
		"boss@example.org": "553 5.7.1", "bob@example.org": "553 5.7.1", "sales@example.com": "553 5.7.1",
		"later@x.example": "451 4.3.0", "unix@example.org": "ok", "others@example.org": "553 5.7.1",
	} {
		if _, reply := c.offer(t, insider("Alice@example.org"), smtp.Mail{Sender: addr(t, from)}); code(reply) != want {
			t.Errorf("SMTP-038 %s: %v, want %s", from, reply, want)
		}
	}
	c.state.Close()
	if _, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "sales@example.org")}); code(reply) != "451 4.3.0" {
		t.Errorf("INV-08: %v", reply)
	}
}

// TestTheAuthorOfAUser: REL-010, in both modes.
func TestTheAuthorOfAUser(t *testing.T) {
	c := newCounter(t, 0)
	for from, want := range map[string]string{
		"From: Alice <alice@example.org>\r\n":                                 "",
		"From: \"boss@bank.example\" <Alice+x@Example.org>\r\n":               "",
		"From: Bob <bob@example.org>\r\n":                                     "550 5.7.1",
		"From: alice@example.org, bob@example.org\r\n":                        "550 5.7.1",
		"From: alice@example.org\r\nFrom: bob@example.org\r\n":                "550 5.7.1",
		"From: alice@example.org\r\n <bob@example.org>\r\n":                   "550 5.7.1",
		"From: undisclosed\r\n":                                               "550 5.7.1",
		"Subject: none\r\n":                                                   "550 5.7.1",
		"From: Group: alice@example.org, alice+y@example.org;\r\nCc: b@c\r\n": "",
	} {
		for _, check := range []bool{true, false} {
			c.with(func(r *Rules) { r.CheckFrom = check })
			_, answer, _ := c.talk(t, insider("alice@example.org"), smtp.Mail{}, from+"\r\n", "bob@example.org")
			if want := want; !check && answer != "" || check && (answer == "") != (want == "") || check && !strings.HasPrefix(answer, want) {
				t.Errorf("REL-010 %q, checked %v: %q", from, check, answer)
			}
		}
		if _, answer, _ := c.talk(t, stranger, smtp.Mail{}, from+"\r\n", "bob@example.org"); answer != "" {
			t.Errorf("a stranger's From is the filter's matter: %q", answer)
		}
	}
}

// TestUnlistedSenders: row 34.
func TestUnlistedSenders(t *testing.T) {
	c := newCounter(t, 0)
	for _, x := range []struct {
		from, want string
		on         bool
	}{
		{"nobody@example.org", "550 5.1.0", true}, {"nobody@example.org", "ok", false},
		{"alice@example.org", "ok", true}, {"x@elsewhere.example", "ok", true},
	} {
		c.with(func(r *Rules) { r.UnlistedSender = x.on })
		if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, x.from)}); code(reply) != x.want {
			t.Errorf("%+v: %v", x, reply)
		}
	}
	c.with(func(r *Rules) { r.UnlistedSender = true })
	if _, reply := c.offer(t, stranger, smtp.Mail{}); reply != nil {
		t.Errorf("the null sender: %v", reply)
	}
	program := Peer{User: &LocalUser{UID: 33, Name: "www-data"}, Protocol: "ESMTP"}
	if _, reply := c.offer(t, program, smtp.Mail{Sender: addr(t, "www-data@mail.example.org")}, "alice@mail.example.org"); reply != nil {
		t.Errorf("a program of this machine: %v", reply)
	}
	c.state.Close()
	if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, "new@example.org")}); code(reply) != "451 4.3.0" {
		t.Errorf("INV-08: %v", reply)
	}
}

// TestLMTPAnswers: SMTP-044. Three get it, two are full, one is unknown; and whoever
// is named twice is answered twice.
func TestLMTPAnswers(t *testing.T) {
	c := newCounter(t, 1000)
	c.with(func(r *Rules) { r.Recipients = 10 })
	ctx := context.Background()
	c.used = 500
	for _, name := range []string{"big1", "big2"} {
		must(t, c.directory.AddHashed(ctx, addr(t, name+"@example.org"), "{PLAIN}secret", 100_000))
	}
	p := stranger
	p.PerRecipient, p.Protocol = true, "LMTP"
	tx, reply := c.offer(t, p, smtp.Mail{}, "big1@example.org", "alice@example.org", "big2@example.org", "BIG1@example.org", "bob@example.org")
	if reply != nil {
		t.Fatal(reply)
	}
	if reply := tx.Recipient(ctx, smtp.Rcpt{To: addr(t, "nobody@example.org")}); code(reply) != "550 5.1.1" {
		t.Errorf("unknown: %v", reply)
	}
	if reply := tx.Receive(ctx, strings.NewReader("\r\n"+strings.Repeat("x", 600))); reply != nil {
		t.Fatal(reply)
	}
	id, reply := tx.Commit(ctx)
	if reply != nil {
		t.Fatal(reply)
	}
	var got []string
	for _, a := range tx.Answers() {
		got = append(got, code(a))
	}
	if s := strings.Join(got, ", "); s != "ok, 552 5.2.2, ok, ok, 552 5.2.2" {
		t.Errorf("SMTP-044: %s", s)
	}
	if item, _ := c.bytes(t, id); len(item.Recipients) != 2 {
		t.Errorf("SMTP-044: kept for %+v", item.Recipients)
	}
}

func TestLMTPWithNobodyLeft(t *testing.T) {
	c := newCounter(t, 1000)
	p := stranger
	p.PerRecipient = true
	tx, _ := c.offer(t, p, smtp.Mail{}, "alice@example.org")
	reply := tx.Receive(context.Background(), strings.NewReader("\r\n"+strings.Repeat("x", 2000)))
	if reply == nil {
		_, reply = tx.Commit(context.Background())
	}
	if answers := tx.Answers(); reply != nil || len(answers) != 1 || code(answers[0]) != "552 5.2.2" {
		t.Errorf("%v, %v", reply, answers)
	}
	if n, _, _ := c.queue.Depth(context.Background()); n != 0 {
		t.Errorf("%d items for nobody", n)
	}
}

// TestACompromisedAccount: ABU-016. What is too much is held, nothing is lost, the
// postmaster hears of it once, and what is far too much is told to come later.
func TestACompromisedAccount(t *testing.T) {
	c := newCounter(t, 0)
	log := &diary{}
	c.Desk.events = log
	must(t, c.directory.AddHashed(context.Background(), addr(t, "postmaster@example.org"), "{PLAIN}secret", 0))
	c.limit(t, brake.Hold, "", 4)
	states := map[queue.State]int{}
	refused := 0
	for range 6 {
		where, answer, id := c.talk(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, "alice@example.org")}, text, "a@x.example", "b@x.example")
		if where == "rcpt" && strings.HasPrefix(answer, "450 4.7.1 <alice@example.org>") {
			refused++
			continue
		}
		if where != "" {
			t.Fatal(where, answer)
		}
		item, _ := c.bytes(t, id)
		for _, r := range item.Recipients {
			states[r.State]++
		}
	}
	if states[queue.Queued] != 4 || states[queue.Held] != 4 || refused != 2 {
		t.Errorf("ABU-016: %v, %d refused", states, refused)
	}
	items, _, err := c.queue.Depth(context.Background())
	if must(t, err); items != 5 {
		t.Errorf("ABU-016: %d items, want 4 letters and one to the postmaster", items)
	}
	if s := log.lines(); strings.Count(s, "warning: ") != 2 || !strings.Contains(s, "held: alice@example.org has sent to 6 recipients in an hour") {
		t.Errorf("ABU-016: %s", s)
	}
	// Another account is not meant.
	if _, answer, _ := c.talk(t, insider("bob@example.org"), smtp.Mail{}, text, "a@x.example"); answer != "" {
		t.Errorf("bob: %s", answer)
	}
	c.limit(t, brake.Defer, "ask the helpdesk", 1)
	if _, answer, _ := c.talk(t, insider("alice@example.org"), smtp.Mail{}, text, "a@x.example", "b@x.example"); answer != "450 4.7.1 <alice@example.org>: Recipient address rejected: ask the helpdesk" {
		t.Errorf("deferring: %q", answer)
	}
}

// TestAUserOfThisMachine: what sendmail hands over.
func TestAUserOfThisMachine(t *testing.T) {
	c := newCounter(t, 0)
	log := &diary{}
	c.Desk.events = log
	p := Peer{User: &LocalUser{UID: 1000, Name: "ann"}, Name: "localhost", Protocol: "ESMTP", Helo: "x"}
	where, answer, id := c.talk(t, p, smtp.Mail{Sender: addr(t, "ann@example.org")}, "Subject: x\n\nbody\n", "x@accept.example")
	if where != "" {
		t.Fatal(where, answer)
	}
	item, stored := c.bytes(t, id)
	if !strings.HasPrefix(stored, "Received: by mail.example.org (facteur, from userid 1000)\r\n\tid ") || !strings.Contains(stored, "\r\nDate: ") {
		t.Errorf("%q", stored)
	}
	if !item.Origin.Local || item.Origin.ClientAddr != "" {
		t.Errorf("%+v", item.Origin)
	}
	if s := log.lines(); !strings.Contains(s, fmt.Sprintf("postfix/pickup: %s: uid=1000 from=<ann@example.org>\n", id)) {
		t.Errorf("%s", s)
	}
	c.limit(t, brake.Defer, "", 1)
	c.talk(t, p, smtp.Mail{}, text, "x@accept.example")
	if _, answer, _ := c.talk(t, p, smtp.Mail{}, text, "x@accept.example"); !strings.HasPrefix(answer, "450 4.7.1") {
		t.Errorf("LOC-012, LOC-014: %q", answer)
	}
}

// TestTermsOfTheEnvelope are kept with the item, where who asks may ask.
func TestTermsOfTheEnvelope(t *testing.T) {
	c := newCounter(t, 0)
	m := smtp.Mail{Body: "BINARYMIME", UTF8: true, Ret: smtp.RetHeaders, EnvID: "e1", RequireTLS: true, Priority: 4,
		Hold: smtp.Hold{For: time.Minute}, By: smtp.DeliverBy{Given: true, Within: 2 * time.Minute, Return: true, Trace: true}}
	ctx := context.Background()
	tx, reply := c.Begin(ctx, insider("alice@example.org"), m)
	if reply == nil {
		reply = tx.Recipient(ctx, smtp.Rcpt{To: addr(t, "x@y.example"), Notify: smtp.NotifySuccess, Original: smtp.Original{Type: "rfc822", Address: "z@y.example"}})
	}
	if reply == nil {
		reply = tx.Receive(ctx, strings.NewReader("Subject: x\n\n\x00\n"))
	}
	if reply != nil {
		t.Fatal(reply)
	}
	it := tx.item()
	by := queue.Deadline{At: it.Arrived.Add(2 * time.Minute), Return: true, Trace: true}
	if !it.Binary || !it.UTF8 || it.Ret != smtp.RetHeaders || it.EnvelopeID != "e1" || !it.RequireTLS || it.Priority != 4 ||
		it.Release != it.Arrived.Add(time.Minute) || it.By != by {
		t.Errorf("%+v", it)
	}
	if r := it.Recipients[0]; r.Notify != smtp.NotifySuccess || r.ORcpt.Address != "z@y.example" {
		t.Errorf("%+v", r)
	}
	tx.Abort()
	if _, reply := c.offer(t, stranger, smtp.Mail{Hold: smtp.Hold{For: time.Second}}); code(reply) != "550 5.7.1" {
		t.Errorf("a stranger keeps mail here: %v", reply)
	}
	tx, _ = c.Begin(ctx, stranger, smtp.Mail{Priority: 9})
	if it := tx.item(); it.Priority != 0 {
		t.Errorf("a stranger goes first: %d", it.Priority)
	}
}

// TestFieldsThatOnlyWeWrite: REL-013. A stranger's are removed, and what others mean
// something by stays, as the bytes of a letter do.
func TestFieldsThatOnlyWeWrite(t *testing.T) {
	c := newCounter(t, 0)
	letter := "X-Spam-Flag: NO\r\nDelivered-To: a\r\nX-Original-To: alice@example.org\r\nReturn-Path: <bob@example.org>\r\nX-Facteur-Verdict: clean\r\n  folded\r\nReceived: from localhost\r\nx-facteur-x:1\r\n\r\nX-Facteur-Body: y\r\n"
	want := "X-Spam-Flag: NO\r\nDelivered-To: a\r\nX-Original-To: alice@example.org\r\nReturn-Path: <bob@example.org>\r\nReceived: from localhost\r\n\r\nX-Facteur-Body: y\r\n"
	if got := c.kept(t, stranger, strings.NewReader(letter), "alice@example.org"); !strings.HasSuffix(got, ")\r\n"+want) {
		t.Errorf("REL-013: %q", got)
	}
}

// REL-013: what begins as the end of a field of ours would, is not taken for one.
func TestLetterThatGoesOnWithOurField(t *testing.T) {
	c := newCounter(t, 0)
	for _, letter := range []string{" by us; dkim=pass\r\nFrom: a@b.example\r\n\r\nx\r\n", "\tfolded\r\n"} {
		if got := c.kept(t, stranger, strings.NewReader(letter), "alice@example.org"); !strings.HasSuffix(got, ")\r\n\r\n"+letter) {
			t.Errorf("REL-013: %q", got[:min(len(got), 500)])
		}
	}
}

// TestNoStrangerRelays: INV-07, row 22, over the whole grammar of addresses, as the door's
// parser reads them, against a predicate that knows nothing of the desk.
func TestNoStrangerRelays(t *testing.T) {
	c := newCounter(t, 0)
	atom := rapid.StringMatching(`[a-zA-Z0-9!#$%&'*+/=?^_{|}~-]{1,12}`)
	quoted := rapid.Map(rapid.StringMatching(`([ !#-\[\]-~]|\\[ -~]){0,12}`), func(s string) string { return `"` + s + `"` })
	local := rapid.OneOf(rapid.SampledFrom([]string{"alice", "ALICE", "bob", `"alice"`, "postmaster", "alice%accept.example", "accept.example!x", "élodie"}), atom, quoted,
		rapid.Map(rapid.SliceOfN(atom, 2, 4), func(s []string) string { return strings.Join(s, ".") }))
	domain := rapid.OneOf(rapid.SampledFrom([]string{"example.org", "EXAMPLE.ORG", "example.org.", "accept.example", "a.example.org", "example.org.accept.example",
		"[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]", "[192.0.2.25]", "examplе.org", "ｅxample.org", "exam\u200bple.org", "xn--exampl-8of.org",
		"exaßple.org", "example。org", "#123", "localhost", "mail.example.org"}), rapid.StringMatching(`[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){0,2}`))
	route := rapid.SampledFrom([]string{"", "", "@example.org:", "@a.example,@example.org:"})
	rapid.Check(t, func(r *rapid.T) {
		path := "<" + route.Draw(r, "route") + local.Draw(r, "local") + "@" + domain.Draw(r, "domain") + ">"
		to, rest, err := address.ParsePath(path, address.Postmaster)
		if err != nil || rest != "" {
			return // the door refuses it before the desk sees it
		}
		tx, reply := c.Begin(context.Background(), stranger, smtp.Mail{})
		if reply == nil {
			reply = tx.Recipient(context.Background(), smtp.Rcpt{To: to})
		}
		if ours := hosted(path); !ours && code(reply) != "554 5.7.1" {
			r.Fatalf("INV-07: %s: %v", path, reply)
		} else if ours && reply != nil && code(reply) != "550 5.1.1" {
			r.Fatalf("%s: %v", path, reply)
		}
	})
}

// hosted is the reference: what is behind the last "@" is the one domain of ours or the
// server's own name, as people write it. Letters that are but another form of Latin ones (full width) are
// those, as UTS 46 has it; those of another script are not.
func hosted(path string) bool {
	domain := path[strings.LastIndexByte(path, '@')+1 : len(path)-1]
	domain = strings.NewReplacer("ｅ", "e", "。", ".", "\u200b", "").Replace(domain)
	return strings.EqualFold(domain, "example.org") || strings.EqualFold(domain, "mail.example.org")
}

// TestTrustIsByAddress: REL-017, row 23, and a trusted network is no account.
func TestTrustIsByAddress(t *testing.T) {
	c := newCounter(t, 0)
	for a, want := range map[string]string{"10.1.255.255": "ok", "::ffff:10.1.0.1": "ok", "10.2.0.0": "554 5.7.1", "::1": "554 5.7.1"} {
		p := stranger
		p.Addr = netip.MustParseAddr(a)
		if _, reply := c.offer(t, p, smtp.Mail{}, "x@accept.example"); code(reply) != want {
			t.Errorf("%s: %v", a, reply)
		}
	}
}

// TestSourceRoutes: REL-003. What the route says goes, and what is left is judged.
func TestSourceRoutes(t *testing.T) {
	c := newCounter(t, 0)
	for path, want := range map[string]string{
		"<@a.example,@example.org:x@accept.example>": "554 5.7.1",
		"<@example.org:x@accept.example>":            "554 5.7.1",
		"<@accept.example:alice@example.org>":        "ok",
	} {
		to, _, err := address.ParsePath(path)
		must(t, err)
		tx, _ := c.Begin(context.Background(), stranger, smtp.Mail{})
		if reply := tx.Recipient(context.Background(), smtp.Rcpt{To: to}); code(reply) != want {
			t.Errorf("REL-003 %s: %v", path, reply)
		}
	}
}

// TestOneMailboxOneName: REL-020. No spelling of an account gets around its paces, its
// rules or the count of its copies.
func TestOneMailboxOneName(t *testing.T) {
	c := newCounter(t, 0)
	c.limit(t, brake.Defer, "", 2)
	c.govern(t, [3]string{"rcpt", `recipient.address == "bob@example.org" && sender.user == "alice"`, "reject 550 5.7.1 no"})
	for _, from := range []string{"Alice@example.org", "alice+x@EXAMPLE.org", `"alice"@example.org`} {
		for _, to := range []string{"bob@example.org", "BOB@Example.ORG", `"bob"@example.org`} {
			if _, reply := c.offer(t, stranger, smtp.Mail{Sender: addr(t, from)}, to); code(reply) != "550 5.7.1" {
				t.Errorf("REL-020 %s → %s: %v", from, to, reply)
			}
		}
	}
	for i, account := range []string{"alice@example.org", "ALICE@example.org", "Alice@Example.Org"} {
		_, answer, _ := c.talk(t, insider(account), smtp.Mail{}, text, "x@accept.example")
		if (answer != "") != (i == 2) {
			t.Errorf("REL-020 %s, letter %d: %q", account, i, answer)
		}
	}
}

// BenchmarkDesk is one letter at the desk up to its commit: without rules, and with
// as many as a usual site has.
func BenchmarkDesk(b *testing.B) {
	for _, x := range []struct {
		name  string
		rules [][3]string
	}{{"without rules", nil}, {"five rules", [][3]string{
		{"connect", `client.in("198.51.100.0/24")`, "reject"}, {"helo", "!fqdn(helo) && helo != 'h'", "reject"},
		{"mail", `sender.domain == "spam.example"`, "reject"}, {"rcpt", `recipient.user == "service.intra"`, "reject"},
		{"end", `header("Subject") contains "winner"`, "hold"}}}} {
		b.Run(x.name, func(b *testing.B) {
			c := newCounter(b, 0)
			c.with(func(r *Rules) { r.DelayReject = true })
			if x.rules != nil {
				c.govern(b, x.rules...)
				c.with(func(r *Rules) { r.DelayReject = true })
			}
			ctx, to := context.Background(), addr(b, "alice@example.org")
			v, _ := c.Connect(ctx, stranger)
			b.ReportAllocs()
			for b.Loop() {
				tx, reply := v.Begin(ctx, stranger, smtp.Mail{})
				if reply == nil {
					reply = tx.Recipient(ctx, smtp.Rcpt{To: to})
				}
				if reply == nil {
					reply = tx.Data(ctx)
				}
				if reply == nil {
					reply = tx.Receive(ctx, strings.NewReader(text))
				}
				if reply != nil {
					b.Fatal(reply)
				}
				tx.Abort()
			}
		})
	}
}

// TestAnExtensionThatIsAnAccount is whose account it is, and not of the plain name.
func TestAnExtensionThatIsAnAccount(t *testing.T) {
	c := newCounter(t, 0)
	must(t, c.directory.AddHashed(context.Background(), addr(t, "alice+sales@example.org"), "{PLAIN}secret", 0))
	for from, want := range map[string]string{"alice+sales@example.org": "553 5.7.1", "alice+other@example.org": "ok", "Alice@example.org": "ok"} {
		if _, reply := c.offer(t, insider("alice@example.org"), smtp.Mail{Sender: addr(t, from)}); code(reply) != want {
			t.Errorf("%s: %v", from, reply)
		}
	}
	if _, reply := c.offer(t, insider("alice+sales@example.org"), smtp.Mail{Sender: addr(t, "alice+sales@example.org")}); reply != nil {
		t.Error(reply)
	}
}
