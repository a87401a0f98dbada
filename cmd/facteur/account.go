package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
	"facteur/internal/store/directory"
)

func (c *command) accountCommand() *cobra.Command {
	return group("account", "Accounts: who has a mailbox here",
		c.accountAdd(), c.accountList(), c.accountGrant(), c.accountGrants(), c.accountRevoke(), c.accountPasswd(), c.accountAppPassword(), c.accountDisable(), c.accountEnable(), c.accountAudit(), c.accountQuota(), c.accountRemove())
}

func (c *command) accountAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add ADDRESS",
		Short:   "Make an account",
		Example: "  echo secret | facteur account add alice@example.org --password-stdin",
		Args:    takes("ADDRESS"),
	}
	stdin, hashed := passwordFlag(cmd), hashFlag(cmd)
	quota := cmd.Flags().String("quota", "", "most bytes of its mail, such as 5G (default: mailbox.default_quota)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var limit conf.Size
		if *quota != "" {
			if err := limit.UnmarshalText([]byte(*quota)); err != nil {
				return fmt.Errorf("--quota: %w", err)
			}
		}
		password, err := c.password(*stdin)
		if err != nil {
			return err
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.AddAccount(ctx, control.NewAccount{Address: args[0], Password: password, Hashed: *hashed, Quota: int64(limit)})
		})
	}
	return cmd
}

func (c *command) accountList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List accounts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				accounts, err := o.Accounts(ctx)
				if err != nil {
					return err
				}
				return list(c, accounts, "ADDRESS QUOTA STATE HOME", func(a directory.Account) []any {
					return []any{a.Address, size(a.Quota), state(a), a.Home}
				})
			})
		},
	})
}

func state(a directory.Account) string {
	state := "active"
	if a.Disabled {
		state = "disabled"
	}
	if a.Refuses {
		state = "closed"
	}
	if a.Source != "" {
		state += " in " + a.Source
	}
	return state
}

func (c *command) accountPasswd() *cobra.Command {
	cmd := &cobra.Command{Use: "passwd ADDRESS", Aliases: []string{"password"}, Short: "Change a password", Args: takes("ADDRESS")}
	stdin, hashed := passwordFlag(cmd), hashFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := c.password(*stdin)
		if err != nil {
			return err
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.SetPassword(ctx, control.NewPassword{Address: args[0], Password: password, Hashed: *hashed})
		})
	}
	return cmd
}

func (c *command) accountRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "remove ADDRESS", Short: "Remove an account; its mail stays on the disk", Args: takes("ADDRESS")}
	mail := cmd.Flags().Bool("delete-mail", false, "delete its mail too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.RemoveAccount(ctx, control.Removal{Address: args[0], Mail: *mail})
		})
	}
	return cmd
}
