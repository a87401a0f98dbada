package main

import (
	"context"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
)

func (c *command) mailboxCreate() *cobra.Command {
	cmd := &cobra.Command{Use: "create ADDRESS MAILBOX", Short: `Make a mailbox, "/" between the levels of its name`,
		Args: takes("ADDRESS", "MAILBOX")}
	use := cmd.Flags().String("special-use", "", `what mail programs use it for: \Sent, \Drafts, \Junk, \Trash, \Archive or \Important`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.CreateMailbox(ctx, control.MailboxName{Address: args[0], Mailbox: args[1], SpecialUse: *use})
		})
	}
	return cmd
}

func (c *command) mailboxDelete() *cobra.Command {
	return &cobra.Command{Use: "delete ADDRESS MAILBOX", Short: "Remove a mailbox and all letters in it",
		Args: takes("ADDRESS", "MAILBOX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				return o.DeleteMailbox(ctx, control.MailboxName{Address: args[0], Mailbox: args[1]})
			})
		}}
}

func (c *command) mailboxRename() *cobra.Command {
	return &cobra.Command{Use: "rename ADDRESS MAILBOX NAME", Short: "Give a mailbox, and those below it, another name",
		Args: takes("ADDRESS", "MAILBOX", "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				return o.RenameMailbox(ctx, control.MailboxRename{Address: args[0], Mailbox: args[1], To: args[2]})
			})
		}}
}

// mailboxACL tells who may do what with a mailbox, or changes it.
func (c *command) mailboxACL() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "acl ADDRESS MAILBOX [WHO RIGHTS]",
		Short: "List or set who may do what with a mailbox",
		Long: `List who may do what with a mailbox, or set it for one: WHO is an address, "anyone" or
"authenticated", with "-" in front who may not. RIGHTS are letters of RFC 4314, such as
"lr" to look and read, "lrswite" to work in it; "" takes the entry away. The owner may
do everything.`,
		Example: "  facteur mailbox acl bob@example.org Work alice@example.org lrs",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return takes("ADDRESS", "MAILBOX", "WHO", "RIGHTS")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				if len(args) == 4 {
					return o.SetMailboxRights(ctx, control.MailboxRights{Address: args[0], Mailbox: args[1], Who: args[2], Rights: args[3]})
				}
				rights, err := o.MailboxRights(ctx, control.MailboxName{Address: args[0], Mailbox: args[1]})
				if err != nil {
					return err
				}
				return list(c, rights, "WHO RIGHTS", func(r control.MailboxRights) []any { return []any{r.Who, dash(r.Rights)} })
			})
		},
	})
}
