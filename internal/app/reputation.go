package app

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"sync"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/banlist"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/greylist"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/learn"
	"facteur/internal/mail/address"
	"facteur/internal/store/lexicon"
)

// openReputation has a Keeper remember what strangers do. The rules are asked for when
// there are any.
func (a *App) openReputation() {
	a.recorder = record.NewKeeper(a.reputation, func() *record.Rules {
		if s := a.settings.Load(); s != nil {
			return s.record
		}
		return nil
	}, a.events)
}

// recordRules are what [reputation] says; nil where nothing is to be remembered.
func (a *App) recordRules(c *config.Config) *record.Rules {
	r := c.RecordRules()
	if r == nil {
		return nil
	}
	r.Exempt = slices.Concat(prefixes(c.Reputation.Exempt), prefixes(c.Limits.Exempt), prefixes(c.TrustedNetworks))
	r.Postmaster = func(ctx context.Context) string { return a.contact(ctx, c) }
	r.Preapproved = func(client netip.Addr) bool { return a.providers.Has(client) }
	return r
}

// contact is whom a banned machine is told to write to: postmaster@ only where somebody
// reads it.
func (a *App) contact(ctx context.Context, c *config.Config) string {
	if c.Reputation.Postmaster != "" {
		return c.Reputation.Postmaster
	}
	postmaster := address.Address{Local: "postmaster", Domain: c.Home()}
	if a.router.Resolve(ctx, postmaster).State() == lookup.NotFound {
		return ""
	}
	return postmaster.String()
}

// recordChecks let what is known of a sender count.
func (a *App) recordChecks(c *config.Config) []filter.Check {
	if !c.Reputation.Enabled {
		return nil
	}
	return []filter.Check{record.Clients{Known: a.reputation}, record.Senders{Known: a.reputation}}
}

// remarked remembers what was odd about a client at the door.
func (a *App) remarked(client netip.Addr, r intake.Remark) {
	a.reputation.Remark(client, string(r))
	a.recorder.Odd(client)
}

// hearsay hears what becomes of letters elsewhere in the house, and has it remembered.
type hearsay struct{ keeper *record.Keeper }

// Emit implements event.Sink.
func (h hearsay) Emit(e event.Event) {
	switch e := e.(type) {
	case learn.Taught:
		if e.Account != lexicon.Server { // the server's own lessons come from verdicts and traps
			h.keeper.Taught(e.Facts.Client, e.Facts.Sender, e.Facts.Domains, e.Spam)
		}
	case greylist.Asked:
		if e.Decision.Reply != nil && e.Decision.Waited == 0 && !e.Test { // else the same letter is back
			h.keeper.Greylisted(e.Letter.Client)
		}
	}
}

// trapped teaches the words of a letter to a spam trap.
func (a *App) trapped(ctx context.Context, letter io.ReaderAt, size int64) {
	if _, err := a.teacher.TeachLetter(ctx, lexicon.Server, letter, size, true, learn.Trapped); err != nil {
		a.warn(record.Program, "a letter to a spam trap taught nothing: "+err.Error())
	}
}

// runReputation writes what is known and who is banned, until ctx ends.
func (a *App) runReputation(ctx context.Context) {
	var busy sync.WaitGroup
	busy.Go(func() { a.reputation.Run(ctx) })
	lists := banlist.Writer{Bans: a.recorder.Bans, Changed: a.recorder.Changed(), Events: a.events,
		Targets: func() []banlist.Target { return a.settings.Load().config.BanTargets() }}
	busy.Go(func() { lists.Run(ctx) })
	busy.Wait()
}
