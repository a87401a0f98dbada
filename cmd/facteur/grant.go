package main

import (
	"context"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/store/directory"
)

func (c *command) accountGrant() *cobra.Command {
	return c.permission("grant ACCOUNT ADDRESS", "Let an account send as another address, or as all of @DOMAIN",
		"  facteur account grant alice@example.org sales@example.org", control.Office.Grant)
}

func (c *command) accountRevoke() *cobra.Command {
	return c.permission("revoke ACCOUNT ADDRESS", "Take back what \"account grant\" gave", "", control.Office.Revoke)
}

func (c *command) permission(use, short, example string, do func(control.Office, context.Context, control.Permission) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: takes("ACCOUNT", "ADDRESS")}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return do(o, ctx, control.Permission{Account: args[0], Address: args[1]})
		})
	}
	return cmd
}

func (c *command) accountGrants() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "grants [ACCOUNT]",
		Short: "List who may send as whom",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var name control.AccountName
			if len(args) == 1 {
				name.Address = args[0]
			}
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				grants, err := o.Grants(ctx, name)
				if err != nil {
					return err
				}
				return list(c, grants, "ACCOUNT ADDRESS", func(g directory.Grant) []any { return []any{g.Account, g.Address} })
			})
		},
	})
}
