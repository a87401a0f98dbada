package list

import (
	"fmt"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"facteur/internal/test/doubling"
)

// outline is a filter without its values, and the values.
func outline(t testing.TB, filter string) (shape string, values []string) {
	t.Helper()
	tree, err := ldap.CompileFilter(filter)
	if err != nil {
		t.Fatalf("%q: %v", filter, err)
	}
	shape = tags(tree)
	eachLeaf(tree, func(text string, isValue bool) {
		if isValue {
			values = append(values, text)
		} else {
			shape += " " + text
		}
	})
	return shape, values
}

// tags writes the structure of a filter.
func tags(p *ber.Packet) string {
	var b strings.Builder
	for _, child := range p.Children {
		b.WriteString(tags(child))
	}
	return fmt.Sprintf("%d.%d(%s)", p.ClassType, p.Tag, b.String())
}

var filters = []string{"(mail={key})", "(&(objectClass=x)(|(mail={key})(uid=a{key}b)))", "(!(mail=*{key}*))", "(cn:dn:2.4.6:={key})", "(a>={key})", "(a~={key})",
	"(member=uid={key},ou=x)", "(mail={key})(uid=x)", "(mail=smtp:{key}*)"}

// MAP-001: whatever the key is, the filter has the same shape, and the key is in it as
// it is.
func TestFilterKeepsItsShape(t *testing.T) {
	t.Parallel()
	for _, text := range filters {
		template, err := parseFilter(cutKeys(text))
		if strings.HasSuffix(text, ")(uid=x)") {
			if err == nil {
				t.Errorf("%s: two filters, and no error", text)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		t.Run("MAP-001 "+text, func(t *testing.T) {
			want, _ := outline(t, template.fill(cutParts(sample)))
			rapid.Check(t, func(r *rapid.T) {
				key := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune(`*()\|&!=,+"<>;# ab`+"\x00é")))).Filter(func(s string) bool { return s != "" }).Draw(r, "key")
				got, values := outline(t, template.fill(cutParts(key)))
				if got != want {
					r.Fatalf("%q: %s, want %s", key, got, want)
				}
				if !strings.Contains(strings.Join(values, "|"), wanted(template, key)) {
					r.Fatalf("%q is not in %q", key, values)
				}
			})
		})
	}
}

func wanted(t filterTemplate, key string) string {
	if t.inDN[0] {
		return ldap.EscapeDN(key)
	}
	return key
}

// MAP-001: a key in a name is one value, whatever it is.
func TestNameKeepsItsShape(t *testing.T) {
	t.Parallel()
	template, err := parseName(cutKeys("uid={key},ou=people,dc=example,dc=org"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune(`,+"\<>;=# ab`+"\x00é")))).Filter(func(s string) bool { return s != "" }).Draw(r, "key")
		name, err := ldap.ParseDN(template.fill(cutParts(key)))
		if err != nil {
			r.Fatalf("MAP-001 %q: %v", key, err)
		}
		if len(name.RDNs) != 4 || len(name.RDNs[0].Attributes) != 1 || name.RDNs[0].Attributes[0].Value != key {
			r.Fatalf("MAP-001 %q became %q", key, name)
		}
	})
}

