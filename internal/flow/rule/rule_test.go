package rule

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// lists are what the tests look up in; a list called "down" never answers.
type lists map[string]map[string]string

func (l lists) lookup(_ context.Context, list, key string) lookup.Answer[string] {
	if list == "down" {
		return lookup.Later[string](errors.New("connection refused"))
	}
	value, ok := l[list][key]
	if !ok {
		return lookup.No[string](nil)
	}
	return lookup.Yes(value)
}

func (l lists) names() []string {
	out := []string{"down"}
	for name := range l {
		out = append(out, name)
	}
	return out
}

func (l lists) sources() Sources {
	truth := func(name string) lookup.Answer[bool] {
		if name == "down.example" {
			return lookup.Later[bool](errors.New("SERVFAIL"))
		}
		return lookup.Yes(strings.HasSuffix(name, "example.org"))
	}
	return Sources{
		List:     l.lookup,
		Resolves: func(_ context.Context, d string) lookup.Answer[bool] { return truth(d) },
		Hosted:   func(_ context.Context, d string) lookup.Answer[bool] { return truth(d) },
		Known: func(_ context.Context, a address.Address) lookup.Answer[bool] {
			if a.Domain == "example.org" && a.Local == "ghost" {
				return lookup.No[bool](nil)
			}
			return lookup.Yes(a.Domain != "down.example")
		},
	}
}

// TestPatternsAreAskedForWholeKeys: what is true of a part of an address is not true of
// the address.
func TestPatternsAreAskedForWholeKeys(t *testing.T) {
	whole, asked := true, []string(nil)
	s, errs := Compile([]Rule{{Name: "r", Stage: "rcpt", When: `in_list("p", sender) || in_list("p", client) || in_list("p", "a.example") || in_list("p", "")`, Then: []string{"hold"}}},
		[]string{"p"}, Sources{
			List: func(_ context.Context, _, key string) lookup.Answer[string] {
				asked = append(asked, key)
				return lookup.No[string](nil)
			},
			Whole: func(string) bool { return whole },
		})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	s.Judge(t.Context(), Rcpt, letter(t))
	if got := strings.Join(asked, " "); got != "bob+news@mail.example.net mx7.mail.example.net 192.0.2.7 a.example" {
		t.Error(got)
	}
	whole, asked = false, nil
	s.Judge(t.Context(), Rcpt, letter(t))
	if len(asked) < 15 {
		t.Error(asked)
	}
}

