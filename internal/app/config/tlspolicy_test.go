package config

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/net/tlspolicy"
)

const digest = "ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89"

func TestTLSPolicies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good": "# comment\nexample.com encrypt\n.example.com verify match=hostname:nexthop protocols=!SSLv2:!SSLv3 ciphers=high\n" +
			"[relay.example.com]:587 secure match=relay.example.com\nfp.example.com fingerprint match=" + digest + "|" + digest + "\n",
		"level":  "a.example.com encrypt\nexample.com always\n",
		"attr":   "example.com encrypt tafile=/x\n",
		"match":  "example.com encrypt match=x.example\n",
		"null":   "example.com encrypt ciphers=null\n",
		"aes":    "example.com encrypt exclude=aNULL:AES128\n",
		"domain": "exa_mple..com encrypt\n",
		"nopem":  "nothing\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	maps := func(name string) string { return "[outbound]\ntls_policy_maps='hash:" + dir + "/" + name + "'\n" }
	entry := func(domain, level, more string) string {
		return "[[tls_policy]]\ndomain='" + domain + "'\nlevel='" + level + "'\n" + more
	}
	for in, want := range map[string]string{
		"":                                  "",
		maps("good"):                        "",
		maps("level"):                       dir + "/level:2: expected ",
		maps("attr"):                        `the attribute "tafile" is not known`,
		maps("null"):                        "ciphers=null is no grade",
		maps("aes"):                         "exclude=AES128 can't be had",
		maps("match"):                       "means nothing at the level encrypt",
		maps("domain"):                      "is not a domain name",
		entry("example.org", "encrypt", ""): "",
		entry(".example.org", "secure", "match=['.example.org','nexthop']\ntls_min_version='1.3'\n"): "",
		entry("2001:db8::1", "verify", ""):                                       "",
		entry("example.org", "always", ""):                                       `tls_policy[0].level: expected `,
		entry("example.org", "", ""):                                             "tls_policy[0].level: is missing",
		entry("", "may", ""):                                                     "tls_policy[0].domain: is missing",
		entry("exa mple.org", "may", ""):                                         "is not a domain name",
		entry("example.org", "fingerprint", ""):                                  "the level fingerprint needs",
		entry("example.org", "fingerprint", "match='abcd'\n"):                    "64 hexadecimal digits are expected",
		entry("example.org", "fingerprint", "match='"+digest+"'\n"):              "",
		entry("example.org", "secure", "match='a b'\n"):                          "tls_policy[0].match:",
		entry("example.org", "dane-only", ""):                                    "dns.trust_ad: is needed for the level dane-only (example.org)",
		entry("example.org", "dane-only", "[dns]\ntrust_ad=true\n"):              "",
		entry("example.org", "verify", "ca_file='"+dir+"/nopem'\n"):              "has no certificate in it",
		"[outbound]\ntls_ca_file='" + dir + "/none'\n":                           "outbound.tls_ca_file:",
		"[outbound]\ntls_security_level='fingerprint'\n":                         "is for single destinations",
		"[outbound]\ntls_security_level='dane'\ntls_loglevel=1\nmta_sts=false\n": "",
		"[outbound]\ntls_loglevel=5\n":                                           "expected 0 to 4",
		"[outbound]\nsmtp_tls_security_level='may'\n":                            "tls_security_level",
		entry("example.org", "may", "match='x.example'\n") + entry("a.example.org", "none", "match='x.example'\n"):        "tls_policy[0].match: means nothing at the level may",
		"[outbound]\ntls_security_level='verify'\ntls_min_version='1.2'\n" + entry("a.example.org", "dane", ""):           "",
		"[outbound]\ntls_policy_maps='" + dir + "/absent'\n":                                                              "no such file",
		"[outbound]\ntls_security_level='dane-only'\n":                                                                    "dns.trust_ad: is needed for the level dane-only (outbound.tls_security_level)",
		entry("example.org", "may", "") + "[[tls_policy]]\ndomain='b.example'\nlevel='secure'\nca_file='" + dir + "/x'\n": "tls_policy[1].ca_file:",
	} {
		c, err := Parse(filepath.Join(dir, "f"), []byte("hostname='mx.example.org'\n"+in))
		var got string
		if err != nil {
			got = err.Error()
		} else if errs := c.Check(); len(errs) > 0 {
			got = errs[0].Error()
		}
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q\n got %s\nwant %s", in, got, want)
		}
	}
}

// The lines of Postfix's own documentation, and what they come to.
func TestParseTLSPolicy(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]tlspolicy.Rule{
		"example.edu|none":                 {Domain: "example.edu", Level: tlspolicy.None},
		"example.mil|may":                  {Domain: "example.mil", Level: tlspolicy.May},
		"example.gov|encrypt ciphers=high": {Domain: "example.gov", Level: tlspolicy.Encrypt},
		"example.com|verify match=hostname:dot-nexthop protocols=>=TLSv1.2 ciphers=high": {Domain: "example.com", Level: tlspolicy.Verify,
			Match: []string{"hostname", "dot-nexthop"}, MinVersion: tls.VersionTLS12},
		"d.example|encrypt ciphers=MEDIUM exclude=aNULL:RC4|kRSA+AES": {Domain: "d.example", Level: tlspolicy.Encrypt},
		"example.net|secure": {Domain: "example.net", Level: tlspolicy.Secure},
		".example.net|secure match=.example.net:example.net":        {Domain: ".example.net", Level: tlspolicy.Secure, Match: []string{".example.net", "example.net"}},
		"[mail.example.org]:587|secure match=nexthop":               {Domain: "mail.example.org", Level: tlspolicy.Secure, Match: []string{"nexthop"}},
		"[192.0.2.1]|encrypt":                                       {Domain: "192.0.2.1", Level: tlspolicy.Encrypt},
		"a.example|encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1": {Domain: "a.example", Level: tlspolicy.Encrypt, MinVersion: tls.VersionTLS12},
		"b.example|encrypt protocols=TLSv1.2:TLSv1.3":               {Domain: "b.example", Level: tlspolicy.Encrypt, MinVersion: tls.VersionTLS12},
		"c.example|fingerprint match=" + digest:                     {Domain: "c.example", Level: tlspolicy.Fingerprint, Match: []string{digest}},
	} {
		key, value, _ := strings.Cut(in, "|")
		got, err := parseTLSPolicy(key, value)
		if err != nil || got.Domain != want.Domain || got.Level != want.Level || got.MinVersion != want.MinVersion || strings.Join(got.Match, " ") != strings.Join(want.Match, " ") {
			t.Errorf("%q: %+v (%v), want %+v", in, got, err, want)
		}
	}
}
