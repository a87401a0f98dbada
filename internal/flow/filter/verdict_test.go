package filter

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
	"facteur/internal/mail/spf"
)

var (
	today  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	client = Client{Addr: netip.MustParseAddr("192.0.2.1"), Name: "mx.list.example", Helo: "mx.list.example"}
)

// usual are the rules of an empty settings file.
func usual() *Rules {
	return &Rules{Hostname: "mail.example.org", SPF: SPFRules{Enabled: true, ReceivedSPF: true, Results: true, HideReceiver: true}, DKIM: true, ARC: true, Learn: true,
		DMARC: DMARCRules{Policy: Honour, NoFrom: OddAccept, UnreadableFrom: OddJunk}}
}

// disowned is a letter of bank.example, which asks for a policy, that nothing proves.
func disowned(policy dmarc.Policy) *Evidence {
	record, err := dmarc.Parse("v=DMARC1; p=" + string(policy))
	if err != nil {
		panic(err)
	}
	return &Evidence{Client: client, Sender: address.Address{Local: "x", Domain: "bank.example"},
		SPFMail: &spf.Result{Status: spf.Fail, Identity: spf.MailFrom, Domain: "bank.example", Mechanism: "-all"},
		DMARC: dmarc.Result{Status: dmarc.Fail, Asked: "bank.example", Domain: "bank.example", Org: "bank.example", Policy: policy, Tag: "p", Record: record,
			From: []string{"bank.example"}, Author: dmarc.Author{Fields: 1, Addresses: 1, Domains: []string{"bank.example"}}}}
}

func signedBy(domain string, status dkim.Status) dkim.Result {
	return dkim.Result{Status: status, Domain: domain, Selector: "s1", HeaderIntact: true, BodyIntact: status == dkim.Pass}
}

// sealed is a chain in which each domain says what it saw of bank.example.
func sealed(domains ...string) arc.Result {
	r := arc.Result{Status: arc.Pass, Author: true}
	for i, d := range domains {
		domain, saw, _ := strings.Cut(d, "=")
		results := authres.Results{ID: "mx." + domain, Methods: []authres.Method{{Name: "dmarc", Result: saw,
			Properties: []authres.Property{{Type: "header", Name: "from", Value: "bank.example"}}}}}
		r.Sets = append(r.Sets, arc.Set{Instance: i + 1, Domain: domain, Results: &results})
	}
	return r
}

// list makes the letter one of list.example, whose footer broke the author's signature.
func list(e *Evidence) {
	e.List = "talk.list.example"
	e.Sender = address.Address{Local: "bounces", Domain: "list.example"}
	e.SPFMail = &spf.Result{Status: spf.Pass, Identity: spf.MailFrom, Domain: "list.example", Mechanism: "mx"}
	e.DKIM = []dkim.Result{signedBy("bank.example", dkim.Fail), signedBy("list.example", dkim.Pass)}
}

