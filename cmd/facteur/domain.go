package main

import (
	"context"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/store/directory"
)

func (c *command) domainCommand() *cobra.Command {
	return group("domain", "Domains: what mail is received for", c.domainAdd(), c.domainList(), c.domainRemove())
}

func (c *command) domainAdd() *cobra.Command {
	return &cobra.Command{
		Use:   "add DOMAIN",
		Short: "Receive mail for a domain",
		Args:  takes("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				return o.AddDomain(ctx, control.DomainName{Name: args[0]})
			})
		},
	}
}

func (c *command) domainList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List domains and where each is declared",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				domains, err := o.Domains(ctx)
				if err != nil {
					return err
				}
				return list(c, domains, "DOMAIN SOURCE", func(d directory.Domain) []any { return []any{d.Name, d.Source} })
			})
		},
	})
}

func (c *command) domainRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove DOMAIN",
		Short: "Stop receiving mail for a domain that has no accounts left",
		Args:  takes("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				return o.RemoveDomain(ctx, control.DomainName{Name: args[0]})
			})
		},
	}
}
