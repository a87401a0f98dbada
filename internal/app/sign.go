package app

import (
	"context"

	"facteur/internal/app/config"
	"facteur/internal/base/vfs"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/dkim"
	"facteur/internal/net/dns"
	"facteur/internal/store/dkimkey"
)

// openSigning opens the keys that mail of ours is signed with.
func (a *App) openSigning(c *config.Config) error {
	a.keys = dkimkey.New(vfs.OS{}, c.KeyDir())
	a.signer = sign.New(a.signRules, a.keys, a.events)
	makes := func() bool { return a.settings.Load().config.DKIM.MakeKeys }
	a.keeper = sign.NewKeeper(a.keys, a.signRules, makes, a.domainNames, func() []dkim.TXT { return KeyServers(a.resolver) }, a.events)
	return nil
}

func (a *App) signRules() *sign.Rules { return a.settings.Load().signing }

// domainNames are the domains that mail may come from. Notices come from the name of this
// machine, for which the domain above it signs.
func (a *App) domainNames(ctx context.Context) ([]string, error) {
	domains, err := a.directory.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range domains {
		names = append(names, d.Name)
	}
	return names, nil
}

// KeyServers are the name servers, each for itself: a key signs when all of them show its
// record.
func KeyServers(r *dns.Resolver) (list []dkim.TXT) {
	for _, one := range r.Each() {
		list = append(list, one.LookupTXT)
	}
	return list
}
