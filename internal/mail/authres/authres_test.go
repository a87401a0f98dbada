package authres_test

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"facteur/internal/mail/authres"
	"facteur/internal/mail/message"
)

// The order and form of the field (row 171).
func TestField(t *testing.T) {
	t.Parallel()
	r := authres.Results{ID: "antispam.example.com", Methods: []authres.Method{{
		Name: "dmarc", Result: "pass", Comment: "p=none dis=none",
		Properties: []authres.Property{{"header", "from", "example.com"}},
	}}}
	const want = "Authentication-Results: antispam.example.com; dmarc=pass (p=none dis=none) header.from=example.com"
	field := string(r.Field())
	f := message.Header(field)
	if got := authres.FieldName + ": " + f.Get(authres.FieldName); got != want {
		t.Errorf("row 171: got  %s\nwant %s", got, want)
	}
	for _, line := range strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n") {
		if len(line) > 78 {
			t.Errorf("line of %d columns: %q", len(line), line)
		}
	}
	if got := string(authres.Results{ID: "mx.example.org"}.Field()); got != "Authentication-Results: mx.example.org; none\r\n" {
		t.Errorf("nothing checked: %q", got)
	}
}

// What has to be escaped does not make a line that others refuse
// (RFC 5322 §2.1.1).
func TestLongWords(t *testing.T) {
	for _, word := range []string{`"`, `\`, "é", `é"`, "a b"} {
		word = strings.Repeat(word, 600)
		field := authres.Results{ID: word, Methods: []authres.Method{{Name: "dkim", Result: "fail", Reason: word, Comment: word,
			Properties: []authres.Property{{Type: "header", Name: "i", Value: word}}}}}.Field()
		for line := range strings.SplitSeq(string(field), "\r\n") {
			if len(line) > 998 || !utf8.ValidString(line) {
				t.Errorf("%d octets: %.60q", len(line), line)
			}
		}
	}
}

// Examples of RFC 8601 Appendix B, and what is seen in the world.
func TestParse(t *testing.T) {
	t.Parallel()
	type M = authres.Method
	type P = []authres.Property
	for _, c := range []struct {
		value string
		want  authres.Results
		err   error
	}{
		{"example.org 1; none", authres.Results{ID: "example.org", Version: 1}, nil},
		{"example.com; spf=pass smtp.mailfrom=example.net", authres.Results{ID: "example.com", Methods: []M{{Name: "spf", Result: "pass", Properties: P{{"smtp", "mailfrom", "example.net"}}}}}, nil},
		{"example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
			authres.Results{ID: "example.com", Methods: []M{
				{Name: "auth", Result: "pass", Comment: "cram-md5", Properties: P{{"smtp", "auth", "sender@example.net"}}},
				{Name: "spf", Result: "pass", Properties: P{{"smtp", "mailfrom", "example.net"}}}}}, nil},
		{`foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462`,
			authres.Results{ID: "foo.example.net", Version: 1, Methods: []M{{Name: "dkim", Result: "fail", Properties: P{{"policy", "expired", "1362471462"}}}}}, nil},
		{`example.com; dkim=pass reason="good signature; really" header.i=@mail-router.example.net; dkim=fail reason="bad \"signature\"" header.i=@newyork.example.com`,
			authres.Results{ID: "example.com", Methods: []M{
				{Name: "dkim", Result: "pass", Reason: "good signature; really", Properties: P{{"header", "i", "@mail-router.example.net"}}},
				{Name: "dkim", Result: "fail", Reason: `bad "signature"`, Properties: P{{"header", "i", "@newyork.example.com"}}}}}, nil},
		{`"mail\.example.org" ; dkim=pass (a (nested; \) one) ; more) header.b="a/b="`,
			authres.Results{ID: "mail.example.org", Methods: []M{{Name: "dkim", Result: "pass", Comment: "a (nested; ) one) ; more", Properties: P{{"header", "b", "a/b="}}}}}, nil},
		{"spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com; dmarc=pass action=none header.from=example.com;compauth=pass reason=100",
			authres.Results{Methods: []M{
				{Name: "spf", Result: "pass", Comment: "sender IP is 192.0.2.1", Properties: P{{"smtp", "mailfrom", "example.com"}}},
				{Name: "dmarc", Result: "pass", Properties: P{{"", "action", "none"}, {"header", "from", "example.com"}}},
				{Name: "compauth", Result: "pass", Reason: "100"}}}, authres.ErrNoID},
		{"x.example; =pass; spf; dkim=pass header.d=a.example;", authres.Results{ID: "x.example", Methods: []M{{Name: "dkim", Result: "pass", Properties: P{{"header", "d", "a.example"}}}}}, authres.ErrSyntax},
		{"x.example 2; spf=pass", authres.Results{ID: "x.example", Version: 2, Methods: []M{{Name: "spf", Result: "pass"}}}, authres.ErrVersion},
		{"(never ends; x.example; spf=pass", authres.Results{}, authres.ErrNoID},
		{"", authres.Results{}, authres.ErrNoID},
	} {
		got, err := authres.Parse(c.value)
		if !reflect.DeepEqual(got, c.want) || err != c.err {
			t.Errorf("%s:\n got %+v, %v\nwant %+v, %v", c.value, got, err, c.want, c.err)
		}
	}
}