// TestValuesAsActions: those that are surely taken for actions can be checked.
func TestValuesAsActions(t *testing.T) {
	s, errs := Compile([]Rule{
		{Name: "a", Stage: "rcpt", When: `in_list("one", sender) || in_list("one", client)`, Then: []string{"warn x", "listed"}},
		{Name: "b", Stage: "rcpt", When: `in_list("keys", sender) && in_list("two", client)`, Then: []string{"listed"}},
		{Name: "c", Stage: "rcpt", When: `in_list("keys", sender)`, Then: []string{"hold"}},
		{Name: "d", Stage: "rcpt", Class: "house", When: `list_value("three", sender) != ""`, Then: []string{"listed"}},
	}, []string{"one", "two", "three", "keys"}, Sources{})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	if got := strings.Join(s.Obeyed(), " "); got != "one three" {
		t.Error(got)
	}
	for value, want := range map[string]string{"OK": "", "house": "", "class house": "", "550 5.7.1 no": "", "": "is empty", "FILTER x:y": "unknown action",
		"class nowhere": "no class", "listed": "leads back", "421 x": "end the session"} {
		if err := s.CheckValue(value); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func compile(t testing.TB, l lists, rules ...Rule) *Set {
	t.Helper()
	for i := range rules {
		if rules[i].Name == "" {
			rules[i].Name = "rule " + string(rune('a'+i))
		}
	}
	s, errs := Compile(rules, l.names(), l.sources())
	for _, e := range errs {
		t.Error(e)
	}
	if len(errs) > 0 {
		t.FailNow()
	}
	return s
}

// letter are the facts of a usual stranger's letter.
func letter(t testing.TB) *Facts {
	t.Helper()
	f := NewFacts()
	f.SetClient(netip.MustParseAddr("192.0.2.7"), "MX7.mail.example.net")
	f.Helo, f.Protocol, f.Service = "mx7.mail.example.net", "ESMTPS", "smtp"
	f.SetTLS(&tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}, nil)
	f.Sender.Set(addr(t, "Bob+news@Mail.example.net"))
	f.Recipient.Set(addr(t, "alice@example.org"))
	f.Recipients, f.Size, f.BodySize = 1, 1200, 1000
	f.Message = message.Header("Subject: =?utf-8?q?Caf=C3=A9?= now\r\nReceived: a\r\nReceived: b\r\n\r\n")
	f.Remarks = []string{"pregreet"}
	return f
}

func addr(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// said is a decision in one line.
func said(d Decision) string {
	var out []string
	for _, s := range d.Steps {
		out = append(out, s.Action.String())
	}
	if d.Err != nil {
		out = append(out, "later: "+d.Err.Error())
	}
	return strings.Join(out, "; ")
}

func TestExpressions(t *testing.T) {
	l := lists{"blocked": {"example.net": "REJECT", "10.0": "x"}, "senders": {"bob@": "OK"}, "none": {"<>": "y"}}
	for when, want := range map[string]bool{
		`client.address == "192.0.2.7"`:                                 true,
		`client.in("192.0.2.0/24", "2001:db8::/32")`:                    true,
		`client.in("192.0.3.0/24") || client.in("192.0.2.8")`:           false,
		`in_net(client.address, "192.0.2.7")`:                           true,
		`in_net("nonsense", "0.0.0.0/0")`:                               false,
		`client.name endsWith ".example.net"`:                           true,
		`client.name == helo && helo != "unknown"`:                      true,
		`tls.active && tls.version == "TLS 1.3"`:                        true,
		`tls.cert_name == "" && tls.fingerprint == ""`:                  true,
		`sender.address == "bob+news@mail.example.net"`:                 true,
		`sender.user == "bob" && sender.extension == "news"`:            true,
		`sender.local == "bob+news"`:                                    true,
		`recipient.domain == "example.org" && recipients == 1`:          true,
		`size > 1000 && size < 1M`:                                      false, // no such number: see TestMistakes
		`size > 1000 && size < 1_000_000`:                               true,
		`header("subject") == "Café now"`:                               true,
		`header("Subject") matches "(?i)caf. NOW"`:                      true,
		`len(headers("Received")) == 2`:                                 true,
		`any(headers("Received"), # == "b")`:                            true,
		`header("X-None") == ""`:                                        true,
		`"pregreet" in remarks`:                                         true,
		`"pipelining" in remarks`:                                       false,
		`account == "" && !trusted && !local && messages == 0`:          true,
		`time.hour >= 0 && time.clock >= "00:00"`:                       true,
		`time.weekday in ["monday", "yesterday"] || true`:               true,
		`in_list("blocked", sender)`:                                    true,
		`in_list("blocked", client)`:                                    true,
		`in_list("blocked", recipient)`:                                 false,
		`in_list("senders", sender)`:                                    true,
		`list_value("senders", sender) == "OK"`:                         true,
		`list_value("senders", "nobody@x.example") == ""`:               true,
		`valid_hostname(helo) && fqdn(helo)`:                            true,
		`fqdn("localhost") || valid_hostname("a b")`:                    false,
		`fqdn("[192.0.2.1]") && valid_hostname("[IPv6:::1]")`:           true,
		`valid_hostname("192.0.2.1") || fqdn("192.0.2.1")`:              false,
		`resolves("example.org") && hosted("example.org")`:              true,
		`resolves("nowhere.example") || resolves("..")`:                 false,
		`resolves("[192.0.2.1]")`:                                       true,
		`known(sender) && known("x@example.org")`:                       true,
		`known("ghost@example.org")`:                                    false,
		`let d = sender.domain; d == "mail.example.net"`:                true,
		`protocol == "ESMTPS" && service == "smtp" && smtputf8`:         false,
		`tls.server == "" && tls.cipher startsWith "TLS_AES"`:           true,
		`count(headers("Received"), # != "") == 2 && lower("A") == "a"`: true,
		`first(split(helo, ".")) == "mx7" && max(1, 2) == 2`:            true,
		`body_size == 1000 && len(tags) == 0`:                           true,
	} {
		if strings.Contains(when, "1M") {
			continue
		}
		t.Run(when, func(t *testing.T) {
			s := compile(t, l, Rule{Stage: "end", When: when, Then: []string{"tag yes"}})
			d := s.Judge(context.Background(), End, letter(t))
			if got := said(d); (got == "tag yes") != want || !want && got != "" {
				t.Errorf("%q, want %v", got, want)
			}
		})
	}
}

// TestMistakes: a set is whole or none, and each mistake says where it is and what
// to write instead.
func TestMistakes(t *testing.T) {
	l := lists{"blocked": nil}
	for _, x := range []struct {
		rule Rule
		key  string
		want string
		col  int
	}{
		{Rule{Stage: "recipient", Then: []string{"hold"}}, "stage", `expected "connect", "helo", "mail", "rcpt", "data" or "end", found "recipient"`, 0},
		{Rule{Stage: "rctp", Then: []string{"hold"}}, "stage", `did you mean "rcpt"?`, 0},
		{Rule{Name: "-", Stage: "rcpt", Then: []string{"hold"}}, "name", "is missing", 0},
		{Rule{Stage: "rcpt"}, "then", "expected one action", 0},
		{Rule{Stage: "rcpt", Then: []string{"rejct 550 no"}}, "then[0]", `did you mean "reject"?`, 0},
		{Rule{Stage: "rcpt", Then: []string{"tag x", "sleep 1h"}}, "then[1]", "up to 10s", 0},
		{Rule{Stage: "rcpt", Then: []string{"reject", "tag x"}}, "then[1]", "never reached", 0},
		{Rule{Stage: "mail", Then: []string{"hold"}}, "then[0]", "no message yet", 0},
		{Rule{Stage: "rcpt", Then: []string{"listed"}}, "then[0]", "asks no list", 0},
		{Rule{Stage: "rcpt", Then: []string{"class nowhere"}}, "then[0]", `there is no class "nowhere"`, 0},
		{Rule{Stage: "rcpt", When: `sendr.domain == "x"`, Then: []string{"hold"}}, "when", `unknown name "sendr"; did you mean "sender"?`, 1},
		{Rule{Stage: "rcpt", When: `true && sender.domian == "x"`, Then: []string{"hold"}}, "when", `did you mean "domain"?`, 16},
		{Rule{Stage: "rcpt", When: `sender`, Then: []string{"hold"}}, "when", "expected a condition", 0},
		{Rule{Stage: "rcpt", When: `size == "x"`, Then: []string{"hold"}}, "when", "mismatched types", 6},
		{Rule{Stage: "rcpt", When: `helo == `, Then: []string{"hold"}}, "when", "unexpected end of the expression", 8},
		{Rule{Stage: "rcpt", When: `helo = "x"`, Then: []string{"hold"}}, "when", `unexpected "="; "==" compares`, 6},
		{Rule{Stage: "rcpt", When: `sender == "x"`, Then: []string{"hold"}}, "when", "expected a part of it, one of .address, .local", 8},
		{Rule{Stage: "rcpt", When: `in_net(client, "192.0.2.0/24")`, Then: []string{"hold"}}, "when", "expected a part of it, one of .address, .name", 8},
		{Rule{Stage: "rcpt", When: `header("Subject") == ""`, Then: []string{"hold"}}, "when", "header is not known at the stage rcpt; it is from the stage end on", 1},
		{Rule{Stage: "mail", When: `recipients > 1`, Then: []string{"tag x"}}, "when", "not known at the stage mail", 1},
		{Rule{Stage: "rcpt", When: `in_list("blokced", sender)`, Then: []string{"hold"}}, "when", `there is no list "blokced"; did you mean "blocked"?`, 9},
		{Rule{Stage: "rcpt", When: `in_list(helo, sender)`, Then: []string{"hold"}}, "when", "name of a list in quotes", 9},
		{Rule{Stage: "rcpt", When: `client.in("300.0.0.0/8")`, Then: []string{"hold"}}, "when", "expected a network", 11},
		{Rule{Stage: "rcpt", When: `in_net(client.address, helo)`, Then: []string{"hold"}}, "when", "networks in quotes", 24},
		{Rule{Stage: "rcpt", When: `helo matches "("`, Then: []string{"hold"}}, "when", "missing closing )", 0},
		{Rule{Stage: "rcpt", When: `$env.Account == ""`, Then: []string{"hold"}}, "when", "$env can't be used", 1},
		{Rule{Stage: "rcpt", When: `size < 1M`, Then: []string{"hold"}}, "when", "", 0},
		{Rule{Stage: "rcpt", When: strings.Repeat("!", 600) + "trusted", Then: []string{"hold"}}, "when", "node", 0},
		{Rule{Stage: "end", When: `replace(header("A"), "a", header("B")) == ""`, Then: []string{"hold"}}, "when", `unknown name "replace"`, 1},
		{Rule{Stage: "end", When: `len(uniq(headers("A"))) > 1`, Then: []string{"hold"}}, "when", `unknown name "uniq"`, 5},
		{Rule{Stage: "rcpt", When: "now().Hour() > 1", Then: []string{"hold"}}, "when", `unknown name "now"`, 1},
		{Rule{Stage: "rcpt", Class: "reject", Then: []string{"hold"}}, "class", "no action", 0},
		{Rule{Stage: "rcpt", Class: "loop", Then: []string{"class loop"}}, "class", `the class "loop" calls itself`, 0},
	} {
		switch x.rule.Name {
		case "":
			x.rule.Name = "a"
		case "-":
			x.rule.Name = ""
		}
		s, errs := Compile([]Rule{x.rule}, l.names(), l.sources())
		if s != nil || len(errs) == 0 {
			t.Errorf("%+v: taken", x.rule)
			continue
		}
		e := errs[0]
		if e.Key != x.key || !strings.Contains(e.Text, x.want) || x.col > 0 && (e.Line != 1 || e.Column != x.col) {
			t.Errorf("%+v:\n  %d:%d %v\nwant %d %s: %s", x.rule, e.Line, e.Column, e, x.col, x.key, x.want)
		}
		if strings.Contains(e.Text, "rule.") || strings.Contains(e.Text, "\n") {
			t.Errorf("speaks Go: %v", e)
		}
	}
}

// TestWorkIsBounded: INV-16. A header made of nothing but fields does not make a rule
// walk for ever.
func TestWorkIsBounded(t *testing.T) {
	s := compile(t, nil, Rule{Stage: "end", When: `none(headers("x"), none(headers("X"), # == "z"))`, Then: []string{"tag x"}})
	f := letter(t)
	f.Message = message.Header(strings.Repeat("x:y\n", 60_000))
	if n := len(f.Headers("X")); n != maxFields {
		t.Errorf("%d fields", n)
	}
	if d := s.Judge(context.Background(), End, f); d.Err != nil {
		t.Error(d.Err)
	}
}

func TestAMistakeOfALaterLine(t *testing.T) {
	_, errs := Compile([]Rule{{Name: "a", Stage: "rcpt", When: "trusted &&\n  sendr == \"\"", Then: []string{"hold"}}}, nil, Sources{})
	if len(errs) != 1 || errs[0].Line != 2 || errs[0].Column != 3 {
		t.Errorf("%+v", errs)
	}
}

// TestThreeAnswers: INV-08. A look-up that fails makes the mail wait, whatever the
// rule would have done with either answer.
func TestThreeAnswers(t *testing.T) {
	for when, why := range map[string]string{
		`in_list("down", sender)`:                    "connection refused",
		`!in_list("down", sender)`:                   "connection refused",
		`list_value("down", client) == "x"`:          "connection refused",
		`helo == "other" || in_list("down", helo)`:   "connection refused",
		`!resolves("down.example")`:                  "SERVFAIL",
		`hosted("down.example")`:                     "SERVFAIL",
		`any(1..100_000, # == 0)`:                    "memory budget",
		`recipients / 0 > 1 and headers("x")[9] > 1`: "",
	} {
		s, errs := Compile([]Rule{
			{Name: "first", Stage: "end", When: when, Then: []string{"reject 550 5.7.1 No"}},
			{Name: "then", Stage: "end", Then: []string{"reject"}},
		}, []string{"down"}, lists{}.sources())
		if len(errs) > 0 {
			if why != "" {
				t.Errorf("%s: %v", when, errs[0])
			}
			continue
		}
		d := s.Judge(context.Background(), End, letter(t))
		if d.Err == nil || len(d.Steps) > 0 || d.Rule != "first" || !strings.Contains(d.Err.Error(), why) {
			t.Errorf("INV-08 %s: %q", when, said(d))
		}
	}
}

func TestOrderAndClasses(t *testing.T) {
	l := lists{"protected": {"service.intra@": "onlylocal", "loop@": "again", "bad@": "RJECT", "late@": "later"}}
	s := compile(t, l,
		Rule{Stage: "rcpt", Then: []string{"tag seen", "warn looked at"}},
		Rule{Stage: "rcpt", When: `"seen" in tags && sender.user == "friend"`, Then: []string{"accept"}},
		Rule{Stage: "rcpt", When: `in_list("protected", recipient)`, Then: []string{"listed"}},
		Rule{Stage: "rcpt", When: `account == ""`, Class: "onlylocal", Then: []string{"reject 554 5.7.1 for people of the house"}},
		Rule{Stage: "rcpt", When: `in_list("protected", recipient)`, Class: "again", Then: []string{"listed"}},
		Rule{Stage: "end", Class: "later", Then: []string{"reject"}},
		Rule{Stage: "rcpt", When: `recipient.user == "second"`, Then: []string{"class onlylocal"}},
		Rule{Stage: "rcpt", Then: []string{"tag end"}},
		Rule{Stage: "data", Then: []string{"reject"}},
	)
	for _, x := range []struct{ from, to, account, want string }{
		{"x@x.example", "other@example.org", "", "tag end"},
		{"friend@x.example", "service.intra@example.org", "", "accept"},
		{"x@x.example", "service.intra@example.org", "", "reject 554 5.7.1 for people of the house"},
		{"x@x.example", "service.intra+x@example.org", "", "reject 554 5.7.1 for people of the house"},
		{"x@x.example", "service.intra@example.org", "bob@example.org", "tag end"},
		{"x@x.example", "second@example.org", "", "reject 554 5.7.1 for people of the house"},
		{"x@x.example", "loop@example.org", "", `later: class "again": classes call each other more than 8 deep`},
		{"x@x.example", "bad@example.org", "", `later: list protected, entry "bad@": unknown action "RJECT"; did you mean "reject"?`},
		{"x@x.example", "late@example.org", "", `later: class "later": its rule "rule f" is for the stage end, and this is rcpt`},
	} {
		f := letter(t)
		f.Sender.Set(addr(t, x.from))
		f.Recipient.Set(addr(t, x.to))
		f.Account = x.account
		want := "tag seen; warn looked at; " + x.want
		if got := said(s.Judge(context.Background(), Rcpt, f)); got != want {
			t.Errorf("%s → %s (%s): %q, want %q", x.from, x.to, x.account, got, want)
		}
	}
}

// TestAsk: an accept ends the class that was asked, however deep it stands; a refusal ends
// everything.
func TestAsk(t *testing.T) {
	l := lists{"senders": {"good@": "OK", "any@": "DUNNO", "bad@": "REJECT", "deep@": "inner"}}
	s := compile(t, l,
		Rule{Stage: "rcpt", Then: []string{"ask first", "ask second", "tag between"}},
		Rule{Stage: "rcpt", Class: "second", When: `sender.extension == "later" && in_list("down", sender)`, Then: []string{"accept"}},
		Rule{Stage: "rcpt", Class: "first", When: `in_list("senders", sender)`, Then: []string{"listed"}},
		Rule{Stage: "rcpt", Class: "first", When: `sender.user == "direct"`, Then: []string{"accept"}},
		Rule{Stage: "rcpt", Class: "first", When: `sender.user == "called"`, Then: []string{"class inner"}},
		Rule{Stage: "rcpt", Class: "first", When: `sender.user == "asked"`, Then: []string{"ask inner"}},
		Rule{Stage: "rcpt", Class: "first", Then: []string{"tag on"}},
		Rule{Stage: "rcpt", Class: "inner", Then: []string{"accept"}},
		Rule{Stage: "rcpt", Then: []string{"reject"}},
	)
	const refused = "reject 554 5.7.1 Access denied"
	for user, want := range map[string]string{
		"good":   "accept; tag between; " + refused,
		"direct": "accept; tag between; " + refused,
		"called": "accept; tag between; " + refused,
		"deep":   "accept; tag between; " + refused,
		"asked":  "accept; tag on; tag between; " + refused,
		"any":    "tag on; tag between; " + refused,
		"bad":    refused,
		// What stands behind an accept and can't be decided makes mail wait, and ends all.
		"good+later": "",
	} {
		f := letter(t)
		f.Sender.Set(addr(t, user+"@x.example"))
		d := s.Judge(context.Background(), Rcpt, f)
		if got := said(d); got != want && want != "" {
			t.Errorf("%s: %q, want %q", user, got, want)
		}
		if want == "" && (d.Err == nil || len(d.Steps) != 1) {
			t.Errorf("%s: %q", user, said(d))
		}
	}
	for text, rules := range map[string][]Rule{
		"there is no class": {{Name: "a", Stage: "rcpt", Then: []string{"ask nowhere"}}},
		"calls itself":      {{Name: "a", Stage: "rcpt", Class: "x", Then: []string{"ask x"}}},
		"comes after":       {{Name: "a", Stage: "mail", Then: []string{"ask x"}}, {Name: "b", Stage: "rcpt", Class: "x", Then: []string{"accept"}}},
		"that is no action": {{Name: "a", Stage: "rcpt", Class: "ask", Then: []string{"accept"}}},
	} {
		if _, errs := Compile(rules, nil, Sources{}); len(errs) != 1 || !strings.Contains(errs[0].Text, text) {
			t.Errorf("%s: %v", text, errs)
		}
	}
}

func TestSleepHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := compile(t, nil, Rule{Stage: "rcpt", Then: []string{"sleep 2s", "tag awake"}})
		begin := time.Now()
		if got := said(s.Judge(context.Background(), Rcpt, letter(t))); got != "tag awake" || time.Since(begin) != 2*time.Second {
			t.Errorf("%q after %v", got, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if d := s.Judge(ctx, Rcpt, letter(t)); !errors.Is(d.Err, context.DeadlineExceeded) {
			t.Errorf("SMTP-041: %q", said(d))
		}
	})
}

func TestForms(t *testing.T) {
	m := &Mailbox{}
	m.Set(addr(t, "User+Ext@a.Example.org"))
	for _, x := range []struct {
		key  any
		want string
	}{
		{m, "user+ext@a.example.org user@a.example.org a.example.org .example.org example.org .org org user+ext@ user@"},
		{&Mailbox{}, "<>"},
		{&Client{Address: "192.0.2.1", Name: "h.example"}, "h.example .example example 192.0.2.1 192.0.2 192.0 192"},
		{&Client{Address: "2001:db8::1", Name: "unknown"}, "unknown 2001:db8::1 2001:db8 2001"},
		{"::ffff:192.0.2.1", "192.0.2.1 192.0.2 192.0 192"},
		{"Some Words", "some words"},
		{"Mail.Example", "mail.example .example example"},
		{"", ""},
		{7, "7"},
	} {
		if got := strings.Join(forms(x.key), " "); got != x.want {
			t.Errorf("%v: %s\nwant %s", x.key, got, x.want)
		}
	}
	if n := len(forms(strings.Repeat("a.", 3000) + "b")); n > maxForms {
		t.Errorf("INV-16: %d look-ups for one key", n)
	}
}

func TestNoRulesAreNothing(t *testing.T) {
	var none *Set
	if none.Has(Rcpt) || none.Any() || len(none.Judge(context.Background(), Rcpt, nil).Steps) > 0 {
		t.Error("no rules decide something")
	}
}

func BenchmarkJudge(b *testing.B) {
	l := lists{"blocked": {"other.example": "REJECT"}}
	s := compile(b, l,
		Rule{Stage: "rcpt", When: `client.in("198.51.100.0/24", "203.0.113.0/24")`, Then: []string{"reject"}},
		Rule{Stage: "rcpt", When: `!fqdn(helo)`, Then: []string{"reject"}},
		Rule{Stage: "rcpt", When: `in_list("blocked", sender)`, Then: []string{"listed"}},
		Rule{Stage: "rcpt", When: `recipient.user == "service.intra" && account == ""`, Then: []string{"reject"}},
		Rule{Stage: "rcpt", When: `sender.domain matches "^mail[0-9]+\\."`, Then: []string{"hold"}},
	)
	f := letter(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := s.Judge(context.Background(), Rcpt, f); len(d.Steps) > 0 || d.Err != nil {
			b.Fatal(said(d))
		}
	}
}

func BenchmarkNoRules(b *testing.B) {
	var s *Set
	b.ReportAllocs()
	for b.Loop() {
		s.Judge(context.Background(), Rcpt, nil)
	}
}

// FuzzWhen: whatever an admin writes compiles or is told why not, and what compiles
// gives a decision.
func FuzzWhen(f *testing.F) {
	for _, s := range []string{`sender.domain == "x"`, `any(headers("a"), # matches "b")`, `client.in("10.0.0.0/8")`, `in_list("l", sender)`,
		`let x = helo; x == "y"`, `trusted ? size > 1 : false`, `1..3 == [1,2,3]`, `header("a")[0:1] == "b"`, "a\nb", `"\u0000" == helo`, `{"a": 1}.a == 1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, when string) {
		set, errs := Compile([]Rule{{Name: "a", Stage: "end", When: when, Then: []string{"hold"}}}, []string{"l"}, lists{"l": nil}.sources())
		if (set == nil) != (len(errs) > 0) {
			t.Fatalf("%v %v", set, errs)
		}
		for _, e := range errs {
			if e.Text == "" || strings.Contains(e.Text, "*rule.") {
				t.Fatalf("%q", e.Text)
			}
		}
		if set != nil {
			if d := set.Judge(context.Background(), End, letter(t)); d.Err == nil && len(d.Steps) > 1 {
				t.Fatal(said(d))
			}
		}
	})
}
