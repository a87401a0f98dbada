package app

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/report"
	"facteur/internal/flow/sign"
	"facteur/internal/net/dns"
	"facteur/internal/net/post"
	"facteur/internal/store/journey"
)

// openReports opens the office that sends reports to other servers and takes in theirs.
func (a *App) openReports() {
	a.reports = report.New(report.House{
		Hostname: a.settings.Load().config.Hostname, Store: a.reported, TLS: a.tlsReport, Queue: a.queue, Router: a.router,
		TXT: a.resolver.LookupTXT, Draft: sign.NewOutbox(a.queue, a.signer).Draft, Web: post.New(post.Config{Resolver: a.resolver, Roots: a.settings.Load().outbound.TLS.Roots}),
		Sender: a.senderOf, Settings: func() report.Settings { return a.settings.Load().reports }, Events: a.events,
	})
}

// senderOf finds which account sent a letter, by its queue ID or Message-Id.
func (a *App) senderOf(ctx context.Context, words []string) (account, item string) {
	dir := filepath.Join(a.settings.Load().config.DataDir, "journey")
	found, err := journey.Search(ctx, vfs.OS{}, dir, journey.Query{Words: words, Most: 20})
	if err != nil {
		return "", ""
	}
	for _, g := range found.Groups {
		for _, e := range g.Steps {
			// A step may only name the letter: that of a notice about it.
			if e.Kind == event.Accepted && e.Account != "" && (slices.Contains(words, g.Item) || slices.Contains(words, strings.Trim(e.MsgID, "<>"))) {
				return e.Account, g.Item
			}
		}
	}
	return "", ""
}

// knownName is what an address is called, if the DNS need not be asked again: a listing of
// a thousand addresses asks nobody.
func (a *App) knownName(addr netip.Addr) string {
	if name := a.resolver.ClientName(dns.WithBudget(context.Background(), 0), addr); name.State() == lookup.Found {
		return name.Value()
	}
	return ""
}
