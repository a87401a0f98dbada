package app

import (
	"cmp"
	"context"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/flow/greylist"
)

// greylist is who has to come again by settings; nil where nobody has to.
func (a *App) greylist(c *config.Config) *greylist.Gate {
	rules := c.GreylistRules()
	if rules == nil {
		return nil
	}
	known := greylist.Known{Operator: a.providers.Has, Correspondent: a.correspondents.Knows, Reputable: a.recorder.IsReputable, Spared: a.hasten}
	return greylist.New(a.greylisted, rules, known, event.Tee(a.events, hearsay{a.recorder}))
}

// hasten tells recipients for whose sake nobody is to wait, by their policies.
func (a *App) hasten(_ context.Context, to greylist.Recipient) bool {
	e, found := wantsOf(a.policies, cmp.Or(to.Account, to.Address.String()))
	return found && !e.Greylist
}
