package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestSessions: what can be wrong in [session] and [pregreet] is told with its place.
func TestSessions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"[session]\ndiscard_ehlo_keywords = ['chunking', 'XYZZY']":          `"XYZZY" is no keyword`,
		"[session]\netrn_domains = ['a..b']":                                `is not a domain name`,
		"[session]\nmessages = 1000000":                                     "at most 999999",
		"[session]\nhard_error_limit = 0":                                   "expected at least 1, found 0",
		"[session]\nerror_sleep_time = '11s'":                               "expected 0s to 10s",
		"[session]\netrn = 'all'":                                           `expected "known", "anybody" or "nobody"`,
		"[pregreet]\ngreet_wait = '2m'":                                     "expected 0s to 1m",
		"[pregreet]\nstress_greet_wait = '2m'":                              "expected 0s to 1m",
		"[pregreet]\ngreet_wait = '0s'":                                     "",
		"[pregreet]\ngreet_banner = 'a\tb'":                                 "printable ASCII",
		"[pregreet]\ngreet_action = 'warn'":                                 `expected "ignore", "enforce" or "drop"`,
		"[session]\nsmtputf8 = false\n[pregreet]\ngreet_action = 'enforce'": "",
	} {
		c, err := Parse("f", []byte("hostname = 'mx.example.org'\n"+in))
		text := fmt.Sprint(err)
		if err == nil {
			text = fmt.Sprint(c.Check())
		}
		if want == "" && text != "[]" || !strings.Contains(text, want) {
			t.Errorf("%s: got %s, want %s", in, text, want)
		}
	}
	c := Default()
	c.Session.SMTPUTF8, c.Session.DiscardEHLOKeywords = false, []string{"dsn"}
	if got := fmt.Sprint(c.Session.Withheld()); got != "[DSN SMTPUTF8]" {
		t.Error(got)
	}
}
