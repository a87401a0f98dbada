package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/flow/filter/dnslist"
)

// TestDNSLists: row 158, what an admin can write about lists, and what he is told of mistakes.
func TestDNSLists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, open, odd := file("key", "abc123\n", 0o600), file("open", "abc123\n", 0o644), file("odd", "no key.\n", 0o600)
	const head = "hostname = 'mx.example.org'\n[[dns_list]]\n"
	for _, test := range []struct{ name, in, want string }{
		{"good", "zone='ZEN.example.'\nkind='client'\ncodes=['127.0.0.[2..4] = 3', 'any=1']\ninet_protocols='all'", ""},
		{"row 158 a paid feed", "zone='zen.example'\nkind='client'\ncodes=['any=1']\nkey_file='" + good + "'", ""},
		{"none", "", `zone: is missing; expected the name of a list`},
		{"no name", "zone='a b'\nkind='client'\ncodes=['any=1']", `"a b" is not a domain name; expected the name of a list`},
		{"one word", "zone='zen'\nkind='client'\ncodes=['any=1']", `"zen" is not a full name`},
		{"no codes", "zone='bl.example'\nkind='client'", `codes: is missing; expected what its answers add`},
		{"bad code", "zone='bl.example'\nkind='client'\ncodes=['127.0.0.300 = 1']", `codes[0]: "127.0.0.300" is no answer of a list: expected a number from 0 to 255, found "300"`},
		{"no score", "zone='bl.example'\nkind='client'\ncodes=['127.0.0.2']", `codes[0]: expected an answer and its score, such as "127.0.0.2 = 3.5"`},
		{"twice", "zone='bl.example'\nkind='client'\ncodes=['127.0.0.2=1','127.0.0.2=2']", `codes[1]: 127.0.0.2 stands there twice`},
		{"an allow list that speaks against", "zone='wl.example'\nkind='allow'\ncodes=['any=1']", `speaks for the client; expected at most 0`},
		{"no kind", "zone='bl.example'\ncodes=['any=1']", `kind: is missing; expected "client", "allow", "domain", "sender" or "link"`},
		{"another kind", "zone='bl.example'\nkind='ip'\ncodes=['any=1']", `kind: expected "client", "allow", "domain", "sender" or "link", found "ip"`},
		{"domains have no family", "zone='bl.example'\nkind='link'\ncodes=['any=1']\ninet_protocols='ipv6'", `a list of domains has no addresses`},
		{"INV-21 a key in the zone", "zone='abcdefghij0123456789ab.zen.example'\nkind='client'\ncodes=['any=1']", `begins with what looks like a subscriber's key`},
		{"INV-21 a key for everybody", "zone='zen.example'\nkind='client'\ncodes=['any=1']\nkey_file='" + open + "'", `is open to others (mode 0644); chmod 600 it`},
		{"no key in it", "zone='zen.example'\nkind='client'\ncodes=['any=1']\nkey_file='" + odd + "'", `is no key: it has to be a label`},
		{"both", "zone='zen.example'\nkind='client'\ncodes=['any=1']\nkey='abc'\nkey_file='" + good + "'", `expected either key or key_file`},
		{"a bad key", "zone='zen.example'\nkind='client'\ncodes=['any=1']\nkey='a.b c'", `key: is no key`},
		{"a bad name", "zone='zen.example'\nname='Zen!'\nkind='client'\ncodes=['any=1']", `expected small letters, digits and underscores`},
		{"the same twice", "zone='zen.example'\nkind='client'\ncodes=['any=1']\n[[dns_list]]\nname='b'\nzone='zen.example'\nkind='client'\ncodes=['any=1']", `two lists of the kind "client" are zen.example`},
		{"less than none", "zone='zen.example'\nkind='client'\ncodes=['any=1']\ndaily_limit=-1", `daily_limit: expected at least 1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("f", []byte(head+test.in))
			if err == nil {
				c.DataDir = dir
				err = errors.Join(c.Check()...)
			}
			if got := fmt.Sprint(err); test.want == "" && err != nil || !strings.Contains(got, test.want) {
				t.Errorf("%v, want %q", got, test.want)
			}
		})
	}
}

// TestDNSListKey: INV-21, a key is shown nowhere, and asked with.
func TestDNSListKey(t *testing.T) {
	t.Run("INV-21", func(t *testing.T) {
		const key = "c4narykey"
		c, err := Parse("f", []byte("hostname = 'mx.example.org'\n[[dns_list]]\nzone='Zen.Example'\nkind='client'\ncodes=['127.0.0.2 = 3.5']\nkey='"+key+"'\n"))
		if err != nil {
			t.Fatal(err)
		}
		lists, err := c.AskedLists()
		if err != nil || len(lists) != 1 || lists[0].Key != key || lists[0].Zone != "zen.example" || lists[0].Name != "zen_example" || lists[0].Daily != dailyLimit || !lists[0].IPv4 || lists[0].IPv6 {
			t.Errorf("%v %v", len(lists), err)
		}
		var shown strings.Builder
		if err := errors.Join(c.WriteShow(&shown), c.WriteDiff(&shown)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(shown.String(), key) || !strings.Contains(shown.String(), `"127.0.0.2 = 3.5"`) {
			t.Errorf("shown: %s", shown.String())
		}
	})
}

// TestDefaultDNSLists: what is asked by default is on the page, and in order.
func TestDefaultDNSLists(t *testing.T) {
	page, err := os.ReadFile("../../../docs/FILTER.md")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Hostname, c.DataDir = "mx.example.org", t.TempDir()
	if err := errors.Join(c.Check()...); err != nil {
		t.Error(err)
	}
	var table strings.Builder
	for _, l := range c.DNSLists {
		codes := make([]string, len(l.Codes))
		for i, code := range l.Codes {
			codes[i] = code.String()
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | `%s` |\n", l.Name, l.Zone, l.Kind, strings.Join(codes, "`, `"))
		if l.Name == "" || dnslist.NameOf(l.Name) != l.Name {
			t.Errorf("%q", l.Name)
		}
	}
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/FILTER.md does not have this table:\n%s", table.String())
	}
	none, err := Parse("f", []byte("dns_list = []\nhostname = 'mx.example.org'"))
	if err != nil || len(none.DNSLists) != 0 {
		t.Error(err, none.DNSLists)
	}
}
