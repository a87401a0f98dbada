package main

import (
	"context"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/store/directory"
)

func (c *command) domainCommand() *cobra.Command {
	return group("domain", "Domains: what mail is received for", c.domainAdd(), c.domainList(), c.domainRemove(), c.domainRecords())
}

func (c *command) domainAdd() *cobra.Command {
	cmd := &cobra.Command{Use: "add DOMAIN", Short: "Receive mail for a domain", Args: takes("DOMAIN")}
	var n control.NewDomain
	cmd.Flags().StringVar(&n.Class, "class", "", "what its addresses are: mailbox (the default), local, alias or relay")
	cmd.Flags().StringVar(&n.AliasOf, "alias-of", "", "the `domain` whose addresses are meant by its own")
	cmd.Flags().StringVar(&n.CatchAll, "catch-all", "", "the `address` that gets what is for nobody else, or @DOMAIN")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n.Name = args[0]
		if err := c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return o.AddDomain(ctx, n) }); err != nil {
			return err
		}
		return c.firstKeys(cmd.Context(), n.Name)
	}
	return cmd
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
				return list(c, domains, "DOMAIN SOURCE CLASS", func(d directory.Domain) []any { return []any{d.Name, d.Source, d.Class} })
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