// What an admin reads when an LDAP URL is wrong.
func TestLDAPMistakes(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"ldap:x":                                    `the parameters of "ldap:x" stand in main.cf`,
		"ldap://h":                                  `expected "ldap://host/BASE`,
		"ldap:///dc=x??sub?(a={key})":               "a host is missing",
		"ldap://me:canary@h/dc=x??sub?(a={key})":    "bind_dn and password_file say who we are",
		"ldap://h:x/dc=x??sub?(a={key})":            `"x" is no port`,
		"ldap://::1/dc=x??sub?(a={key})":            "stands in brackets",
		"ldap://h/dc=x?mail?sub?(mail=alice)":       "the filter does not ask for the key",
		"ldap://h/dc=x?mail":                        "the filter does not ask for the key",
		"ldap://h/dc=x?mail?sub?(mail=%s)":          "the key is written {key}",
		"ldap://h/dc=x?mail?sub?mail={key}":         "the filter can't be read",
		"ldap://h/dc=x?mail?sub?((mail={key})":      "the filter can't be read",
		"ldap://h/dc=x?mail?sub?({key}=x)":          "{key} stands in the name of an attribute",
		"ldap://h/dc=x?mail?sub?({key}=*)":          "{key} stands in the name of an attribute",
		"ldap://h/dc=x?mail?sub?(x{key}={key})":     "{key} stands in the name of an attribute",
		"ldap://h/dc=x?mail?sub?(cn:{key}:=x)":      "{key} stands in the name",
		"ldap://h/dc=x?mail?sub?({key})":            "the filter can't be read",
		`ldap://h/dc=x?mail?sub?(a=\{key})`:         "the filter can't be read",
		"ldap://h/dc=x?{key}?sub?(a={key})":         "is no attribute",
		"ldap://h/dc=x?a b?sub?(a={key})":           "is no attribute",
		"ldap://h/dc=x?mail?all?(a={key})":          `expected the scope "sub", "one" or "base"`,
		"ldap://h/dc=x?mail?sub?(a={key})?!x":       "expected nothing after the filter",
		"ldap://h/x?mail?sub?(a={key})":             "the base can't be read",
		"ldap://h/{key}=x?mail?base":                "has to be a whole value",
		"ldap://h/dc=a{key}?mail?base":              "has to be a whole value",
		"ldapi://host/dc=x??sub?(a={key})":          "percent-encoded",
		"ldap://a,b,c,d,e,f,g,h,i/dc=x???(a={key})": "at most 8 hosts",
	} {
		if err := (Source{From: from}).Check(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("MAP-001 %s: %v, want %s", from, err, want)
		}
	}
}

