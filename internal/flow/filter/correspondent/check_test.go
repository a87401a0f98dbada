package correspondent

import (
	"context"
	"testing"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
)

func TestExamine(t *testing.T) {
	bob, eve := address.Address{Local: "bob", Domain: "b.test"}, address.Address{Local: "eve", Domain: "b.test"}
	check := &Check{Knows: func(_ context.Context, account string, peer address.Address) bool {
		return account == "anna@a.test" && peer.Key() == bob.Key()
	}}
	passes := &spf.Result{Status: spf.Pass, Domain: "b.test"}
	for name, c := range map[string]struct {
		evidence *filter.Evidence
		own      bool
		want     int
	}{
		"DMARC":                             {&filter.Evidence{Author: bob, DMARC: dmarc.Result{Status: dmarc.Pass}}, false, 1},
		"SPF, and author is sender":         {&filter.Evidence{Author: bob, Sender: bob, SPFMail: passes}, false, 1},
		"SPF of another sender there":       {&filter.Evidence{Author: bob, Sender: eve, SPFMail: passes}, false, 0},
		"MAP-014 forged":                    {&filter.Evidence{Author: bob, Sender: bob}, false, 0},
		"MAP-014 forged, fails":             {&filter.Evidence{Author: bob, DMARC: dmarc.Result{Status: dmarc.Fail}}, false, 0},
		"somebody else":                     {&filter.Evidence{Author: eve, DMARC: dmarc.Result{Status: dmarc.Pass}}, false, 0},
		"no author":                         {&filter.Evidence{Sender: bob, SPFMail: passes}, false, 0},
		"nothing is known":                  {nil, false, 0},
		"a letter of our own is not scored": {&filter.Evidence{Author: bob, DMARC: dmarc.Result{Status: dmarc.Pass}}, true, 0},
	} {
		l := &filter.Letter{Evidence: c.evidence, Own: c.own, Recipients: []filter.Recipient{{Account: ""}, {Account: "anna@a.test"}, {Account: "anna@a.test"}, {Account: "ben@a.test"}}}
		got := check.Examine(t.Context(), l)
		if len(got) != c.want {
			t.Errorf("%s: %+v", name, got)
		}
		for _, r := range got {
			if r.Of != "anna@a.test" || r.Score != Score || r.Name != "correspondent" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}
