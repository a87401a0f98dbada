package app

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"sync"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/flow/banlist"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/greylist"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/learn"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/reputation"
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
	if !c.Reputation.Enabled {
		return nil
	}
	r := &record.Rules{Bans: c.Reputation.Bans, Postmaster: c.Reputation.Postmaster, Traps: c.TrapKeys(),
		Exempt:      slices.Concat(prefixes(c.Reputation.Exempt), prefixes(c.Limits.Exempt), prefixes(c.TrustedNetworks)),
		Preapproved: func(client netip.Addr) bool { return a.providers.Has(client) }}
	if r.Postmaster == "" {
		r.Postmaster = "postmaster@" + c.Home()
	}
	return r
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
	lists := banlist.Writer{Bans: a.bans, Changed: a.recorder.Changed(), Events: a.events,
		Targets: func() []banlist.Target { return a.settings.Load().config.BanTargets() }}
	busy.Go(func() { lists.Run(ctx) })
	busy.Wait()
}

// bans are those in force.
func (a *App) bans() []reputation.Ban {
	if !a.settings.Load().config.Reputation.Enabled {
		return nil
	}
	return a.reputation.Bans()
}
