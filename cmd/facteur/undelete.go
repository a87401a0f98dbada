package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
)

func (c *command) mailboxUndelete() *cobra.Command {
	var u control.Undelete
	var since string
	cmd := c.withJSON(&cobra.Command{
		Use:     "undelete ADDRESS",
		Short:   "Bring expunged messages back to where they were",
		Example: "  facteur mailbox undelete alice@example.org --mailbox Work --since 2d",
		Args:    takes("ADDRESS"),
	})
	cmd.Flags().StringVar(&u.Mailbox, "mailbox", "", "only what was in the mailbox `NAME`")
	cmd.Flags().StringVar(&since, "since", "", "only what was expunged at most so long ago, such as 2d")
	cmd.Flags().StringVar(&u.Subject, "subject", "", "only messages with this `text` in their subject")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if since != "" {
			var d conf.Duration
			if err := d.UnmarshalText([]byte(since)); err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			u.Since = d.Std()
		}
		u.Address = args[0]
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			moved, err := o.Undelete(ctx, u)
			return c.tellMoved(moved, err)
		})
	}
	return cmd
}

func (c *command) mailboxExpunge() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "expunge ADDRESS MAILBOX",
		Short: "Expunge what is marked as deleted in a mailbox, or what is old",
		Long: "Without --before, messages that are marked as deleted go; with it, all that came into\n" +
			"the mailbox so long ago or longer. They can be undeleted, but those of the mailbox of\n" +
			"expunged messages itself, which are gone.",
		Example: "  facteur mailbox expunge alice@example.org Junk --before 30d",
		Args:    takes("ADDRESS", "MAILBOX"),
	})
	before := cmd.Flags().String("before", "", "what came into the mailbox so long ago, or longer, such as 30d; 0s: everything")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e := control.Expunge{Address: args[0], Mailbox: args[1]}
		if *before != "" {
			var d conf.Duration
			if err := d.UnmarshalText([]byte(*before)); err != nil {
				return fmt.Errorf("--before: %w", err)
			}
			age := d.Std()
			e.Before = &age
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			moved, err := o.Expunge(ctx, e)
			return c.tellMoved(moved, err)
		})
	}
	return cmd
}

func (c *command) mailboxExpire() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "expire ADDRESS",
		Short: "Remove what is too old, as the server does by itself",
		Args:  takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				moved, err := o.Expire(ctx, control.AccountName{Address: args[0]})
				return c.tellMoved(moved, err)
			})
		},
	})
}

func (c *command) tellMoved(moved []control.Moved, err error) error {
	if err != nil {
		return err
	}
	return list(c, moved, "MAILBOX MESSAGES", func(m control.Moved) []any { return []any{m.Mailbox, m.Letters} })
}

func (c *command) accountQuota() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:     "quota ADDRESS [SIZE | unlimited | default]",
		Short:   "Tell or set how much an account may hold",
		Example: "  facteur account quota alice@example.org 2G --messages 100000",
		Args:    cobra.RangeArgs(1, 2),
	})
	messages := cmd.Flags().String("messages", "", "the most messages: a `number`, \"unlimited\" or \"default\"")
	keep := cmd.Flags().String("keep-expunged", "", "how long expunged messages are kept, such as 30d; 0s: not at all; or \"default\"")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n := control.NewAllowance{Address: args[0]}
		var err error
		if len(args) == 2 {
			if n.Quota, err = limit(args[1], func(s string) (int64, error) {
				var size conf.Size
				err := size.UnmarshalText([]byte(s))
				return int64(size), err
			}); err != nil {
				return err
			}
		}
		if *messages != "" {
			if n.Messages, err = limit(*messages, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 48) }); err != nil {
				return fmt.Errorf("--messages: %w", err)
			}
		}
		if *keep != "" {
			if n.Keep, err = keepTime(*keep); err != nil {
				return fmt.Errorf("--keep-expunged: %w", err)
			}
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			if n.Quota != nil || n.Messages != nil || n.Keep != nil {
				if err := o.SetAllowance(ctx, n); err != nil {
					return err
				}
			}
			u, err := o.Usage(ctx, control.AccountName{Address: args[0]})
			if err != nil {
				return err
			}
			return list(c, []control.AccountUsage{u}, "ADDRESS USED QUOTA MESSAGES LIMIT KEEPS", func(u control.AccountUsage) []any {
				return []any{u.Address, size(u.Bytes), orUnlimited(u.MaxBytes, size), u.Messages,
					orUnlimited(u.MaxMessages, func(n int64) string { return fmt.Sprint(n) }), age(u.Keep)}
			})
		})
	}
	return cmd
}

// age is a time as people write it in the settings.
func age(d conf.Duration) string {
	text, _ := d.MarshalText() // never fails
	return string(text)
}

// keepTime reads a time; "default" is less than none.
func keepTime(text string) (*time.Duration, error) {
	if text == "default" {
		none := time.Duration(-1)
		return &none, nil
	}
	var d conf.Duration
	err := d.UnmarshalText([]byte(text))
	keep := d.Std()
	return &keep, err
}

// limit reads a limit: "unlimited" is -1, "default" 0.
func limit(text string, parse func(string) (int64, error)) (*int64, error) {
	var n int64
	switch text {
	case "unlimited":
		n = -1
	case "default":
	default:
		var err error
		if n, err = parse(text); err != nil {
			return nil, err
		}
		if n <= 0 {
			return nil, fmt.Errorf("%q is no limit; \"unlimited\" takes it away, \"default\" takes what the settings say", text)
		}
	}
	return &n, nil
}

func orUnlimited(n int64, show func(int64) string) string {
	if n == 0 {
		return "unlimited"
	}
	return show(n)
}
