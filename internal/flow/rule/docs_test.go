package rule

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"facteur/internal/base/conf"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

const page = "../../../docs/RULES.md"

// factsPage is the tables of facts, made from the tags.
func factsPage() string {
	var b strings.Builder
	table := func(title, prefix string, t reflect.Type) {
		fmt.Fprintf(&b, "\n%s\n\n| fact | type | from stage | |\n|---|---|---|---|\n", title)
		for i := range t.NumField() {
			f := t.Field(i)
			name := f.Tag.Get("expr")
			if name == "" || name == "-" {
				continue
			}
			stage := f.Tag.Get("stage")
			if stage == "" {
				stage = "any"
			}
			fmt.Fprintf(&b, "| `%s%s` | %s | %s | %s |\n", prefix, name, kindOf(f.Type), stage, strings.ReplaceAll(f.Tag.Get("doc"), "|", "\\|"))
		}
	}
	table("### Facts", "", reflect.TypeFor[Facts]())
	table("### client", "client.", parts["Client"])
	table("### tls", "tls.", parts["TLS"])
	table("### sender, recipient", "sender.", parts["Mailbox"])
	table("### time", "time.", parts["Time"])
	return b.String() + "\n"
}

// kindOf is a type in the words of the page.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Int, reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of texts"
	case reflect.Func:
		return "function: " + kindOf(t.Out(0))
	}
	return "see below"
}

func TestEveryFactIsDocumented(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), "<!-- facts -->\n")
	old, after, ok2 := strings.Cut(rest, "<!-- /facts -->")
	if !ok1 || !ok2 {
		t.Fatal("the page has lost its marks")
	}
	want := factsPage()
	if *update {
		if err := os.WriteFile(page, []byte(before+"<!-- facts -->\n"+want+"<!-- /facts -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != want {
		t.Error("docs/RULES.md does not list the facts as they are: go test ./internal/flow/rule -update")
	}
	for _, typ := range append([]reflect.Type{reflect.TypeFor[Facts]()}, parts["Client"], parts["TLS"], parts["Mailbox"], parts["Time"]) {
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() && f.Tag.Get("expr") != "-" && (f.Tag.Get("doc") == "" || f.Tag.Get("expr") == "") {
				t.Errorf("%s.%s has no name or no doc", typ.Name(), f.Name)
			}
		}
	}
}

var update = flag.Bool("update", false, "write docs/RULES.md anew")

func TestEveryActionIsDocumented(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, actions, _ := strings.Cut(string(text), "## Actions")
	for _, w := range verbWords {
		if !strings.Contains(actions, "| `"+w) {
			t.Errorf("the action %s is not in docs/RULES.md", w)
		}
	}
}

// example is a block of the page.
type example struct {
	Lists []struct {
		Name    string   `toml:"name"`
		Source  string   `toml:"source"`
		Entries []string `toml:"entries"`

		BindDN       string `toml:"bind_dn"`
		PasswordFile string `toml:"password_file"`
	} `toml:"list"`
	Rules []struct {
		Name  string       `toml:"name"`
		Stage string       `toml:"stage"`
		When  string       `toml:"when"`
		Then  conf.Strings `toml:"then"`
		Class string       `toml:"class"`
	} `toml:"rule"`
	Policies []struct {
		Address string `toml:"address"`
		When    string `toml:"when"`
	} `toml:"policy"`
}

// examples compiles each block of the page as a set of its own, by the names of its
// rules.
func examples(t *testing.T) map[string]*Set {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]*Set)
	for _, block := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		var e example
		if _, err := conf.Decode("RULES.md", []byte(block[1]), &e); err != nil {
			t.Fatal(err)
		}
		l := lists{"blocked": {"spam.example": "REJECT"}, "staff": {"bob@example.org": "bob"}, "decisions": {"spam.example": "REJECT no"}}
		for _, list := range e.Lists {
			if list.Source != "" {
				continue
			}
			l[list.Name] = map[string]string{}
			for _, entry := range list.Entries {
				key, value, _ := strings.Cut(entry, " ")
				l[list.Name][key] = value
			}
		}
		var rules []Rule
		for _, r := range e.Rules {
			rules = append(rules, Rule{Name: r.Name, Stage: r.Stage, When: r.When, Then: r.Then, Class: r.Class})
		}
		for _, p := range e.Policies {
			compile(t, l, Rule{Name: "policy", Stage: "rcpt", When: p.When, Then: []string{"accept"}})
		}
		set := compile(t, l, rules...)
		for _, r := range e.Rules {
			out[r.Name] = set
		}
	}
	return out
}

