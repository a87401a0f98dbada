package app

import (
	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
)

// newFilter builds the filter of new settings.
func (a *App) newFilter(c *config.Config) *filter.Filter {
	rules := c.FilterRules()
	if c.Filter.Enabled {
		rules.Checks = a.checks(c)
	}
	return filter.New(rules, a.resolver, a.reputation).Obeys(a.policies, c.Standard()).Tells(a.events)
}

// checks are all that look at the letters of strangers, in the order in which the journey
// tells of them.
func (a *App) checks(*config.Config) (all []filter.Check) {
	return all
}
