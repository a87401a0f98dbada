package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"facteur/internal/flow/provider"
)

// preapproved is a network of a provider.
type preapproved struct {
	Provider string       `json:"provider"`
	Network  netip.Prefix `json:"network"`
}

func (c *command) spfPreapproved() *cobra.Command {
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "preapproved [DOMAIN]...",
		Short: "List the hosts of providers that are spared the tests before the greeting",
		Long: "List the hosts of large providers, by the SPF records of the domains given, or of\n" +
			"those that spf.preapproved names. postwhite makes such a list for postscreen.",
		Args: cobra.ArbitraryArgs,
	}))
	cmd.RunE = func(cmd *cobra.Command, domains []string) error {
		if len(domains) == 0 {
			cfg, err := c.settingsOrDefaults()
			if err != nil {
				return err
			}
			domains = cfg.SPF.Preapproved
		}
		resolver, err := c.resolver()
		if err != nil {
			return err
		}
		var rows []preapproved
		for _, domain := range domains {
			networks, problem := provider.Networks(cmd.Context(), resolver.SPF(), domain)
			if problem != nil {
				err = fmt.Errorf("%s: %w", domain, problem)
			}
			for _, n := range networks {
				rows = append(rows, preapproved{domain, n})
			}
		}
		if problem := list(c, rows, "PROVIDER NETWORK", func(p preapproved) []any { return []any{p.Provider, network(p.Network)} }); problem != nil {
			return problem
		}
		return err
	}
	return cmd
}
