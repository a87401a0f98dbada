package dmarc_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/message"
)

// zone is the DNS of a test: records by name, "SERVFAIL" for a server that does
// not answer; what is not in it does not exist.
type zone map[string]string

func (z zone) TXT(_ context.Context, name string) lookup.Answer[[]string] {
	switch text, ok := z[name]; {
	case !ok:
		return lookup.No[[]string](errors.New("no such domain"))
	case text == "SERVFAIL":
		return lookup.Later[[]string](errors.New("servfail"))
	default:
		return lookup.Yes(strings.Split(text, "|"))
	}
}

// exists knows the names that have something below them, too.
func (z zone) exists(_ context.Context, name string) lookup.Answer[bool] {
	if z[name] == "SERVFAIL" {
		return lookup.Later[bool](errors.New("servfail"))
	}
	for known := range z {
		if known == name || strings.HasSuffix(known, "."+name) {
			return lookup.Yes(true)
		}
	}
	return lookup.No[bool](nil)
}

func from(value string) message.Header {
	return message.Header("Subject: x\r\nFrom: " + value + "\r\n\r\n")
}

// The examples of RFC 9989 §4.10.2 and Appendix B, and the corners of the walk.
func TestOrg(t *testing.T) {
	t.Parallel()
	const r = "v=DMARC1; p=none"
	for _, c := range []struct {
		name, domain string
		z            zone
		want         string
		asked        int
	}{
		{"the shortest name with a record", "a.mail.example.com", zone{"_dmarc.mail.example.com": r, "_dmarc.example.com": r}, "example.com", 4},
		{"psd=n ends the walk", "a.mail.example.com", zone{"_dmarc.mail.example.com": r + "; psd=n", "_dmarc.example.com": r}, "mail.example.com", 2},
		{"one below psd=y", "a.mail.example.com", zone{"_dmarc.com": r + "; psd=y"}, "example.com", 4},
		{"psd=y ends the walk", "a.b.mail.example.com", zone{"_dmarc.example.com": r + "; psd=y", "_dmarc.com": r}, "mail.example.com", 4},
		{"psd=y at the start is its own", "gov.example", zone{"_dmarc.gov.example": r + "; psd=y", "_dmarc.example": r}, "gov.example", 1},
		{"psd=u says nothing", "a.example.com", zone{"_dmarc.a.example.com": r + "; psd=u", "_dmarc.example.com": r}, "example.com", 3},
		{"no record at all", "a.example.com", zone{}, "a.example.com", 3},
		{"several records are none", "a.example.com", zone{"_dmarc.example.com": r + "|" + r, "_dmarc.a.example.com": r}, "a.example.com", 3},
		{"another text is no record", "a.example.com", zone{"_dmarc.example.com": "hello|" + r + "|v=DMARC12; p=none"}, "example.com", 3},
		{"a record without policy is one", "a.example.com", zone{"_dmarc.example.com": "v=DMARC1"}, "example.com", 3},
		{"one label", "localhost", zone{}, "localhost", 1},
		{"eight labels", "a.b.c.d.e.f.example.com", zone{"_dmarc.b.c.d.e.f.example.com": r}, "b.c.d.e.f.example.com", 8},
		{"nine labels", "a.b.c.d.e.f.g.example.com", zone{"_dmarc.b.c.d.e.f.g.example.com": r, "_dmarc.c.d.e.f.g.example.com": r}, "c.d.e.f.g.example.com", 8},
		{"psd=n that is too deep is never found", "mail.a.b.c.d.e.f.g.example.com", zone{"_dmarc.b.c.d.e.f.g.example.com": r + "; psd=n", "_dmarc.example.com": r}, "example.com", 8},
	} {
		tree := dmarc.Org(context.Background(), c.z.TXT, c.domain)
		if tree.Org != c.want || len(tree.Steps) != c.asked || tree.Failed {
			t.Errorf("%s: %s is of %s after %d questions, want %s after %d", c.name, c.domain, tree.Org, len(tree.Steps), c.want, c.asked)
		}
	}
}

// RFC 9989 §4.10: the eight questions for a long name.
func TestWalkShortCut(t *testing.T) {
	t.Parallel()
	tree := dmarc.Org(context.Background(), zone{}.TXT, "a.b.c.d.e.f.g.h.i.j.mail.example.com")
	var got []string
	for _, s := range tree.Steps {
		got = append(got, s.Domain)
	}
	want := []string{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
		"i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("asked %v", got)
	}
	many := strings.Repeat("a.", 120) + "com"
	if n := len(dmarc.Org(context.Background(), zone{}.TXT, many).Steps); n != 8 {
		t.Errorf("%d questions for a name of 121 labels", n)
	}
}

