package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/config"
	"facteur/internal/base/conf"
	"facteur/internal/net/dns"
)

// withDNS gives a command its --dns.
func (c *command) withDNS(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&c.dns, "dns", "", "name server to ask, `HOST:PORT` (default those of the settings, else of /etc/resolv.conf)")
	return cmd
}

// resolver asks the name server of --dns, else those of the settings. A command that
// judges a file works on a machine without settings, too.
func (c *command) resolver() (*dns.Resolver, error) {
	if c.dns != "" {
		var server conf.HostPort
		if err := server.UnmarshalText([]byte(c.dns)); err != nil {
			return nil, fmt.Errorf("--dns: %w", err)
		}
		return dns.New(dns.Config{Servers: []string{server.WithPort(53).String()}})
	}
	cfg, err := c.settingsOrDefaults()
	if err != nil {
		return nil, err
	}
	return dns.New(app.Resolver(cfg))
}

// settingsOrDefaults reads the settings file; where none is named and none is there,
// it gives the defaults.
func (c *command) settingsOrDefaults() (*config.Config, error) {
	if _, err := config.Find(c.settings); err != nil && c.settings == "" {
		return config.Default(), nil
	}
	return c.load()
}
