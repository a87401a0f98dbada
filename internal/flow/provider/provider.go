// Package provider knows the hosts of large mail providers, by what their SPF records
// say: an admin names the domains, and their hosts are spared the tests that are made of
// strangers before they are greeted. Those providers send from hundreds of addresses,
// each of which would be made to wait.
//
// Being in the list says that a host sends mail for a living, and nothing of what it
// sends: nothing else is decided by it. postwhite makes such a list for postscreen.
//
// Nothing is kept on disk. The records are read when the server starts, and again every
// six hours. A domain whose records can not be read then keeps what was read before. At
// most 4096 networks are kept; those that are as large as a part of the world are left
// out, whoever says that he sends from there.
package provider

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/spf"
)

const (
	// every is how often records are read again.
	every = 6 * time.Hour
	// soon is when it is tried again after a failure.
	soon = 5 * time.Minute
	// limit is for the records of one domain.
	limit = time.Minute
	// maxNetworks bounds the list.
	maxNetworks = 4096
	// The largest networks that are believed, in bits.
	least4, least6 = 12, 24
)

// Known is the list. The zero Known is empty; use New. It is safe for concurrent use.
type Known struct {
	dns     func() spf.Resolver
	domains func() []string
	now     atomic.Pointer[list]
}

// list is what was read, and looked up in. It is not changed.
type list struct {
	of       map[string][]netip.Prefix // by domain
	networks []netip.Prefix            // of all, in order, none inside of another
}

// New makes an empty list for the domains that the settings name at the time.
func New(dns func() spf.Resolver, domains func() []string) *Known {
	k := &Known{dns: dns, domains: domains}
	k.now.Store(new(list))
	return k
}

// Has tells whether an address is one of a provider's.
func (k *Known) Has(a netip.Addr) bool {
	a = a.Unmap()
	networks := k.now.Load().networks
	// The last network that begins at or before the address is the only one it can be in.
	i, exact := slices.BinarySearchFunc(networks, a, func(p netip.Prefix, a netip.Addr) int { return p.Addr().Compare(a) })
	return exact || i > 0 && networks[i-1].Contains(a)
}

// Run keeps the list fresh until ctx ends.
func (k *Known) Run(ctx context.Context) {
	for {
		wait := every
		if err := k.Refresh(ctx); err != nil {
			wait = soon
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// Refresh reads all records. The error names the domains that keep what they had.
func (k *Known) Refresh(ctx context.Context) (err error) {
	next := &list{of: make(map[string][]netip.Prefix)}
	for _, domain := range k.domains() {
		networks, problem := Networks(ctx, k.dns(), domain)
		if problem != nil {
			err = fmt.Errorf("%s: %w", domain, problem)
			networks = k.now.Load().of[domain]
		}
		next.of[domain] = networks
		next.networks = append(next.networks, networks...)
	}
	next.networks = merge(next.networks)
	k.now.Store(next)
	return err
}

// Networks are the hosts of one provider.
func Networks(ctx context.Context, dns spf.Resolver, domain string) ([]netip.Prefix, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a := spf.Show(ctx, dns, domain)
	if a.State() != lookup.Found {
		return nil, a.Err()
	}
	if v := a.Value(); !v.Valid() {
		return nil, fmt.Errorf("its SPF records are not valid: %s", v.Problems[0])
	}
	return merge(slices.DeleteFunc(slices.Clone(a.Value().Pass), huge)), nil
}

func huge(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < least4
	}
	return p.Bits() < least6
}

// merge puts networks in order and leaves out those that are inside of others.
func merge(networks []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(networks)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var out []netip.Prefix
	for _, p := range sorted {
		if n := len(out); n > 0 && out[n-1].Overlaps(p) || n == maxNetworks {
			continue
		}
		out = append(out, p)
	}
	return out
}
