package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/app/records"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
)

func (c *command) domainRecords() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "records DOMAIN",
		Short: "Print the DNS records that a domain should have, as lines of a zone file",
		Args:  takes("DOMAIN"),
	})
	quiet := cmd.Flags().Bool("never-sends", false, "for a domain that sends no mail")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		h, err := c.houseOf(cmd.Context(), args[0], *quiet)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c, records.Of(h)...)
		}
		return records.Write(c.out, records.Of(h))
	}
	return cmd
}

// houseOf is a domain as the settings and the database have it.
func (c *command) houseOf(ctx context.Context, name string, neverSends bool) (records.House, error) {
	domain, err := address.CanonicalDomain(name)
	if err != nil {
		return records.House{}, fmt.Errorf("%q is no domain: %w", name, err)
	}
	cfg, err := c.load()
	if err != nil {
		return records.House{}, err
	}
	h := records.For(cfg, domain)
	h.NeverSends = h.NeverSends || neverSends
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		domains, err := o.Domains(ctx)
		if i := slices.IndexFunc(domains, func(d directory.Domain) bool { return d.Name == domain }); i >= 0 {
			h.Relayed = domains[i].Class == directory.ClassRelay
		} else {
			h.Receives = false
		}
		return err
	})
	if err == nil && !h.Receives && !h.NeverSends {
		err = fmt.Errorf("%s is not a domain of this server; \"facteur domain add %s\" makes it one, and --never-sends is for one that sends no mail", domain, domain)
	}
	return h, err
}
