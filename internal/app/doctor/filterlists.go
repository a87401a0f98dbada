package doctor

import (
	"context"
	"fmt"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/net/dns"
)

// checkFilterLists tests the lists that the filter asks about senders (rows 158 and 162). One
// that does not work costs no mail: it is not asked, and its evidence is missing.
func checkFilterLists(ctx context.Context, w *World, r *report) {
	asked, err := w.Config.AskedLists()
	if err != nil {
		r.add(Warning, "The key of a list can't be read: %v.", err).because("Without its key the list answers nothing.")
		return
	}
	if len(asked) == 0 {
		return
	}
	lists := dnslist.New(w.Resolver, event.Discard)
	lists.Configure(dnslist.Rules{Lists: asked})
	lists.Test(dns.WithBudget(ctx, questions))
	working := 0
	for _, s := range lists.Status() {
		switch {
		case s.State != dnslist.Working:
			r.about(s.Zone, Note, "The filter does not ask the list %s: %s.", s.Zone, s.Reason).
				because("It is not believed until it works; no letter suffers from it, and its evidence is missing. Many lists do not serve public name servers.").
				do("# run unbound on this machine, and in facteur.toml:", "[dns]", `servers = ["127.0.0.1:53"]`, fmt.Sprintf("# or leave the [[dns_list]] %s out", s.Zone))
		case s.Reason != "":
			r.about(s.Zone, Note, "The list %s is %s.", s.Zone, s.Reason).because("Its inet_protocols should say \"ipv4\".")
			working++
		default:
			working++
		}
	}
	if working > 0 {
		r.add(OK, "Lists that the filter asks about senders work (%d of %d).", working, len(asked))
	}
}
