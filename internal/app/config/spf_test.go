package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"facteur/internal/mail/spf"
)

// Rows 164 and 165: policyd-spf's options under their own names, and what is wrong with
// them said with the key.
func TestSPF(t *testing.T) {
	c := Default()
	if p := c.SPF.Policy(); p.MailFrom != spf.Never || p.Helo != spf.Never || p.DeferTempError || p.RejectPermError {
		t.Errorf("by default somebody is refused: %+v", p)
	}
	for text, want := range map[string]string{
		"":                                        "",
		"mail_from_reject = \"softfail\"":         "",
		"mail_from_reject = \"hard\"":             "expected",
		"mail_from_reject = \"null_sender\"":      "is for helo_reject",
		"helo_reject = \"null_sender\"":           "",
		"skip_domains = [\"a b\"]":                "spf.skip_domains[0]",
		"skip_addresses = [\"192.0.2.1/24\"]":     "skip_addresses",
		"reason_message = \"see {url}\"":          "there is no {url}",
		"reason_message = \"{explanation} {ip}\"": "",
		"reason_message = \"é\"":                  "printable ASCII",
	} {
		c, err := Parse("facteur.toml", []byte("hostname=\"mail.example.org\"\ndata_dir=\"/nowhere\"\n[spf]\n"+text+"\n"))
		if err == nil {
			err = errors.Join(c.Check()...)
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	c.SPF.RejectNotPassDomains = []string{"AOL.com"}
	c.Check()
	if !slices.Equal(c.SPF.Policy().NotPass, []string{"aol.com"}) {
		t.Error(c.SPF.RejectNotPassDomains)
	}
}
