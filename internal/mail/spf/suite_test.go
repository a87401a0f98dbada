package spf_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"facteur/internal/mail/spf"
	"facteur/internal/test/sim"
)

// scenario is a document of the suite: a world, and questions about it.
type scenario struct {
	Description string
	Tests       map[string]struct {
		Helo        string
		Host        string
		MailFrom    string
		Result      any
		Explanation string
	}
	ZoneData map[string][]any
}

// TestSuite is the test suite of RFC 7208 (openspf.org, 2014.04), all 203 cases.
func TestSuite(t *testing.T) {
	cases := 0
	for _, s := range suite(t) {
		dns, err := sim.NewDNS(zone(s))
		if err != nil {
			t.Fatal(s.Description, err)
		}
		r, err := dns.Resolver()
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range s.Tests {
			cases++
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				q := spf.Question{IP: netip.MustParseAddr(c.Host), Helo: c.Helo, Sender: c.MailFrom}
				got := spf.Check(context.Background(), r.SPF(), q)
				if !slices.Contains(allowed(c.Result), string(got.Status)) {
					t.Errorf("%s, want %v: %+v", got.Status, c.Result, got)
				}
				want := strings.TrimSuffix(c.Explanation, "DEFAULT")
				if c.Explanation != "" && got.Explanation != want {
					t.Errorf("explanation %q, want %q", got.Explanation, want)
				}
			})
		}
	}
	if cases != 203 {
		t.Errorf("%d cases, want 203", cases)
	}
}

// suite reads the documents of the suite, which are in Latin-1.
func suite(t *testing.T) (list []scenario) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "suites", "rfc7208-tests.yml"))
	if err != nil {
		if os.Getenv("FACTEUR_TEST_REQUIRE") != "" {
			t.Fatal("the test suite of RFC 7208 is missing: ", err)
		}
		t.Skip("the test suite of RFC 7208 is not here: ", err)
	}
	text := make([]rune, len(raw))
	for i, c := range raw {
		text[i] = rune(c)
	}
	for d := yaml.NewDecoder(strings.NewReader(string(text))); ; {
		var s scenario
		if err := d.Decode(&s); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
}

func allowed(result any) (list []string) {
	if one, ok := result.(string); ok {
		return []string{one}
	}
	for _, r := range result.([]any) {
		list = append(list, r.(string))
	}
	return list
}

// zone writes the world of a scenario in the form of a zone file. Records of type SPF
// stand for TXT, unless the name has TXT of its own.
func zone(s scenario) string {
	var b strings.Builder
	for name, records := range s.ZoneData {
		ownTXT := slices.ContainsFunc(records, func(r any) bool { _, ok := pick(r, "TXT"); return ok })
		for _, record := range records {
			if record == "TIMEOUT" {
				if !hasText(records) {
					fmt.Fprintf(&b, "!servfail %s\n", escape(name))
				}
				continue
			}
			for kind, value := range record.(map[string]any) {
				if kind == "SPF" {
					if ownTXT {
						continue
					}
					kind = "TXT"
				}
				if value != "NONE" {
					fmt.Fprintf(&b, "%s. %s %s\n", escape(name), kind, rdata(kind, value))
				}
			}
		}
	}
	return b.String()
}

// hasText tells whether a name answers for TXT although it fails for the rest.
func hasText(records []any) bool {
	return slices.ContainsFunc(records, func(r any) bool { v, ok := pick(r, "TXT"); return ok && v != "NONE" })
}

func pick(record any, kind string) (any, bool) {
	m, ok := record.(map[string]any)
	v, has := m[kind]
	return v, ok && has
}

func rdata(kind string, value any) string {
	switch kind {
	case "TXT":
		var quoted []string
		for _, s := range list(value) {
			quoted = append(quoted, `"`+escapeText(s)+`"`)
		}
		return strings.Join(append(quoted, `""`), " ")
	case "MX":
		pair := value.([]any)
		return fmt.Sprintf("%v %s.", pair[0], escape(fmt.Sprint(pair[1])))
	case "PTR", "CNAME":
		return strings.TrimSuffix(escape(value.(string)), ".") + "."
	}
	return value.(string)
}

func list(value any) (texts []string) {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	for _, v := range value.([]any) {
		texts = append(texts, v.(string))
	}
	return texts
}

// escape writes a name, escapeText a text as RFC 1035 §5.1 has them.
func escape(name string) string {
	return escapeAll(name, func(c rune) bool { return c == '.' || c == '-' || c == '_' })
}

func escapeText(text string) string {
	return escapeAll(text, func(c rune) bool { return c == ' ' || c == '.' || c == '=' })
}

func escapeAll(s string, plain func(rune) bool) string {
	var b strings.Builder
	for _, c := range s {
		if plain(c) || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, `\%03d`, c)
		}
	}
	return b.String()
}
