package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/base/event"
)

const goodTemplate = "failure_template = <<EOF\nCharset: utf-8\nFrom: MAILER-DAEMON (Courrier)\nSubject: Retour\n\nIci $myhostname.\nEOF\n"

func noticesFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// noticesConfig is a settings file with a table [notices].
func noticesConfig(t *testing.T, text string) (*Config, error) {
	t.Helper()
	return Load(noticesFile(t, "facteur.toml", "hostname = \"mail.example.org\"\ndata_dir = \""+t.TempDir()+"\"\nlanguage = \"fr\"\n[notices]\n"+text))
}

// Rows 151 and 152.
func TestNotices(t *testing.T) {
	file := noticesFile(t, "bounce.cf", goodTemplate)
	c, err := noticesConfig(t, `template_file = "`+file+`"
english_domains = ["Example.COM"]
classes = ["2bounce", "delay", "policy"]
delay_recipient = "late@example.org"
`)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.NoticeRules()
	if err != nil || s.Only != "fr" || s.Templates["fr"] == nil || s.Languages["example.com"] != "en" || s.Return != 50_000 {
		t.Errorf("%+v (%v)", s, err)
	}
	if len(s.Topics) != 3 || s.Topics[event.Delay].Local != "late" || !s.Topics[event.Policy].IsNull() {
		t.Errorf("%v", s.Topics)
	}
	c, err = noticesConfig(t, `template_file = "`+filepath.Dir(noticesFile(t, "en.cf", goodTemplate))+"\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.NoticeRules(); err != nil || s.Only != "" || s.Templates["en"] == nil || s.Templates["fr"] != nil {
		t.Errorf("%+v (%v)", s, err)
	}
}

func TestNoticesByThemselves(t *testing.T) {
	c, err := noticesConfig(t, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.NoticeRules()
	for _, topic := range []event.Topic{event.DoubleBounce, event.Resource, event.Software, event.Complaint, event.Quarantine} {
		if _, told := s.Topics[topic]; !told || len(s.Topics) != 5 || err != nil {
			t.Errorf("the postmaster hears of %v (%v)", s.Topics, err)
		}
	}
}

func TestNoticesWithMistakes(t *testing.T) {
	broken := noticesFile(t, "bounce.cf", "# a text\n"+strings.Replace(goodTemplate, "$myhostname", "$my", 1))
	for text, want := range map[string]string{
		`template_file = "` + broken + `"`:                          ":5:17: notices.template_file: " + broken + ": line 7: there is no $my; expected one of myhostname",
		`template_file = "/nowhere/bounce.cf"`:                      "no such file",
		`template_file = "` + t.TempDir() + `"`:                     "has neither en.cf nor fr.cf",
		`classes = ["bounces"]`:                                     `there is no class "bounces"; expected some of "bounce", "2bounce"`,
		"classes = [\"bounce\"]\nbounce_recipient = \"no address\"": `"no address" is no mail address`,
		`size_limit = "2M"`:                                         "expected 1 to 1048576 bytes",
		`interval = "1s"`:                                           "a flood is to make one letter",
		`bounce_template_file = "x"`:                                "template_file",
		`2bounce_notice_recipient = "x"`:                            "double_bounce_recipient",
	} {
		if _, err := noticesConfig(t, text+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
