package app

import (
	"facteur/internal/app/config"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/scanner"
)

// scan has letters shown to the scanners of the settings.
func (a *App) scan(c *config.Config, rules *filter.Rules) error {
	configs, err := c.AskedScanners()
	if err != nil {
		return err
	}
	for _, s := range a.scanners.Configure(configs) {
		Scan(s, rules)
	}
	return nil
}

// Scan adds a scanner to the rules of a filter. Where the settings let it count for more than
// other checks do, it does.
func Scan(s *scanner.Scanner, rules *filter.Rules) {
	cfg := s.Config()
	rules.Checks = append(rules.Checks, s)
	if cfg.Outgoing {
		rules.Own = append(rules.Own, s)
	}
	rules.Viruses = rules.Viruses || cfg.Kind == scanner.Clamd
	if caps := rules.Scale.Caps; cfg.Clip > caps[cfg.Name] {
		caps[cfg.Name] = cfg.Clip
	}
}