// TestVerdict: evidence on the left, verdict on the right. Rows 169 and 170.
func TestVerdict(t *testing.T) {
	known := Standing{Domain: "list.example", By: "DKIM", Since: today.Add(-60 * 24 * time.Hour), Good: 200, Authors: 20}
	for _, x := range []struct {
		name   string
		policy dmarc.Policy
		change func(*Rules, *Evidence)
		want   Disposition
		says   string
	}{
		{"nothing speaks against it", dmarc.Reject, func(_ *Rules, e *Evidence) { e.DMARC.Status = dmarc.Pass }, Accept, ""},
		{"row 169 a broken signature alone", dmarc.PolicyNone, func(_ *Rules, e *Evidence) {
			e.DMARC = dmarc.Result{Status: dmarc.None, Author: e.DMARC.Author}
			e.DKIM = []dkim.Result{signedBy("bank.example", dkim.Fail)}
		}, Accept, ""},
		{"SPF alone", dmarc.PolicyNone, func(_ *Rules, e *Evidence) { e.DMARC.Status = dmarc.None }, Accept, ""},
		{"p=none", dmarc.PolicyNone, nil, Accept, ""},
		{"p=quarantine", dmarc.Quarantine, nil, Junk, "asks to quarantine it"},
		{"p=reject", dmarc.Reject, nil, Reject, "DMARC of bank.example asks to reject it"},
		{"row 170 RejectFailures false", dmarc.Reject, func(r *Rules, _ *Evidence) { r.DMARC.Policy = Score }, Accept, "evidence only"},
		{"quarantine instead of reject", dmarc.Reject, func(r *Rules, _ *Evidence) { r.DMARC.Policy = Quarantine }, Junk, "here, such letters are taken as junk"},
		{"off", dmarc.Reject, func(r *Rules, _ *Evidence) { r.DMARC.Policy = Off }, Accept, ""},

		{"AUT-017 a list, known to nobody", dmarc.Reject, func(_ *Rules, e *Evidence) { list(e) }, Junk, "it came by the list talk.list.example and list.example (DKIM) answers for it"},
		{"AUT-017 a list that is known for weeks", dmarc.Reject, func(_ *Rules, e *Evidence) { list(e); e.Known = []Standing{known} }, Accept,
			"list.example (DKIM) has brought 200 good letters of others since 23 September 2026"},
		{"AUT-017 the same, p=quarantine", dmarc.Quarantine, func(_ *Rules, e *Evidence) { list(e); e.Known = []Standing{known} }, Accept, "accepted nevertheless"},
		{"AUT-021 a provider that is known for weeks, and sends for everybody", dmarc.Reject, func(_ *Rules, e *Evidence) {
			list(e)
			e.List, e.Known = "talk.customer.example", []Standing{known}
		}, Junk, ""},
		{"AUT-017 a forwarder that is known for weeks", dmarc.Reject, func(_ *Rules, e *Evidence) {
			list(e)
			e.List, e.Sender.Local, e.Known = "", "SRS0=abcd=ZZ=bank.example=x", []Standing{known}
		}, Accept, "200 good letters"},
		{"AUT-017 a list that began yesterday", dmarc.Reject, func(_ *Rules, e *Evidence) {
			list(e)
			young := known
			young.Since = today.Add(-24 * time.Hour)
			e.Known = []Standing{young}
		}, Junk, ""},
		{"AUT-017 letters of one author only", dmarc.Reject, func(_ *Rules, e *Evidence) {
			list(e)
			lone := known
			lone.Authors = 1
			e.Known = []Standing{lone}
		}, Junk, ""},
		{"AUT-017 a list that brings spam", dmarc.Reject, func(_ *Rules, e *Evidence) {
			list(e)
			bad := known
			bad.Bad = 50
			e.Known = []Standing{bad}
		}, Junk, ""},
		{"AUT-017 nothing is to be learnt", dmarc.Reject, func(r *Rules, e *Evidence) { list(e); r.Learn = false; e.Known = []Standing{known} }, Junk, ""},
		{"AUT-017 a known forwarder by its domain", dmarc.Reject, func(r *Rules, e *Evidence) { list(e); r.Forwarders = []string{"list.example"} }, Accept, "list.example is a known forwarder"},
		{"AUT-017 a known forwarder by its name", dmarc.Reject, func(r *Rules, _ *Evidence) { r.Forwarders = []string{"mx.list.example"} }, Accept, "its host mx.list.example is a known forwarder"},
		{"AUT-017 a known forwarder by its address", dmarc.Reject, func(r *Rules, _ *Evidence) {
			r.ForwarderNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}, Accept, "its host 192.0.2.1"},
		{"a forwarder's name that leads nowhere", dmarc.Reject, func(r *Rules, e *Evidence) { r.Forwarders = []string{"mx.list.example"}; e.Client.Name = "unknown" }, Reject, ""},
		{"AUT-017 a footer, and no word of the list", dmarc.Reject, func(_ *Rules, e *Evidence) {
			e.List, e.DKIM = "talk.list.example", []dkim.Result{signedBy("bank.example", dkim.Fail)}
		}, Junk, "which changed it after it was signed"},
		{"AUT-017 a footer below a part that is signed (l=)", dmarc.Reject, func(_ *Rules, e *Evidence) {
			d := signedBy("bank.example", dkim.Policy)
			d.Limited = 10
			e.List, e.DKIM = "talk.list.example", []dkim.Result{d}
		}, Junk, "which changed it after it was signed"},
		{"AUT-017 a footer of a gateway", dmarc.Reject, func(_ *Rules, e *Evidence) { e.DKIM = []dkim.Result{signedBy("bank.example", dkim.Fail)} }, Junk,
			"bank.example signed its header, and only its body was changed on the way"},
		{"a key that is too small", dmarc.Reject, func(_ *Rules, e *Evidence) {
			d := signedBy("bank.example", dkim.Fail)
			d.HeaderIntact = false
			e.DKIM = []dkim.Result{d}
		}, Reject, ""},
		{"AUT-017 a list without SPF and DKIM, from its own host", dmarc.Reject, func(_ *Rules, e *Evidence) {
			e.List, e.Sender.Domain = "talk.list.example", "list.example"
		}, Junk, "it came by the list talk.list.example, from the list's host mx.list.example"},
		{"such a list, from another host", dmarc.Reject, func(_ *Rules, e *Evidence) {
			e.List, e.Sender.Domain = "talk.other.example", "other.example"
		}, Reject, ""},
		{"a List-Id alone", dmarc.Reject, func(_ *Rules, e *Evidence) { e.List = "talk.list.example" }, Reject, ""},
		{"a signature of anybody alone", dmarc.Reject, func(_ *Rules, e *Evidence) { e.DKIM = []dkim.Result{signedBy("evil.example", dkim.Pass)} }, Reject, ""},
		{"sent on, with a sender by SRS", dmarc.Reject, func(_ *Rules, e *Evidence) { list(e); e.List = ""; e.Sender.Local = "SRS0=abcd=ZZ=bank.example=x" }, Junk, "sent it on"},

		{"AUT-020 a trusted sealer", dmarc.Reject, func(r *Rules, e *Evidence) { e.ARC, r.Sealers = sealed("list.example=pass"), []string{"list.example"} }, Accept,
			"because the trusted sealer list.example (ARC) vouches that it passed there"},
		{"AUT-020 a sealer that nobody trusts", dmarc.Reject, func(_ *Rules, e *Evidence) { e.ARC = sealed("list.example=pass") }, Junk, "of nobody who is trusted here"},
		{"AUT-020 a trusted sealer who saw it fail", dmarc.Reject, func(r *Rules, e *Evidence) {
			e.ARC, r.Sealers = sealed("list.example=fail"), []string{"list.example"}
		}, Junk, ""},
		{"AUT-020 below a trusted one, one that is not", dmarc.Reject, func(r *Rules, e *Evidence) {
			e.ARC, r.Sealers = sealed("evil.example=pass", "list.example=fail"), []string{"list.example"}
		}, Junk, ""},
		{"AUT-020 above a trusted one, one that is not", dmarc.Reject, func(r *Rules, e *Evidence) {
			e.ARC, r.Sealers = sealed("list.example=pass", "evil.example=pass"), []string{"list.example"}
		}, Junk, ""},
		{"AUT-020 two trusted ones", dmarc.Reject, func(r *Rules, e *Evidence) {
			e.ARC, r.Sealers = sealed("list.example=pass", "relay.example=fail"), []string{"list.example", "relay.example"}
		}, Accept, "the trusted sealer list.example"},
		{"AUT-020 a chain that fails", dmarc.Reject, func(r *Rules, e *Evidence) {
			e.ARC, r.Sealers = sealed("list.example=pass"), []string{"list.example"}
			e.ARC.Status = arc.Fail
		}, Reject, ""},
		{"AUT-020 a chain that does not cover From", dmarc.Reject, func(r *Rules, e *Evidence) {
			e.ARC, r.Sealers = sealed("list.example=pass"), []string{"list.example"}
			e.ARC.Author = false
		}, Junk, ""},

		{"AUT-004 SPF had no answer", dmarc.Reject, func(_ *Rules, e *Evidence) { e.SPFMail.Status = spf.TempError }, Junk, "the DNS did not tell all"},
		{"AUT-004 a key had no answer", dmarc.Reject, func(_ *Rules, e *Evidence) { e.DKIM = []dkim.Result{signedBy("bank.example", dkim.TempError)} }, Junk, ""},
		{"AUT-004 somebody else's key had no answer", dmarc.Reject, func(_ *Rules, e *Evidence) { e.DKIM = []dkim.Result{signedBy("evil.example", dkim.TempError)} }, Reject, ""},
		{"AUT-004 as the admin wants", dmarc.Reject, func(r *Rules, e *Evidence) { e.SPFMail.Status, r.DMARC.DeferTempError = spf.TempError, true }, Defer, ""},
		{"AUT-004 DMARC had no answer", dmarc.Reject, func(_ *Rules, e *Evidence) { e.DMARC.Status = dmarc.TempError }, Accept, ""},
		{"AUT-004 DMARC had no answer, as the admin wants", dmarc.Reject, func(r *Rules, e *Evidence) { e.DMARC.Status, r.DMARC.DeferTempError = dmarc.TempError, true }, Defer, "did not tell"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, e := usual(), disowned(x.policy)
			if x.change != nil {
				x.change(r, e)
			}
			v := r.Verdict(e, today)
			if v.Disposition != x.want || !strings.Contains(v.Because, x.says) {
				t.Errorf("%s: %s; want %s: … %s …", v.Disposition, v.Because, x.want, x.says)
			}
			if refused := v.Reply != nil; refused != (x.want == Reject || x.want == Defer) || refused && v.Reply.Permanent() != (x.want == Reject) {
				t.Errorf("the reply is %v", v.Reply)
			}
		})
	}
}

