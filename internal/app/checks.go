package app

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
	caller "facteur/internal/flow/filter/client"
	"facteur/internal/flow/filter/dnslist"
	"facteur/internal/net/dns"
)

// openLists knows the lists of the settings; they are tested when the house is open.
func (a *App) openLists(c *config.Config) error {
	a.lists = dnslist.New(a.resolver, a.events)
	asked, err := c.AskedLists()
	if err != nil {
		return err
	}
	a.lists.Configure(listRules(c, asked, a.isOurs))
	return nil
}

// listRules are the lists, and whom they are not asked about: those we trust, and us.
func listRules(c *config.Config, asked []dnslist.List, ours func(domain string) bool) dnslist.Rules {
	trusted, own := prefixes(c.TrustedNetworks), dns.Self{Addrs: c.PublicAddresses()}
	spared := func(addr netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(addr) {
				return true
			}
		}
		return own.IsAddr(addr)
	}
	return dnslist.Rules{Lists: asked, Spared: spared, Ours: ours}
}

// clientChecks are the checks of who brings a letter: what lists know of him, what he is
// called, and how he behaves.
func (a *App) clientChecks(c *config.Config) []filter.Check {
	self := caller.Self{Hostname: c.Hostname, Addrs: c.PublicAddresses(), Ours: a.isOurs}
	return []filter.Check{
		a.lists.Clients(), a.lists.Domains(),
		caller.NewName(a.resolver, func() caller.Self { return self }), caller.NewDoor(a.reputation.Remarks),
	}
}

// ownDomains remembers the domains that mail is received for. The names that come in letters
// are strangers': looking each of them up would let them empty the directory's memory, and
// put a question to a directory elsewhere for every link.
type ownDomains struct {
	mu    sync.Mutex
	names map[string]struct{}
	until time.Time
}

// ownFor is how long they are believed to be the same.
const ownFor = time.Minute

// isOurs tells domains that mail is received for, as far as our own tables have them; while
// those can't be read, it goes by what they last said.
func (a *App) isOurs(domain string) bool {
	o := &a.ownNames
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.After(o.until) {
		o.until = now.Add(ownFor)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if domains, err := a.directory.Domains(ctx); err == nil {
			o.names = make(map[string]struct{}, len(domains))
			for _, d := range domains {
				o.names[d.Name] = struct{}{}
			}
		}
	}
	_, ours := o.names[domain]
	return ours
}
