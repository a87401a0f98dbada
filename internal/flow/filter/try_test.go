package filter

import (
	"net/netip"
	"strings"
	"testing"
)

// A letter on trial is looked at as a stranger's, even if its host is spared at the door;
// where no host is known, nothing is asked of one.
func TestTry(t *testing.T) {
	f := newFilter(t, "")
	f.rules.Checks = []Check{says("host", Connect, 1), says("name", Helo, 1), says("text", End, 2)}
	f.rules.Ignored = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, x := range map[string]struct {
		l    Letter
		want float64
	}{
		"from somewhere":       {somebody, 4},
		"from nobody knows":    {Letter{}, 2},
		"as one of our users'": {Letter{Client: somebody.Client, Own: true, Recipients: []Recipient{{Account: "bob@example.org"}}}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			trial, err := f.Try(t.Context(), x.l, strings.NewReader(letter), int64(len(letter)))
			if err != nil {
				t.Fatal(err)
			}
			if got := trial.Outcome.Shown.Tally.Score; got != x.want || !strings.Contains(trial.Fields, "X-Spam-Status: ") || len(trial.Outcome.Fates) != len(x.l.Recipients) {
				t.Errorf("%v points, expected %v\n%s", got, x.want, trial.Fields)
			}
		})
	}
	if f.rules.Ignored == nil || f.rules.Scoring {
		t.Error("the rules of the door were changed")
	}
}