// DMARC verification (row 170).
func TestEvaluate(t *testing.T) {
	t.Parallel()
	type D = dmarc.DKIM
	pass := func(d string) []D { return []D{{Domain: d, Selector: "s", Status: "pass"}} }
	spf := func(d string) dmarc.SPF { return dmarc.SPF{Domain: d, Status: "pass"} }
	org := zone{"_dmarc.example.com": "v=DMARC1; p=reject; sp=quarantine; np=reject", "example.com": "x", "sub.example.com": "x"}
	with := func(z zone, name, text string) zone {
		n := zone{name: text}
		for k, v := range z {
			if k != name {
				n[k] = v
			}
		}
		return n
	}
	for _, c := range []struct {
		name   string
		z      zone
		from   string
		spf    dmarc.SPF
		dkim   []D
		status dmarc.Status
		policy dmarc.Policy
		tag    string
	}{
		{"nothing passes", org, "a@example.com", dmarc.SPF{"example.com", "fail"}, []D{{"example.com", "s", "fail"}}, "fail", "reject", "p"},
		{"SPF, same domain", org, "a@example.com", spf("example.com"), nil, "pass", "reject", "p"},
		{"SPF, of a subdomain", org, "a@example.com", spf("bounce.example.com"), nil, "pass", "reject", "p"},
		{"SPF, case and dot", org, "a@Example.COM", spf("EXAMPLE.com."), nil, "pass", "reject", "p"},
		{"SPF of a stranger", org, "a@example.com", spf("evil.example"), nil, "fail", "reject", "p"},
		{"SPF softfail is no pass", org, "a@example.com", dmarc.SPF{"example.com", "softfail"}, nil, "fail", "reject", "p"},
		{"DKIM of the organisation", org, "a@sub.example.com", dmarc.SPF{}, pass("example.com"), "pass", "quarantine", "sp"},
		{"DKIM of a sibling", org, "a@sub.example.com", dmarc.SPF{}, pass("other.example.com"), "pass", "quarantine", "sp"},
		{"DKIM of one that looks like it", org, "a@example.com", dmarc.SPF{}, pass("notexample.com"), "fail", "reject", "p"},
		{"DKIM of the top level", org, "a@example.com", dmarc.SPF{}, pass("com"), "fail", "reject", "p"},
		{"the second signature", org, "a@example.com", dmarc.SPF{}, append(pass("list.example"), pass("example.com")...), "pass", "reject", "p"},
		{"subdomain that exists: sp", org, "a@sub.example.com", dmarc.SPF{}, nil, "fail", "quarantine", "sp"},
		{"subdomain that does not: np", org, "a@no.example.com", dmarc.SPF{}, nil, "fail", "reject", "np"},
		{"nobody knows whether it exists", with(org, "no.example.com", "SERVFAIL"), "a@no.example.com", dmarc.SPF{}, nil, "temperror", "none", "sp"},
		{"own record beats the organisation's", with(org, "_dmarc.sub.example.com", "v=DMARC1; p=none; sp=reject"), "a@sub.example.com", dmarc.SPF{}, nil, "fail", "none", "p"},
		{"own record, organisation of the tree", with(org, "_dmarc.sub.example.com", "v=DMARC1; p=reject"), "a@sub.example.com", dmarc.SPF{}, pass("example.com"), "pass", "reject", "p"},
		{"psd=n cuts off the parent", with(org, "_dmarc.sub.example.com", "v=DMARC1; p=reject; psd=n"), "a@sub.example.com", dmarc.SPF{}, pass("example.com"), "fail", "reject", "p"},
		{"psd=n cuts off from the parent", with(org, "_dmarc.sub.example.com", "v=DMARC1; p=reject; psd=n"), "a@example.com", dmarc.SPF{}, pass("sub.example.com"), "fail", "reject", "p"},
		{"adkim=s", zone{"_dmarc.example.com": "v=DMARC1; p=reject; adkim=s"}, "a@example.com", spf("b.example.com"), pass("b.example.com"), "pass", "reject", "p"},
		{"aspf=s", zone{"_dmarc.example.com": "v=DMARC1; p=reject; adkim=s; aspf=s"}, "a@example.com", spf("b.example.com"), pass("b.example.com"), "fail", "reject", "p"},
		{"t=y: reject becomes quarantine", zone{"_dmarc.example.com": "v=DMARC1; p=reject; t=y"}, "a@example.com", dmarc.SPF{}, nil, "fail", "quarantine", "p"},
		{"t=y: quarantine becomes none", zone{"_dmarc.example.com": "v=DMARC1; p=quarantine; t=y"}, "a@example.com", dmarc.SPF{}, nil, "fail", "none", "p"},
		{"pct=0 is t=y", zone{"_dmarc.example.com": "v=DMARC1; p=reject; pct=0"}, "a@example.com", dmarc.SPF{}, nil, "fail", "quarantine", "p"},
		{"pct=0 with t=n is nothing", zone{"_dmarc.example.com": "v=DMARC1; p=reject; pct=0; t=n"}, "a@example.com", dmarc.SPF{}, nil, "fail", "reject", "p"},
		{"pct=20 is nothing", zone{"_dmarc.example.com": "v=DMARC1; p=reject; pct=20"}, "a@example.com", dmarc.SPF{}, nil, "fail", "reject", "p"},
		{"no record", zone{}, "a@example.com", spf("example.com"), nil, "none", "", ""},
		{"two records", zone{"_dmarc.example.com": "v=DMARC1; p=reject|v=DMARC1; p=none"}, "a@example.com", dmarc.SPF{}, nil, "none", "", ""},
		{"the public suffix speaks for those without", zone{"_dmarc.gov": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y", "bar.gov": "x"}, "a@bar.gov", dmarc.SPF{}, nil, "fail", "quarantine", "sp"},
		{"and for those that do not exist", zone{"_dmarc.gov": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y"}, "a@bar.gov", dmarc.SPF{}, nil, "fail", "reject", "np"},
		{"two organisations under one suffix", zone{"_dmarc.gov": "v=DMARC1; p=reject; psd=y"}, "a@bar.gov", dmarc.SPF{}, pass("foo.gov"), "fail", "reject", "p"},
		{"one organisation under a suffix", zone{"_dmarc.gov": "v=DMARC1; p=reject; psd=y"}, "a@bar.gov", dmarc.SPF{}, pass("mail.bar.gov"), "pass", "reject", "p"},
		{"unreadable p, reports wanted", zone{"_dmarc.example.com": "v=DMARC1; p=rejet; rua=mailto:d@example.com"}, "a@example.com", dmarc.SPF{}, nil, "fail", "none", "p"},
		{"unreadable sp, reports wanted", zone{"_dmarc.example.com": "v=DMARC1; p=reject; sp=x; rua=mailto:d@example.com"}, "a@example.com", dmarc.SPF{}, nil, "fail", "none", "p"},
		{"unreadable p, no reports", zone{"_dmarc.example.com": "v=DMARC1; p=rejet"}, "a@example.com", dmarc.SPF{}, nil, "none", "", ""},
		{"the DNS is down", zone{"_dmarc.example.com": "SERVFAIL"}, "a@example.com", spf("example.com"), nil, "temperror", "", ""},
		{"the DNS is down above", zone{"_dmarc.sub.example.com": "v=DMARC1; p=reject", "_dmarc.example.com": "SERVFAIL"}, "a@sub.example.com", dmarc.SPF{}, pass("example.com"), "temperror", "reject", "p"},
		{"down above, and it does not matter", zone{"_dmarc.sub.example.com": "v=DMARC1; p=reject", "_dmarc.example.com": "SERVFAIL"}, "a@sub.example.com", dmarc.SPF{}, pass("sub.example.com"), "pass", "reject", "p"},
	} {
		r := dmarc.Evaluate(context.Background(), c.z.TXT, dmarc.Question{Header: from(c.from), SPF: c.spf, DKIM: c.dkim, Exists: c.z.exists})
		if r.Status != c.status || r.Policy != c.policy || r.Tag != c.tag || r.Reason == "" {
			t.Errorf("row 170 %s: %s %s (%s), %q; want %s %s (%s)", c.name, r.Status, r.Policy, r.Tag, r.Reason, c.status, c.policy, c.tag)
		}
	}
}

// All the ways to show one author and be another.
func TestAuthor(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name, fields string
		domains      string
		disguised    string
		problem      bool
	}{
		{"one", "From: a@bank.example\r\n", "bank.example", "", false},
		{"with a name", "From: bank.example <x@evil.example>\r\n", "evil.example", "", false},
		{"two From headers", "From: a@bank.example\r\nFrom: x@evil.example\r\n", "bank.example evil.example", "", true},
		{"two From headers, one author", "From: a@bank.example\r\nfrom: b@BANK.example\r\n", "bank.example", "", true},
		{"two addresses", "From: a@bank.example, x@evil.example\r\n", "bank.example evil.example", "", true},
		{"two in angles", "From: <a@bank.example>, <x@evil.example>\r\n", "bank.example evil.example", "", true},
		{"two angles, no comma", "From: <x@evil.example> <a@bank.example>\r\n", "evil.example", "bank.example", false},
		{"a group", "From: Undisclosed:;\r\n", "", "", true},
		{"a group with a member", "From: Us: a@bank.example;\r\n", "bank.example", "", false},
		{"no From", "Subject: x\r\n", "", "", true},
		{"an empty From", "From:\r\n", "", "", true},
		{"NUL in the domain", "From: a@evil.example\x00.bank.example\r\n", "evil.example.bank.example", "evil.example", false},
		{"NUL before a second @", "From: x@evil.example\x00@bank.example\r\n", "evil.example", "bank.example", false},
		{"a comment", "From: (a@bank.example) x@evil.example (y@bank.example)\r\n", "evil.example", "", false},
		{"a comment in the address", "From: x@(a@bank.example)evil.example\r\n", "evil.example", "", false},
		{"a quoted local part", "From: \"a@bank.example\"@evil.example\r\n", "evil.example", "", false},
		{"a quoted name", "From: \"a@bank.example\" <x@evil.example>\r\n", "evil.example", "", false},
		{"a name that is an address", "From: a@bank.example <x@evil.example>\r\n", "evil.example", "bank.example", false},
		{"a name that is the address", "From: x@evil.example <x@evil.example>\r\n", "evil.example", "", false},
		{"an encoded word is no address", "From: =?utf-8?Q?a=40bank.example?= <x@evil.example>\r\n", "evil.example", "", false},
		{"nothing but an encoded word", "From: =?utf-8?Q?a@bank.example?=\r\n", "", "", true},
		{"angles in an encoded word", "From: =?utf-8?Q?<a@bank.example>?=\r\n", "bank.example", "", false},
		{"an encoded domain", "From: x@=?utf-8?Q?bank.example?=\r\n", "", "", true},
		{"a unicode address", "From: é@bänk.example\r\n", "xn--bnk-qla.example", "", false},
		{"the same in A-labels", "From: e@XN--bnk-QLA.example, é@bänk.example\r\n", "xn--bnk-qla.example", "", true},
		{"a full-width dot", "From: a@bank\uff0eexample\r\n", "bank.example", "", false},
		{"space before the colon", "From : x@evil.example\r\n", "evil.example", "", false},
		{"tab before the colon, then From", "From\t: x@evil.example\r\nFrom: a@bank.example\r\n", "evil.example bank.example", "", true},
		{"NUL before the name", "\x00From: a@bank.example\r\nFrom: x@evil.example\r\n", "evil.example", "bank.example", true},
		{"NUL behind the name", "From\x00: a@bank.example\r\nFrom: x@evil.example\r\n", "evil.example", "bank.example", true},
		{"a source route", "From: <@bank.example:x@evil.example>\r\n", "evil.example", "bank.example", false},
		{"folded", "From:\r\n\t\"a\"\r\n <x@evil.example>\r\n", "evil.example", "", false},
		{"a trailing dot", "From: x@evil.example.\r\n", "evil.example", "", false},
		{"a literal", "From: x@[192.0.2.1]\r\n", "", "", true},
		{"a domain that can't be", "From: x@-evil-.example\r\n", "", "", true},
		{"no domain", "From: root\r\n", "", "", true},
		{"very long", "From: " + long + " <x@evil.example>\r\n", "evil.example", "", false},
		{"very long local part", "From: " + long + "@evil.example\r\n", "evil.example", "", false},
		{"very many", "From: " + strings.Repeat("a@x.example,", 3000) + "\r\n", "x.example", "", true},
	} {
		t.Run("AUT-015 "+c.name, func(t *testing.T) {
			a := dmarc.ReadAuthor(message.Header(c.fields + "\r\n"))
			if got := strings.Join(a.Domains, " "); got != c.domains {
				t.Errorf("domains %q, want %q", got, c.domains)
			}
			if got := strings.Join(a.Disguised, " "); got != c.disguised {
				t.Errorf("disguised %q, want %q", got, c.disguised)
			}
			if (a.Problem != "") != c.problem {
				t.Errorf("problem %q", a.Problem)
			}
		})
	}
}

// A leading space makes the line a part of the field before, for us as for all.
func TestAuthorLeadingSpace(t *testing.T) {
	t.Parallel()
	a := dmarc.ReadAuthor(message.Header("Subject: x\r\n From: a@bank.example\r\nFrom: x@evil.example\r\n\r\n"))
	if fmt.Sprint(a.Domains) != "[evil.example]" || a.Fields != 1 {
		t.Errorf("AUT-015 leading space: %+v", a)
	}
	a = dmarc.ReadAuthor(message.Header(" From: a@bank.example\r\nFrom: x@evil.example\r\n\r\n"))
	if fmt.Sprint(a.Domains, a.Disguised) != "[evil.example] [bank.example]" || a.Problem == "" {
		t.Errorf("AUT-015 leading space in the first line: %+v", a)
	}
}

// Of several domains the worst counts; with none nothing passes.
func TestSeveralAuthors(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.bank.example": "v=DMARC1; p=reject", "_dmarc.evil.example": "v=DMARC1; p=none", "_dmarc.soft.example": "v=DMARC1; p=quarantine", "_dmarc.down.example": "SERVFAIL"}
	for _, c := range []struct {
		from   string
		status dmarc.Status
		asked  string
	}{
		{"x@evil.example", "pass", "evil.example"},
		{"x@evil.example, a@bank.example", "fail", "bank.example"},
		{"a@bank.example, x@evil.example", "fail", "bank.example"},
		{"a@soft.example, a@bank.example, x@evil.example", "fail", "bank.example"},
		{"x@evil.example, a@nothing.example", "none", "nothing.example"},
		{"x@evil.example, a@down.example", "temperror", "down.example"},
		{"a@down.example, a@bank.example", "fail", "bank.example"},
		{"Us:;", "permerror", ""},
		{"x@evil.example, a@b1.example, a@b2.example, a@b3.example, a@b4.example, a@bank.example", "permerror", "evil.example"},
	} {
		r := dmarc.Evaluate(context.Background(), z.TXT, dmarc.Question{Header: from(c.from), DKIM: []dmarc.DKIM{{"evil.example", "s", "pass"}}})
		if r.Status != c.status || r.Asked != c.asked {
			t.Errorf("AUT-015 %s: %s for %q, want %s for %q", c.from, r.Status, r.Asked, c.status, c.asked)
		}
	}
}

// A stranger's signature costs no questions about the stranger.
func TestQuestions(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.example.com": "v=DMARC1; p=reject"}
	asked := map[string]int{}
	txt := func(ctx context.Context, name string) lookup.Answer[[]string] {
		asked[name]++
		return z.TXT(ctx, name)
	}
	var signatures []dmarc.DKIM
	for i := range 8 {
		signatures = append(signatures, dmarc.DKIM{fmt.Sprintf("a.b.c.d.e.f.g.h%d.example.net", i), "s", "pass"})
	}
	r := dmarc.Evaluate(context.Background(), txt, dmarc.Question{Header: from("a@news.example.com"), DKIM: signatures})
	if r.Status != "fail" || len(asked) != 3 {
		t.Errorf("%s after %v", r.Status, asked)
	}
	for name, n := range asked {
		if n != 1 {
			t.Errorf("%s asked %d times", name, n)
		}
	}
}

// The field in the form of the texts (row 171).
func TestMethod(t *testing.T) {
	t.Parallel()
	z := zone{"_dmarc.example.com": "v=DMARC1; p=none"}
	r := dmarc.Evaluate(context.Background(), z.TXT, dmarc.Question{Header: from("a@example.com"), SPF: dmarc.SPF{"example.com", "pass"}})
	m := r.Method("")
	if m.Name != "dmarc" || m.Result != "pass" || m.Comment != "p=none dis=none" || m.Property("header", "from") != "example.com" {
		t.Errorf("row 171: %+v", m)
	}
}
