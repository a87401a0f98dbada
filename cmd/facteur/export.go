package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/app/moving"
)

func (c *command) exportCommand() *cobra.Command {
	return group("export", "Write mail for other programs", c.exportMaildir(), c.exportMbox())
}

func (c *command) exportMaildir() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use:   "maildir ADDRESS DIR",
		Short: "Write mailboxes into a new Maildir, with Dovecot's files",
		Long: "Dates, flags, UIDs, subscriptions, and up to 26 keywords of a mailbox stand where\n" +
			"Dovecot, mutt and mbsync find them.",
		Args: takes("ADDRESS", "DIR"),
	}
	cmd.Flags().StringVar(&only, "mailbox", "", "only the mailbox `NAME`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.export(cmd.Context(), args[0], only, c.out, func(ctx context.Context, o control.Office, e *moving.Export) error {
			return e.Maildir(ctx, o, args[1])
		})
	}
	return cmd
}

func (c *command) exportMbox() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use:   "mbox ADDRESS FILE | - | DIR/",
		Short: "Write a mailbox in the form mboxrd, or all of them below a new directory",
		Long: "Without --mailbox, INBOX goes to a file, or with a \"/\" at the end of the name all\n" +
			"mailboxes into a new directory. Status, X-Status, X-Keywords, X-UID and X-IMAPbase tell\n" +
			"flags and UIDs.",
		Args: takes("ADDRESS", "FILE"),
	}
	cmd.Flags().StringVar(&only, "mailbox", "", "the mailbox `NAME`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		address, to := args[0], args[1]
		if dir, ok := strings.CutSuffix(to, "/"); ok {
			return c.export(cmd.Context(), address, only, c.out, func(ctx context.Context, o control.Office, e *moving.Export) error {
				return e.MboxTree(ctx, o, dir)
			})
		}
		if only == "" {
			only = "INBOX"
		}
		if to == "-" {
			return c.export(cmd.Context(), address, only, c.err, func(ctx context.Context, o control.Office, e *moving.Export) error {
				return e.Mbox(ctx, o, c.out)
			})
		}
		return c.export(cmd.Context(), address, only, c.out, func(ctx context.Context, o control.Office, e *moving.Export) error {
			return intoFile(to, func(w io.Writer) error { return e.Mbox(ctx, o, w) })
		})
	}
	return cmd
}

// intoFile fills a new file, or leaves none.
func intoFile(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

func (c *command) export(ctx context.Context, address, only string, told io.Writer, fn func(context.Context, control.Office, *moving.Export) error) error {
	ctx, stop := ended(ctx)
	defer stop()
	e := &moving.Export{Address: address, Only: only, Show: moving.NewProgress(c.err, isTerminal(c.err))}
	err := c.withOffice(ctx, func(ctx context.Context, o control.Office) error { return fn(ctx, o, e) })
	if err == nil {
		fmt.Fprintln(told, e.Show.End())
	}
	return err
}
