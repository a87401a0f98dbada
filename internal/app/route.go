package app

import (
	"context"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/transport"
	"facteur/internal/net/dns"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/list"
)

// Follow finds the way that mail would take with these settings. It needs no running
// server, and asks the tables of transports and the name service alone.
func Follow(ctx context.Context, c *config.Config, m transport.Mail) (deliver.Trace, error) {
	s, err := translate(c)
	if err != nil {
		return deliver.Trace{}, err
	}
	r, err := dns.New(Resolver(c))
	if err != nil {
		return deliver.Trace{}, err
	}
	lists, err := list.Open(c.WaySources(), event.Discard)
	if err != nil {
		return deliver.Trace{}, err
	}
	defer lists.Close()
	s.outbound.Tables = c.Tables(s.outbound.Ways, lists)
	house := deliver.House{Hostname: c.Hostname, Resolver: r, Events: event.Discard,
		TLS: tlspolicy.New(tlspolicy.Config{Resolver: r, Roots: s.outbound.TLS.Roots})}
	return deliver.Follow(ctx, house, s.outbound, m), nil
}
