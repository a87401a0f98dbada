package postfix

import (
	"testing"

	"facteur/internal/app/takeover"
)

// Row 164: where Postfix asks policyd-spf, what its file does not say is policyd-spf's
// default, and not ours.
func TestPolicydDefaults(t *testing.T) {
	for _, c := range []struct {
		asks       bool
		mail, helo string
	}{{true, `"softfail"`, `"fail"`}, {false, `"softfail"`, ""}} {
		i := &importer{t: &takeover.Takeover{Settings: takeover.NewSettings("")}, asksSPF: c.asks}
		i.set("spf.mail_from_reject", "softfail", "")
		i.withoutLevels()
		if spf := i.table("spf"); spf.Get("mail_from_reject") != c.mail || spf.Get("helo_reject") != c.helo {
			t.Errorf("asked: %v; mail_from_reject = %s, helo_reject = %s", c.asks, spf.Get("mail_from_reject"), spf.Get("helo_reject"))
		}
	}
}