func TestARC(t *testing.T) {
	t.Parallel()
	r := authres.Results{ID: "lists.example.org", Methods: []authres.Method{{Name: "spf", Result: "pass", Properties: []authres.Property{{"smtp", "mailfrom", "jqd@d1.example"}}}}}
	h := message.Header(r.ARCField(3))
	i, got, err := authres.ParseARC(h.Get("ARC-Authentication-Results"))
	if i != 3 || err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("got %d %+v %v", i, got, err)
	}
	for _, bad := range []string{"", "i=0; x; none", "i=51; x; none", "x; none", "i=1 x; none", "i=-1; x", "i=99999999999999999999; x"} {
		if i, _, err := authres.ParseARC(bad); i != 0 || err != authres.ErrInstance {
			t.Errorf("%q: instance %d, %v", bad, i, err)
		}
	}
}

func TestWithoutID(t *testing.T) {
	t.Parallel()
	const ours, idn = "mail.example.org", "courrier.exämple.org"
	for name, c := range map[string]struct {
		field   string
		removed bool
	}{
		"ours":                    {"Authentication-Results: mail.example.org; dkim=pass\r\n", true},
		"upper case":              {"AUTHENTICATION-RESULTS: MAIL.EXAMPLE.ORG; dkim=pass\r\n", true},
		"a comment before":        {"Authentication-Results: (really (it is)) mail.example.org; dkim=pass\r\n", true},
		"a comment with bait":     {"Authentication-Results: (other.example;) mail.example.org; dkim=pass\r\n", true},
		"a comment after":         {"Authentication-Results: mail.example.org(x); dkim=pass\r\n", true},
		"a version":               {"Authentication-Results: mail.example.org 1; dkim=pass\r\n", true},
		"folded":                  {"Authentication-Results:\r\n mail.example.org;\r\n dkim=pass\r\n", true},
		"quoted":                  {"Authentication-Results: \"mail.example\\.org\"; dkim=pass\r\n", true},
		"a dot behind":            {"Authentication-Results: mail.example.org.; dkim=pass\r\n", true},
		"space before the colon":  {"Authentication-Results : mail.example.org; dkim=pass\r\n", true},
		"blanks within quotes":    {"Authentication-Results: \"mail.example.org \"; dkim=pass\r\n", true},
		"a blank of Unicode":      {"Authentication-Results: \u00a0mail.example.org; dkim=pass\r\n", true},
		"VT behind the name":      {"Authentication-Results\v: mail.example.org; dkim=pass\r\n", true},
		"NUL before the name":     {"\x00Authentication-Results: mail.example.org; dkim=pass\r\n", true},
		"IDN in U-labels":         {"Authentication-Results: courrier.EXÄMPLE.org; dkim=pass\r\n", true},
		"IDN in A-labels":         {"Authentication-Results: courrier.xn--exmple-cua.org; dkim=pass\r\n", true},
		"no id":                   {"Authentication-Results: dkim=pass header.d=bank.example\r\n", true},
		"empty":                   {"Authentication-Results:\r\n", true},
		"an id that can't be":     {"Authentication-Results: mail.example.org/1; dkim=pass\r\n", true},
		"a comment without end":   {"Authentication-Results: (mail.example.org; dkim=pass\r\n", true},
		"a quote without end":     {"Authentication-Results: \"mail.example.org; dkim=pass\r\n", true},
		"another's":               {"Authentication-Results: mx.example.com; dkim=pass\r\n", false},
		"another's, ours inside":  {"Authentication-Results: mx.example.com; dkim=pass (mail.example.org)\r\n", false},
		"a longer name":           {"Authentication-Results: mail.example.org.evil.example; dkim=pass\r\n", false},
		"another field":           {"X-Authentication-Results: mail.example.org; dkim=pass\r\n", false},
		"ARC's is none of these":  {"ARC-Authentication-Results: i=1; mail.example.org; none\r\n", false},
		"a trusted one is no foe": {"Authentication-Results: gate.example.org; dkim=pass\r\n", false},
	} {
		h := message.Header("Received: x\r\n" + c.field + "Subject: y\r\n\r\n")
		got := string(authres.WithoutID(h, ours, idn))
		want := string(h)
		if c.removed {
			want = "Received: x\r\nSubject: y\r\n\r\n"
		}
		if got != want {
			t.Errorf("%s: %q became %q", name, h, got)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	h := message.Header("Authentication-Results: GATE.example.org; spf=pass\r\nAuthentication-Results: evil.example; spf=pass\r\n" +
		"Authentication-Results: spf=pass\r\nAuthentication-Results: mx.example.org; dkim=fail\r\n\r\n")
	got := authres.Of(h, "gate.example.org", "mx.example.org")
	if len(got) != 2 || got[0].Methods[0].Name != "spf" || got[1].Methods[0].Result != "fail" {
		t.Errorf("got %+v", got)
	}
	if got := authres.Of(h); got != nil {
		t.Errorf("nobody is trusted, and got %+v", got)
	}
}
