package app

import (
	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/letter"
)

// ContentChecks are those that look at what a letter says and carries, by the settings.
// ours tells domains that mail is received for; nil: those of the recipients alone.
func ContentChecks(c *config.Config, ours func(domain string) bool) []filter.Check {
	house, rules := &letter.House{Hostname: c.Hostname, Ours: ours}, c.Attachments.Rules()
	return letter.Checks(func() *letter.House { return house }, func() *letter.Attachments { return rules })
}
