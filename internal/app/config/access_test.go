package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const head = "hostname = \"mail.example.org\"\n"

// accessErrors are the mistakes in lists, rules and submission of a file.
func accessErrors(t *testing.T, text string) []string {
	t.Helper()
	c, err := Parse("facteur.toml", []byte(text))
	if err != nil {
		return strings.Split(err.Error(), "\n")
	}
	k := checker{c: c}
	k.access()
	k.submission()
	k.maps()
	var out []string
	for _, err := range k.errs {
		out = append(out, err.Error())
	}
	return out
}

// TestExamplesOfThePage: what docs/RULES.md shows can be written into a file.
func TestExamplesOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 8 {
		t.Fatalf("%d examples", len(blocks))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ldap.secret"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		for _, e := range accessErrors(t, head+strings.ReplaceAll(b[1], "/etc/facteur/", dir+"/")) {
			t.Errorf("%s\n%s", e, b[1])
		}
	}
}

func TestMistakesInRules(t *testing.T) {
	for text, want := range map[string]string{
		"[[rule]]\nname = \"a\"\nstage = \"rcpt\"\nwhen = 'sendr.domain == \"x\"'\nthen = \"reject\"":   `facteur.toml:5:9: rule[0].when: rule "a": unknown name "sendr"; did you mean "sender"?`,
		"[[rule]]\nname = \"a\"\nstage = \"rcpt\"\nwhen = '''\n  trusted\n  && x'''\nthen = \"reject\"": `facteur.toml:7:6: rule[0].when: rule "a": unknown name "x"`,
		"[[rule]]\nname = \"a\"\nstage = \"rcpt\"\nthen = [\"tag a\", \"rejcet\"]":                      `facteur.toml:5:18: rule[0].then[1]: rule "a": unknown action "rejcet"; did you mean "reject"?`,
		"[[rule]]\nname = \"a\"\nstage = \"rcpt\"\nthen = \"rejcet\"":                                   `facteur.toml:5:8: rule[0].then[0]: rule "a": unknown action "rejcet"; did you mean "reject"?`,
		"[[rule]]\nname = \"a\"\nstge = \"rcpt\"":                                                       `facteur.toml:4:1: unknown key "rule[0].stge"; did you mean "stage"?`,
		"[[rule]]\nstage = \"rcpt\"\nthen = \"hold\"":                                                   `facteur.toml:2:3: rule[0].name: is missing; the log names a rule by it`,
		"[[list]]\nname = \"a\"\n":                                                                      `facteur.toml:2:3: list[0].source: expected either a source, such as "file:/etc/facteur/blocked", or entries`,
		"[[list]]\nname = \"a\"\nsource = \"/x\"":                                                       `facteur.toml:4:10: list[0].source: expected a kind before the path, such as "file:/x"`,
		"[[list]]\nname = \"a\"\nentries = []\n[[list]]\nname = \"a\"\nentries = []":                    `facteur.toml:6:8: list[1].name: two lists are called "a"`,
		"[submission]\nsender_logins = \"logins\"\n[[list]]\nname = \"login\"\nentries = []":            `facteur.toml:3:17: submission.sender_logins[0]: there is no list "logins"; expected the name of a [[list]], or a table such as "hash:/etc/postfix/virtual"; did you mean "login"?`,
		"[submission]\nrecipients_per_day = 5":                                                          `facteur.toml:3:22: submission.recipients_per_day: expected at least 1000, found 5`,
		"[submission]\nheader_from = \"rewrite\"":                                                       `facteur.toml:3:15: submission.header_from: expected "ignore" or "check", found "rewrite"`,
		"[submission]\nover_limit_text = \"caf\u00e9\"":                                                 `facteur.toml:3:19: submission.over_limit_text: expected up to 300 printable ASCII characters, as replies have them`,
	} {
		got := accessErrors(t, head+text)
		if len(got) == 0 || got[0] != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}
