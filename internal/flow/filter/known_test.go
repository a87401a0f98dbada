package filter

import (
	"slices"
	"testing"

	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
)

// TestProven: settings can name whatever is said about who sent a letter, and nothing else.
func TestProven(t *testing.T) {
	said := make(map[Known]bool)
	for _, d := range []dmarc.Status{dmarc.None, dmarc.Pass, dmarc.Fail, dmarc.TempError} {
		for _, p := range []dmarc.Policy{dmarc.PolicyNone, dmarc.Quarantine, dmarc.Reject} {
			for _, s := range []spf.Status{spf.Pass, spf.Fail, spf.SoftFail, spf.Neutral, spf.PermError, spf.TempError} {
				for _, override := range []string{"", "mailing_list"} {
					e := Evidence{SPFMail: &spf.Result{Status: s, Domain: "a.example"}, DMARC: dmarc.Result{Status: d, Policy: p, DKIMAligned: d == dmarc.None}}
					for _, r := range voices(&e, Verdict{Override: override}) {
						said[Known{r.Check, r.Name}] = true
					}
				}
			}
		}
	}
	for k := range said {
		if !slices.Contains(Proven(), k) {
			t.Errorf("%v can't be named", k)
		}
	}
	if len(said) != len(Proven()) {
		t.Errorf("%d are said, %d can be named", len(said), len(Proven()))
	}
}
