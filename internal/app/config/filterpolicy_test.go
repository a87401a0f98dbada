package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"facteur/internal/store/policy"
)

// TestFilterPolicies (rows 189, 190, 205): what the file may say, and what is wrong with it.
func TestFilterPolicies(t *testing.T) {
	const head = "hostname=\"mail.example.org\"\ndata_dir=\"/nowhere\"\n"
	for text, want := range map[string]string{
		"[[filter_policy]]\nmatch = \"@example.org\"\njunk = 4.5\nkill = 9\ncutoff = \"never\"\ndestinies = { spam = \"discard\" }": "",
		"[[filter_policy]]\nmatch = \"example.org\"\njunk = 4.5":                                                                    `filter_policy[0]: "example.org": expected ".", "@domain"`,
		"[[filter_policy]]\nmatch = \".\"":                                                                                          "says nothing but for whom",
		"[[filter_policy]]\nmatch = \".\"\njunk = \"high\"":                                                                         `expected a score such as 5.0, "never" or "always"`,
		"[[filter_policy]]\nmatch = \".\"\ndestinies = { virus = \"bounce\" }":                                                      "filter_policy[0].destinies.virus: bounce is not offered",
		"[filter]\ndestinies = { spam = \"bounce\" }":                                                                               "filter.destinies.spam: bounce is not offered",
		"[[filter_policy]]\nmatch = \".\"\njunk = 9\nkill = 4":                                                                      "filter_policy[0].kill: 4 is below junk = 9; expected levels that rise",
		"[[filter_policy]]\nmatch = \".\"\nkill = 3\n[[filter_policy]]\nmatch = \"@.\"\nkill = 4":                                   "there are two policies",
		"[[filter_list]]\nmatch = \".\"":                                                                                            "is empty",
		"[[filter_list]]\nmatch = \".\"\nallow = [\"example.net\"]":                                                                 "filter_list[0]: allow",
		"[[filter_list]]\nmatch = \".\"\nscore = [\"@example.net\"]":                                                                "expected a sender and a score",
		"[[filter_list]]\nmatch = \"@example.org\"\nscore = [\"@example.net = -3.5\"]\nblock = [\"192.0.2.0/24\"]":                  "",
		"[[filter_policy]]\nmatch = \".\"\ngreylist = false\nlanguages = [\"fr\"]":                                                  "",
		"[[filter_policy]]\nmatch = \".\"\ngreylist = 3":                                                                            "expected true or false",
		"[[filter_policy]]\nmatch = \".\"\nlanguages = [\"french\"]":                                                                "two letters",
		"[filter]\nlanguages = [\"FR\"]":                                                                                            "two letters",
		"[quarantine]\nkeep = \"1m\"":                                                                                               "quarantine.keep",
		"[quarantine]\nkeep_virus = \"7d\"\nletters = 0":                                                                            "quarantine.letters",
	} {
		c, err := Parse("facteur.toml", []byte(head+text+"\n"))
		if err == nil {
			err = errors.Join(c.Check()...)
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s:\n%q; want %q", text, got, want)
		}
	}
	c, err := Parse("facteur.toml", []byte(head+"[filter]\nkill = 9.5\n[[filter_policy]]\nmatch = \".\"\njunk = 4.5\nnotify = [\"virus\"]\n[[filter_list]]\nmatch = \".\"\nscore = [\"@example.net = -3.5\"]\n[quarantine]\nkeep_virus = \"7d\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := c.FilterPolicies()
	if s.Default.Kill != 9.5 || s.Default.Origins["kill"].Source != policy.FromFile || s.Default.Origins["junk"].Source != "" || s.Default.Destinies[policy.Virus] == "" {
		t.Errorf("[filter] stands behind as %+v", s.Default)
	}
	if len(s.Policies) != 1 || *s.Policies[0].Junk != 4.5 || len(s.Entries) != 1 || s.Entries[0].Score != -3.5 || s.Entries[0].Kind != policy.Soft {
		t.Errorf("%+v", s)
	}
	if q := c.Quarantine.Settings(); q.Keep["virus"] != 7*24*time.Hour || q.Keep[""] != 30*24*time.Hour || q.All.Letters == 0 {
		t.Errorf("%+v", q)
	}
}
