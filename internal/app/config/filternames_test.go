package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestFilterNames: a misspelt name would do nothing without a word, and what is to be on trial
// would count in full. It is an error where nothing can bring it, and told where something may.
func TestFilterNames(t *testing.T) {
	t.Parallel()
	const scanner = "[[scanner]]\ntype='clamd'\nname='av'\n[[rule]]\nname='no odd friends'\nstage='end'\nthen='tag odd'\n"
	for _, test := range []struct{ name, in, mistake, warning string }{
		{"names of all kinds", "[filter]\nscores=['HELO_not_fqdn=1','words_own=0','dnsbl_zen=9','dmarc_fail=2','spam_trap=1','reputation_domain=1','correspondent=-1','uribl_dbl=1','door_before=0','av_virus=1','av_macros=2','rule_no_odd_friends=3']\n" +
			"caps=['client=9','dns_list=8','av=9']\ntest_only=['words','bad_header','banned_program','domain_list','auth','rule','trap','header']\n" + scanner, "", ""},
		{"the whole filter", "[filter]\ntest_only=['ALL']", "", ""},
		{"misspelt on trial", "[filter]\ntest_only=['hello_not_fqdn']", `filter.test_only: "hello_not_fqdn" is no remark and no check of the filter; did you mean "helo_not_fqdn"`, ""},
		{"a score of a check", "[filter]\nscores=['client = 3']", `filter.scores: "client" is no remark of the filter`, ""},
		{"a cap of a remark", "[filter]\ncaps=['helo_not_fqdn = 3']", `filter.caps: "helo_not_fqdn" is no check of the filter`, ""},
		{"a list that is not asked", "[filter]\nscores=['dnsbl_zne = 3']", "", `filter.scores: "dnsbl_zne" is no remark of the filter; did you mean "dnsbl_zen"? (no list,`},
		{"a rule that there is not", "[filter]\ntest_only=['rule_friends']", "", `"rule_friends" is no remark`},
		{"a scanner that is not asked", "[filter]\ncaps=['rspamd = 9']", "", `"rspamd" is no check`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("f", []byte("hostname='mx.example.org'\n"+test.in))
			if err != nil {
				t.Fatal(err)
			}
			mistakes, warnings := fmt.Sprint(errors.Join(c.Check()...)), strings.Join(c.filterWarnings(), "\n")
			if !strings.Contains(mistakes, test.mistake) || test.mistake == "" && strings.Contains(mistakes, "filter.") {
				t.Errorf("mistakes: %s, want %q", mistakes, test.mistake)
			}
			if !strings.Contains(warnings, test.warning) || test.warning == "" && warnings != "" {
				t.Errorf("warnings: %q, want %q", warnings, test.warning)
			}
		})
	}
	var c Config
	c.Hostname = "mx.example.org"
	if err := c.Filter.Try("score.helo_not_fqnd", "3"); err != nil || !strings.Contains(fmt.Sprint(errors.Join(c.Check()...)), `did you mean "helo_not_fqdn"`) {
		t.Errorf("what is tried: %v, %v", err, errors.Join(c.Check()...))
	}
}
