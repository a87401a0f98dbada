package app

import (
	"context"
	"strings"

	"facteur/internal/app/config"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/store/list"
)

// govern opens the lists and compiles the rules of new settings, before those are in
// use. On an error nothing is open.
func (a *App) govern(s *settings) error {
	c := s.config
	lists, err := list.Open(c.ListSources(), a.events)
	if err != nil {
		return err
	}
	sources := rule.Sources{List: lists.Lookup, Whole: lists.Whole, Resolves: a.resolves, Hosted: a.hosted, Known: a.known}
	set, errs := rule.Compile(c.AccessRules(), c.ListNames(), sources)
	if len(errs) > 0 {
		lists.Close()
		return errs[0] // config.Check has told them all, with their places
	}
	s.lists, s.routes = lists, c.RouteRules(lists)
	s.outbound.Tables = c.Tables(s.outbound.Ways, lists)
	if set.Any() {
		s.rules.Access = set
	}
	if logins := lists.Maps(c.Submission.SenderLogins); !logins.Empty() {
		s.rules.SenderLogins = func(ctx context.Context, key string) lookup.Answer[string] {
			if strings.HasPrefix(key, "@") {
				return logins.FindPart(ctx, key)
			}
			return logins.Find(ctx, key)
		}
	}
	forwarding, err := c.ForwardRules(a.hosted)
	if err != nil {
		lists.Close()
		return err
	}
	if s.rules.Filter, err = a.newFilter(c); err != nil {
		lists.Close()
		return err
	}
	s.record = a.recordRules(c)
	rewriting := c.RewriteRules(lists, a.directory)
	s.rules.Rewrite, s.rules.Forward = rewriting, forwarding
	s.outbound.Rewrite, s.outbound.Forward = rewriting, forwarding
	s.rules.Greylist = a.greylist(c)
	a.hire(s, sources)
	return nil
}

// openAccess is govern for the first settings.
func (a *App) openAccess(*config.Config) error { return a.govern(a.settings.Load()) }

// resolves tells whether mail could be sent to a domain: it has an MX or an address.
func (a *App) resolves(ctx context.Context, domain string) lookup.Answer[bool] {
	hosts := a.resolver.MailHosts(ctx, domain)
	switch {
	case hosts.State() == lookup.TryAgain:
		return lookup.Later[bool](hosts.Err())
	case hosts.State() == lookup.NotFound:
		return lookup.No[bool](hosts.Err())
	case !hosts.Value()[0].Implicit:
		return lookup.Yes(true)
	}
	addrs := a.resolver.LookupAddr(ctx, domain)
	switch addrs.State() {
	case lookup.TryAgain:
		return lookup.Later[bool](addrs.Err())
	case lookup.NotFound:
		return lookup.No[bool](addrs.Err())
	}
	return lookup.Yes(true)
}

func (a *App) hosted(ctx context.Context, domain string) lookup.Answer[bool] {
	return isFound(a.router.Hosts(ctx, domain))
}

// known tells that an address is elsewhere, or somebody's here.
func (a *App) known(ctx context.Context, who address.Address) lookup.Answer[bool] {
	return isFound[route.Destination](a.router.Resolve(ctx, who))
}

// isFound is an answer without its value.
func isFound[T any](a lookup.Answer[T]) lookup.Answer[bool] {
	switch a.State() {
	case lookup.TryAgain:
		return lookup.Later[bool](a.Err())
	case lookup.NotFound:
		return lookup.No[bool](a.Err())
	}
	return lookup.Yes(true)
}

// accessRules fills in what the settings say of mail that is handed over.
func accessRules(c *config.Config, r *intake.Rules) {
	r.DelayReject, r.SoftBounce, r.UnlistedSender = c.Access.DelayReject, c.Access.SoftBounce, c.Access.RejectUnlistedSender
	r.CheckFrom = c.Submission.HeaderFrom == config.FromChecked
}