func TestLDAPSources(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"ldap://h/dc=x???(a={key})":                             "[h:389] dc=K [] 2 (a=K)",
		"ldap://h,[::1]:1389,192.0.2.1/?mail,cn?one?(a={key})":  "[h:389 [::1]:1389 192.0.2.1:389]  [mail cn] 1 (a=K)",
		"ldaps://h/dc=x??base?(&(a={key})(b=%3f))":              "[h:636] dc=K [] 0 (&(a=K)(b=?))",
		"ldapi:///uid={key}%2cdc=x?mail?base":                   "[/var/run/slapd/ldapi] uid=K,dc=K [mail] 0 (objectClass=*)",
		"ldapi://%2Frun%2Fldapi,%2Fx/dc=x?a;lang-fr??(a={key})": "[/run/ldapi /x] dc=K [a;lang-fr] 2 (a=K)",
	} {
		s, err := parseSearch(from)
		if err != nil {
			t.Errorf("%s: %v", from, err)
			continue
		}
		got := fmt.Sprintf("%v %s %v %d %s", s.hosts, s.base.fill(cutParts("K")), s.attributes, s.scope, s.filter.fill(cutParts("K")))
		if strings.ReplaceAll(got, "dc=x", "dc=K") != want {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
}

// MAP-002: one $1, and it is a parameter.
func TestPostgresMistakes(t *testing.T) {
	t.Parallel()
	const at = "postgres://u@h/d?query="
	for from, want := range map[string]string{
		"postgres://u@h/d":                                   "the query is missing",
		"postgres://u:canary@h/d?query=SELECT $1":            "name that as password_file",
		"postgres://h/d?query=SELECT $1":                     "a user, a host and a database have to be named",
		"postgres://u@h?query=SELECT $1":                     "a user, a host and a database have to be named",
		"postgres://u@/d?query=SELECT $1":                    "a host is missing",
		"postgres://u@h/d?sslmode=disable&x?query=SELECT $1": "tls, ca_file and password_file are settings of the list",
		at + "SELECT a FROM t WHERE k = '%s'":                "expected $1 in its place",
		at + "SELECT a FROM t WHERE k = {key}":               "expected $1 in its place",
		at + "SELECT a FROM t":                               "expected $1 once",
		at + "SELECT a FROM t WHERE k = '$1'":                "expected $1 once",
		at + "SELECT a FROM t WHERE k = \"$1\"":              "expected $1 once",
		at + "SELECT a FROM t WHERE k = 'it''s $1'":          "expected $1 once",
		at + "SELECT a FROM t WHERE k = $1 AND l = $2":       "expected $1 once",
		at + "SELECT a FROM t WHERE k = $2":                  "expected $1 once",
		at + "SELECT a FROM t WHERE k = $1 OR l = $1":        "expected $1 once",
		at + "SELECT a FROM t WHERE k = $10":                 "expected $1 once",
		at + "SELECT a FROM t WHERE k = $1; DROP TABLE t":    "expected one statement",
		at + "SELECT a FROM t -- $1":                         "expected one statement",
		at + "SELECT a FROM t WHERE k = $$x$1$$":             "expected one statement",
		at + "SELECT a FROM t WHERE k = $1 || '":             "never closed",
		at + "DELETE FROM t WHERE k = $1":                    "begins with SELECT",
		at + "":                                              "begins with SELECT",
	} {
		if err := (Source{From: from}).Check(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("MAP-002 %s: %v, want %s", from, err, want)
		}
	}
	d, err := parsePostgres("postgresql://me%40x@%2Frun%2Fpg:5433,h,[::1]:1/d%20b?query=  SELECT a FROM t WHERE k LIKE '%x?y=1' || $1 AND '$' = '' ")
	if got := fmt.Sprint(d.user, d.hosts, d.name, "|", d.statement, "|", err); got != "me@x[/run/pg:5433 h:5432 [::1]:1]d b|SELECT a FROM t WHERE k LIKE '%x?y=1' || $1 AND '$' = ''|<nil>" {
		t.Error(got)
	}
}

// Any text is a source or an error; what is a source keeps its shape for any key.
func FuzzSource(f *testing.F) {
	for _, text := range filters {
		f.Add("ldap://h/uid={key}?mail?sub?"+text, "*)(x=*")
	}
	f.Add("postgres://u@h/d?query=SELECT a FROM t WHERE k = $1", "'")
	f.Add("ldapi://%2Fx/dc=x???(a:dn:=a={key})", `,\`)
	f.Fuzz(func(t *testing.T, from, key string) {
		s := Source{From: from}
		if s.Check() != nil || !s.IsLDAP() || strings.Contains(from, sample) || key == "" {
			return
		}
		search, err := parseSearch(from)
		if err != nil {
			t.Fatal(err)
		}
		one, _ := ldap.CompileFilter(search.filter.fill(cutParts(sample)))
		two, err := ldap.CompileFilter(search.filter.fill(cutParts(key)))
		if err != nil || count(one) != count(two) {
			t.Fatalf("MAP-001 %s with %q: %v", from, key, err)
		}
		if parts(t, search.base.fill(cutParts(key))) != parts(t, search.base.fill(cutParts(sample))) {
			t.Fatalf("MAP-001 %s with %q: %s", from, key, search.base.fill(cutParts(key)))
		}
	})
}

// parts counts the attributes in a name.
func parts(t *testing.T, name string) (n int) {
	dn, err := ldap.ParseDN(name)
	if err != nil {
		t.Fatalf("MAP-001 %q: %v", name, err)
	}
	for _, rdn := range dn.RDNs {
		n += len(rdn.Attributes)
	}
	return n
}

func count(p *ber.Packet) int {
	n := 1
	for _, child := range p.Children {
		n += count(child)
	}
	return n
}

// Twice the text may not take four times as long.
func TestSourceDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	for name, from := range map[string]func(n int) string{
		"values": func(n int) string { return "ldap://h/dc=x???(&" + strings.Repeat("(a={key})", n) + ")" },
		"names":  func(n int) string { return "ldap://h/" + strings.Repeat("a={key},", n) + "a=b???(a=b)" },
		"quotes": func(n int) string { return "postgres://u@h/d?query=SELECT $1" + strings.Repeat("''", n) },
	} {
		doubling.Check(t, name, 5_000, func(n int) func() {
			s := Source{From: from(n)}
			return func() {
				if err := s.Check(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
