package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
)

func (c *command) mailboxCommand() *cobra.Command {
	return group("mailbox", "Mailboxes: what an account keeps, and where", c.mailboxList(), c.mailboxStatus(), c.mailboxUndelete(), c.mailboxExpunge(), c.mailboxExpire(), c.mailboxDovecot(),
		c.mailboxCreate(), c.mailboxDelete(), c.mailboxRename(), c.mailboxACL())
}

func (c *command) mailboxList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list ADDRESS",
		Short: "List the mailboxes of an account",
		Args:  takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachMailbox(cmd.Context(), args[0], "MAILBOX USE FLAGS", func(m control.Mailbox) []any {
				return []any{m.Name, dash(m.SpecialUse), mailboxFlags(m)}
			})
		},
	})
}

func (c *command) mailboxStatus() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "status ADDRESS",
		Short: "Tell how much is in the mailboxes of an account",
		Args:  takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachMailbox(cmd.Context(), args[0], "MAILBOX MESSAGES UNSEEN DELETED SIZE", func(m control.Mailbox) []any {
				return []any{m.Name, m.Messages, m.Unseen, m.Deleted, size(m.Size)}
			})
		},
	})
}

func (c *command) mailboxDovecot() *cobra.Command {
	return &cobra.Command{
		Use:   "dovecot ADDRESS",
		Short: "Write down for Dovecot what it does not know of an account",
		Long: "Dovecot finds letters, flags, subscriptions and, after an account was at rest, UIDs\n" +
			"in its own files. This adds keywords, of which it has room for 26 in a mailbox,\n" +
			"and the UIDs of now: for who goes back to Dovecot, after the last session.",
		Args: takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				w, err := o.WriteDovecot(ctx, control.AccountName{Address: args[0]})
				if err == nil && w.Keywords > 0 {
					fmt.Fprintf(c.err, "%d keywords found no room in Dovecot's files\n", w.Keywords)
				}
				return err
			})
		},
	}
}

// eachMailbox lists mailboxes in columns.
func (c *command) eachMailbox(ctx context.Context, address, heading string, row func(control.Mailbox) []any) error {
	return c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		boxes, err := o.Mailboxes(ctx, control.AccountName{Address: address})
		if err != nil {
			return err
		}
		return list(c, boxes, heading, row)
	})
}

func mailboxFlags(m control.Mailbox) string {
	var words []string
	if m.Subscribed {
		words = append(words, "subscribed")
	}
	if !m.Exists {
		words = append(words, "missing")
	}
	return dash(strings.Join(words, ","))
}

// dash stands in an empty cell.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
