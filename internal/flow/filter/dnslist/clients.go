package dnslist

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"facteur/internal/flow/filter"
	"facteur/internal/net/dns"
)

// Families of remarks. Lists copy from each other, so that all of a kind are one family.
const (
	FamilyClients = "dns_list"
	FamilyDomains = "domain_list"
)

// Clients is the check of the client's address.
type Clients struct{ lists *Lists }

// Clients asks about the machines that connect.
func (l *Lists) Clients() Clients { return Clients{l} }

// Name implements filter.Check.
func (Clients) Name() string { return FamilyClients }

// At implements filter.Check: the answers are there before the greeting is over.
func (Clients) At() filter.Stage { return filter.Connect }

// Examine implements filter.Check.
func (c Clients) Examine(ctx context.Context, l *filter.Letter) []filter.Remark {
	rules, addr := c.lists.rules.Load(), l.Client.Addr.Unmap()
	if !rules.asksAbout(addr) {
		return nil
	}
	var all []question
	for _, kind := range []Kind{Client, Allow} {
		for _, one := range rules.of(kind) {
			if one.usableFor(addr.Is6()) {
				all = append(all, question{list: one, addr: addr})
			}
		}
	}
	var remarks []filter.Remark
	for i, a := range c.lists.askAll(ctx, all) {
		if a.listed() {
			remarks = append(remarks, all[i].list.onClient(a))
		}
	}
	return remarks
}

// asksAbout tells whether an address is anybody's business.
func (r *rules) asksAbout(a netip.Addr) bool {
	return a.IsValid() && dns.Public(a) && (r.Spared == nil || !r.Spared(a))
}

func (l *list) onClient(a answer) filter.Remark {
	text := fmt.Sprintf("The client is on the block list %s (%s)", l.Zone, words(a.codes))
	if l.Kind == Allow {
		text = fmt.Sprintf("The client is on the allow list %s (%s)", l.Zone, words(a.codes))
	}
	if a.text != "" {
		text += ": " + clip(a.text)
	}
	return filter.Remark{Check: FamilyClients, Name: l.remark(l.Kind), Score: a.score, Sentence: strings.TrimSuffix(text, ".") + ".", Test: l.TestOnly}
}

// clip keeps what a list says of an entry short.
func clip(text string) string {
	const most = 160
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