// TestLessons: AUT-021, what a letter teaches about who brought it. A forger can't earn his
// standing with letters that nobody wrote.
func TestLessons(t *testing.T) {
	pass := func(e *Evidence) {
		list(e)
		e.DKIM[0], e.DMARC.Status, e.DMARC.DKIMAligned = signedBy("bank.example", dkim.Pass), dmarc.Pass, true
	}
	for _, x := range []struct {
		name   string
		change func(*Evidence)
		spam   bool
		want   []lesson
	}{
		{"a list that changes nothing", pass, false, []lesson{{"list.example", "bank.example", true}}},
		{"a list that adds a footer", list, false, []lesson{{"list.example", "bank.example", true}}},
		{"a list that brings spam", func(e *Evidence) { list(e); e.DKIM = e.DKIM[1:] }, true, []lesson{{"list.example", "bank.example", false}}},
		{"AUT-021 an author that nothing proves", func(e *Evidence) { list(e); e.DKIM = e.DKIM[1:]; e.DMARC.Status = dmarc.None }, false, nil},
		{"AUT-021 the list's own author", func(e *Evidence) { pass(e); e.DMARC.Asked = "news.list.example" }, false, nil},
		{"AUT-021 a provider that sends for many", func(e *Evidence) { pass(e); e.List = "news.bank.example" }, false, nil},
		{"a forwarder with SRS", func(e *Evidence) { pass(e); e.List, e.Sender.Local = "", "SRS0=abcd=ZZ=bank.example=x" }, false, []lesson{{"list.example", "bank.example", true}}},
		{"a forwarder with a seal", func(e *Evidence) { pass(e); e.List, e.ARC = "", sealed("mx.list.example=pass") }, false, []lesson{{"list.example", "bank.example", true}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := disowned(dmarc.PolicyNone)
			x.change(e)
			if got := lessons(e, x.spam); !slices.Equal(got, x.want) {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestAuthors: letters with several authors, with none, with odd ones.
func TestAuthors(t *testing.T) {
	for _, x := range []struct {
		name, header string
		change       func(*Rules)
		want         Disposition
	}{
		{"AUT-015 no From", "Subject: x", nil, Accept},
		{"AUT-015 no From, which the admin refuses", "Subject: x", func(r *Rules) { r.DMARC.NoFrom = OddReject }, Reject},
		{"AUT-015 a group", "From: Undisclosed:;", nil, Junk},
		{"AUT-015 a name only", "From: bank", nil, Junk},
		{"AUT-015 a name only, which the admin refuses", "From: bank", func(r *Rules) { r.DMARC.UnreadableFrom = OddReject }, Reject},
		{"AUT-015 a name only, as evidence", "From: bank", func(r *Rules) { r.DMARC.Policy = Score }, Accept},
		{"AUT-015 two of one domain", "From: a@other.example, b@other.example", nil, Accept},
		{"AUT-015 two domains, the worst counts", "From: a@other.example, ceo@bank.example", nil, Reject},
		{"AUT-015 two fields, the worst counts", "From: a@other.example\r\nFrom: ceo@bank.example", nil, Reject},
		{"AUT-015 two harmless fields", "From: a@other.example\r\nFrom: b@third.example", nil, Accept},
		{"AUT-015 two harmless domains, which the admin refuses", "From: a@other.example, b@third.example", func(r *Rules) { r.DMARC.RejectMultipleFrom = true }, Reject},
		{"AUT-015 two harmless fields, which the admin refuses", "From: a@other.example\r\nFrom: a@other.example", func(r *Rules) { r.DMARC.RejectMultipleFrom = true }, Reject},
		{"AUT-015 a quoted address of the bank", `From: "ceo@bank.example" <x@other.example>`, nil, Accept},
		{"AUT-015 upper case, in A-labels", "From: CEO@BANK.example", nil, Reject},
		{"AUT-015 behind more domains than are asked", "From: a@a1.example, b@a2.example, c@a3.example, d@a4.example, e@a5.example, ceo@bank.example", nil, Junk},
		{"AUT-015 behind more addresses than are looked at", "From: " + strings.Repeat("a@other.example, ", 1000) + "ceo@bank.example", nil, Junk},
		{"AUT-015 behind names that use up the questions", "From: a@1.2.3.4.5.6.7.other.example\r\nFrom: b@1.2.3.4.5.6.7.third.example, ceo@bank.example", nil, Junk},
		{"AUT-015 the same, as evidence", "From: a@1.2.3.4.5.6.7.other.example, b@1.2.3.4.5.6.7.third.example, ceo@bank.example", func(r *Rules) { r.DMARC.Policy = Score }, Accept},
		{"AUT-015 one domain that no DNS has, and one of theirs", "From: <ceo@bank..example>, a@other.example", nil, Junk},
		{"AUT-015 one domain with an octet too many", "From: <ceo@bank.example\x01>, a@other.example", nil, Junk},
		{"AUT-015 the bank beside one that no DNS has", "From: ceo@bank.example, <a@other..example>", nil, Reject},
		{"AUT-015 a comma in a name without quotes", "From: Smith, Joe <joe@other.example>", nil, Accept},
		{"AUT-015 a field that is From for some", "From\x0b: ceo@bank.example\r\nFrom: a@other.example", nil, Junk},
		{"AUT-015 such a field alone", "Subject: x\r\n\x0bFrom: ceo@bank.example", nil, Junk},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFilter(t, `_dmarc.bank.example TXT "v=DMARC1; p=reject"`)
			if x.change != nil {
				x.change(f.rules)
			}
			c := f.Open(t.Context(), nil, Letter{Client: client})
			c.Read(message.Header(x.header+"\r\n\r\n"), false)
			if v := c.Judge(t.Context()); v.Disposition != x.want {
				t.Errorf("%s: %s; want %s", v.Disposition, v.Because, x.want)
			}
		})
	}
}

// TestAuthentic: LOOP-007, whose sender may be told.
func TestAuthentic(t *testing.T) {
	sender := address.Address{Local: "x", Domain: "mail.example.net"}
	pass := func(domain string) *spf.Result {
		return &spf.Result{Status: spf.Pass, Identity: spf.MailFrom, Domain: domain}
	}
	for name, x := range map[string]struct {
		e    Evidence
		want bool
	}{
		"LOOP-007 SPF of the sender":            {Evidence{Sender: sender, SPFMail: pass("mail.example.net")}, true},
		"LOOP-007 a softfail":                   {Evidence{Sender: sender, SPFMail: &spf.Result{Status: spf.SoftFail, Domain: "mail.example.net"}}, false},
		"LOOP-007 SPF of HELO only":             {Evidence{Sender: sender, SPFHelo: pass("mx.example.net")}, false},
		"LOOP-007 a signature of the sender":    {Evidence{Sender: sender, DKIM: []dkim.Result{signedBy("mail.example.net", dkim.Pass)}}, true},
		"LOOP-007 of a domain above":            {Evidence{Sender: sender, DKIM: []dkim.Result{signedBy("example.net", dkim.Pass)}}, true},
		"LOOP-007 of a domain below":            {Evidence{Sender: sender, DKIM: []dkim.Result{signedBy("x.mail.example.net", dkim.Pass)}}, false},
		"LOOP-007 of somebody else":             {Evidence{Sender: sender, DKIM: []dkim.Result{signedBy("evil.example", dkim.Pass)}}, false},
		"LOOP-007 a name that ends the same":    {Evidence{Sender: sender, DKIM: []dkim.Result{signedBy("ple.net", dkim.Pass)}}, false},
		"LOOP-007 a signature that is broken":   {Evidence{Sender: sender, DKIM: []dkim.Result{signedBy("mail.example.net", dkim.Fail)}}, false},
		"LOOP-007 a notice":                     {Evidence{SPFHelo: pass("mx.example.net")}, false},
		"LOOP-007 nothing at all":               {Evidence{Sender: sender}, false},
		"LOOP-007 what a sender of others says": {Evidence{Sender: sender, SPFMail: pass("other.example")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := x.e.Authentic(); got != x.want {
				t.Errorf("%v", got)
			}
		})
	}
}
