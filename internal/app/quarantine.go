package app

import (
	"facteur/internal/app/config"
	"facteur/internal/flow/quarantine"
	"facteur/internal/store/policy"
)

// quarantineSettings is how much is kept in quarantine now.
func (a *App) quarantineSettings() quarantine.Settings {
	return a.settings.Load().config.Quarantine.Settings()
}

// filterPolicies is what the settings want of the filter.
func filterPolicies(c *config.Config) policy.Settings { return c.FilterPolicies() }