// TestExamples: every rule of the page, where it applies and where it does not.
func TestExamples(t *testing.T) {
	sets := examples(t)
	tried := map[string]int{}
	to := func(s string) func(*Facts) { return func(f *Facts) { f.Recipient.Set(addr(t, s)) } }
	from := func(s string) func(*Facts) { return func(f *Facts) { f.Sender.Set(addr(t, s)) } }
	null := func(f *Facts) { f.Sender.Set(address.Address{}) }
	helo := func(s string) func(*Facts) { return func(f *Facts) { f.Helo = s } }
	at := func(ip, name string) func(*Facts) {
		return func(f *Facts) { f.SetClient(netip.MustParseAddr(ip), name) }
	}
	user := func(f *Facts) { f.Account = "bob@example.org" }
	clear := func(f *Facts) { f.SetTLS(nil, nil) }
	head := func(s string) func(*Facts) { return func(f *Facts) { f.Message = message.Header(s + "\r\n\r\n") } }
	crowd := func(n int) func(*Facts) { return func(f *Facts) { f.Recipients = n } }
	for _, x := range []struct {
		rule  string
		stage Stage
		want  string // how what is done begins; "" for nothing
		with  []func(*Facts)
	}{
		{"the intranet is ours", Rcpt, "reject 550 5.7.1 This address", []func(*Facts){to("service.intra@example.org")}},
		{"the intranet is ours", Rcpt, "", []func(*Facts){to("service.intra@example.org"), user}},
		{"friends come in", Rcpt, "accept", []func(*Facts){from("x@mail.example.net")}},
		{"friends come in", Rcpt, "accept", []func(*Facts){from("x@x.example"), at("192.0.2.7", "")}},
		{"blocked senders", Rcpt, "reject 554 5.7.1 Access denied", []func(*Facts){from("x@sub.spam.example"), at("198.51.100.1", "h.example")}},
		{"blocked senders", Rcpt, "", []func(*Facts){from("x@y.example"), at("198.51.100.1", "h.example")}},
		{"only staff write to everybody", Rcpt, "reject 550 5.7.1 Only members", []func(*Facts){to("everybody@example.org"), from("eve@example.org")}},
		{"only staff write to everybody", Rcpt, "", []func(*Facts){to("everybody@example.org"), from("bob@example.org")}},
		// Row 30.
		{"what the database says", Rcpt, "reject 554 5.7.1 no", []func(*Facts){from("x@spam.example")}},
		{"what the database says", Rcpt, "", []func(*Facts){from("x@y.example")}},
		// Rows 27, 28, 29 and 25: access tables of each stage.
		{"check_client_access", Connect, "reject 554 5.7.1 Access denied", nil},
		{"check_client_access", Connect, "", []func(*Facts){at("198.51.100.1", "")}},
		{"check_helo_access", Helo, "reject 550 5.7.1 Not from there", []func(*Facts){helo("mx.spam.example")}},
		{"check_helo_access", Helo, "", nil},
		{"check_sender_access", Mail, "reject 550 5.7.1 Not from there", []func(*Facts){from("a@spam.example")}},
		{"check_sender_access", Mail, "accept", []func(*Facts){from("friend@spam.example")}},
		{"check_recipient_access", Rcpt, "defer 450 4.7.1 Closed today", []func(*Facts){to("list+x@example.org")}},
		{"check_recipient_access", Rcpt, "", nil},
		// Row 35: a restriction class.
		{"protected users", Rcpt, "reject 554 5.7.1 This address", []func(*Facts){to("service.intra@example.org")}},
		{"nobody else may", Rcpt, "reject 554 5.7.1 This address", []func(*Facts){to("all@example.org"), from("forged@example.org")}},
		{"the house may", Rcpt, "accept", []func(*Facts){to("all@example.org"), from("bob@example.org"), user}},
		{"the house may", Rcpt, "", nil},
		// OK ends its list, not the next one.
		{"smtpd_client_restrictions", Mail, "defer 450 4.7.25", []func(*Facts){at("192.0.2.9", "")}},
		{"only from known names", Mail, "", nil},
		{"partners send to us", Mail, "accept", []func(*Facts){from("x@partner.example"), at("192.0.2.9", "")}},
		{"smtpd_sender_restrictions", Mail, "accept; reject 550 5.7.1 No newsletters", []func(*Facts){from("newsletter@partner.example")}},
		// Row 36: words in a header.
		{"no offers", End, "reject 550 5.7.1 Message content rejected", []func(*Facts){head("Subject: =?utf-8?b?SE9UIE9mZmVy?=")}},
		{"no offers", End, "", []func(*Facts){head("Subject: hot coffee")}},
		{"hide our programs", End, "remove header X-Mailer; remove header User-Agent", []func(*Facts){user, head("Subject: x")}},
		{"executables", End, "tag executable; hold has a program", []func(*Facts){head("Content-Type: application/x; name=\"a.EXE\"")}},
		{"executables", End, "", []func(*Facts){head("Content-Type: text/plain")}},
		// Row 31.
		{"reject_unauth_pipelining", Data, "reject 503 5.5.0", []func(*Facts){func(f *Facts) { f.Remarks = []string{"pipelining"} }}},
		{"reject_unauth_pipelining", Data, "", nil},
		// Row 28.
		{"reject_invalid_helo_hostname", Helo, "reject 501 5.5.2", []func(*Facts){helo("-bad-.example.org")}},
		{"reject_invalid_helo_hostname", Helo, "", []func(*Facts){helo("-bad-.example.org"), user}},
		{"reject_non_fqdn_helo_hostname", Helo, "reject 504 5.5.2", []func(*Facts){helo("localhost")}},
		{"reject_unknown_helo_hostname", Helo, "defer 450 4.7.1 Host", []func(*Facts){helo("mx.nowhere.example")}},
		{"reject_unknown_helo_hostname", Helo, "", []func(*Facts){helo("mx.example.org")}},
		{"reject_unknown_helo_hostname", Helo, "later: DNS of down.example", []func(*Facts){helo("down.example")}},
		{"reject_unknown_client_hostname", Connect, "tag nameless", []func(*Facts){at("192.0.2.9", "")}},
		{"reject_unknown_client_hostname", Connect, "", nil},
		{"reject_unknown_sender_domain", Mail, "defer 450 4.1.8", []func(*Facts){from("x@nowhere.example")}},
		{"reject_unknown_sender_domain", Mail, "", []func(*Facts){null}},
		{"permit_tls_clientcerts", Mail, "accept", []func(*Facts){func(f *Facts) {
			f.TLS.Fingerprint = "0f1a4c8b1fe2a5c7d3b9a0e8c6d4f2b17788990011223344556677889900aabb"
		}}},
		{"reject_plaintext_session", Mail, "reject 554 5.7.1 Encryption", []func(*Facts){clear, from("x@bank.example")}},
		{"reject_plaintext_session", Mail, "", []func(*Facts){from("x@bank.example")}},
		// REL-015: a notice goes to one recipient.
		{"reject_multi_recipient_bounce", Data, "reject 550 5.5.3", []func(*Facts){null, crowd(2)}},
		{"reject_multi_recipient_bounce", Data, "", []func(*Facts){null}},
		{"no crowds at night", Rcpt, "", []func(*Facts){user, crowd(19)}},
		{"the archive", Data, "bcc archive@example.org", []func(*Facts){from("bob@example.org")}},
		{"large letters of strangers", End, "add header X-Large: yes; warn", []func(*Facts){func(f *Facts) { f.BodySize = 30_000_000 }}},
		{"large letters of strangers", End, "", nil},
		// Rows 163, 170 and 173: what was found out about who sent it.
		{"our bank signs everything", End, "reject 550 5.7.1 The bank", []func(*Facts){from("x@bank.example"), func(f *Facts) { f.DMARC = "fail" }}},
		{"our bank signs everything", End, "", []func(*Facts){from("x@bank.example"), func(f *Facts) { f.DMARC = "pass" }}},
		{"nothing proves who sent it", End, "tag unproven; add header X-Unproven: yes", []func(*Facts){func(f *Facts) { f.SPF, f.IPRev = "softfail", "permerror" }}},
		{"nothing proves who sent it", End, "", []func(*Facts){func(f *Facts) { f.DKIM = []string{"friend.example"} }}},
		{"nothing proves who sent it", End, "", []func(*Facts){user}},
		{"nothing proves who sent it", End, "", []func(*Facts){func(f *Facts) { f.ARC = "pass" }}},
		{"a person looks at forged letters to the treasurer", End, "hold may be forged", []func(*Facts){to("treasurer@example.org"), func(f *Facts) { f.Verdict, f.Policy = "junk", "reject" }}},
		{"a person looks at forged letters to the treasurer", End, "", []func(*Facts){to("treasurer@example.org"), func(f *Facts) { f.Verdict, f.Policy = "accept", "reject" }}},
		{"hosts that may not use their own name", Rcpt, "reject 550 5.7.23", []func(*Facts){func(f *Facts) { f.SPFHelo = "fail" }}},
		{"hosts that may not use their own name", Rcpt, "", []func(*Facts){func(f *Facts) { f.SPF = "fail" }}},
	} {
		set := sets[x.rule]
		if set == nil {
			t.Errorf("no example is called %q", x.rule)
			continue
		}
		tried[x.rule]++
		f := letter(t)
		f.Remarks = nil
		for _, change := range x.with {
			change(f)
		}
		if got := said(set.Judge(context.Background(), x.stage, f)); !strings.HasPrefix(got, x.want) || x.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", x.rule, got, x.want)
		}
	}
	var untried []string
	for name := range sets {
		if tried[name] == 0 {
			untried = append(untried, name)
		}
	}
	if slices.Sort(untried); len(untried) > 0 {
		t.Errorf("never tried: %q", untried)
	}
}
