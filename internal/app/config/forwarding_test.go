package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mistakes are what is wrong with a file of the given text.
func mistakes(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "facteur.toml")
	c, err := Parse(path, []byte("hostname = \"mail.example.org\"\n"+text))
	if err != nil {
		return err.Error()
	}
	errs := errors.Join(c.Check()...)
	if errs == nil {
		return ""
	}
	return errs.Error()
}

func TestForwardingSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, open, empty := write("good", "one\n\ntwo\r\n", 0o600), write("open", "x\n", 0o644), write("empty", "\n", 0o600)
	const domain = "[[domain]]\nname = \"example.org\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", domain, ""},
		{"row 207 a domain of ours", domain + "[forwarding]\nsrs_domain = \"Example.org\"", ""},
		{"our own name", domain + "[forwarding]\nsrs_domain = \"mail.example.org\"", ""},
		{"another's", domain + "[forwarding]\nsrs_domain = \"srs.example.org\"", `forwarding.srs_domain: "srs.example.org" is no domain of this server, and bounces would not come back; declare it: [[domain]] name = "srs.example.org"`},
		{"no domain", domain + "[forwarding]\nsrs_domain = \"a b\"", "is not a domain name"},
		{"row 208", domain + "[forwarding]\nsrs_exclude_domains = [\"hosting.example.com\", \".example.com\"]", ""},
		{"row 208 no domain", domain + "[forwarding]\nsrs_exclude_domains = \"@example.com\"", "srs_exclude_domains[0]"},
		{"keys", domain + "[forwarding]\nsrs_secrets = \"" + good + "\"", ""},
		{"open keys", domain + "[forwarding]\nsrs_secrets = \"" + open + "\"", "chmod 600 it"},
		{"no keys", domain + "[forwarding]\nsrs_secrets = \"" + empty + "\"", "is empty; expected keys"},
		{"a missing file", domain + "[forwarding]\nsrs_secrets = \"/nowhere/at/all\"", "forwarding.srs_secrets[0]"},
		{"too short a time", domain + "[forwarding]\nsrs_max_age = \"1h\"", "expected 1d to 1000d"},
		{"too short a hash", domain + "[forwarding]\nsrs_hash_length = 3", "expected 4 to 27"},
		{"nothing per hour", domain + "[forwarding]\nper_hour = 0", "expected at least 1"},
		{"row 51", domain + "[rewrite]\nmasquerade_domains = [\"!a.example.org\", \"example.org\"]\nmasquerade_exceptions = \"root\"", ""},
		{"row 51 no user", domain + "[rewrite]\nmasquerade_exceptions = \"root@x\"", "without a domain"},
		{"row 50 a class", domain + "[rewrite]\ncanonical_classes = [\"envelope\"]", "envelope_sender"},
		{"a copy for nobody", domain + "[rewrite]\nalways_bcc = \"archive\"", "is no address"},
	} {
		if got := mistakes(t, c.text); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	c := Default()
	c.Forwarding.SRSSecrets = []string{good}
	keys, err := c.ForwardingKeys()
	if err != nil || len(keys) != 2 || string(keys[0]) != "one" || string(keys[1]) != "two" {
		t.Errorf("%q, %v", keys, err)
	}
}
