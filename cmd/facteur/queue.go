package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
)

func (c *command) queueCommand() *cobra.Command {
	return group("queue", "The queue: mail on its way", c.queueList(), c.queueShow(), c.queueRelease(), c.queueRetry())
}

func (c *command) queueList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List what is in the queue, as mailq does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), c.listQueue)
		},
	})
}

func (c *command) listQueue(ctx context.Context, o control.Office) error {
	if c.json {
		return o.Queue(ctx, func(e control.Entry) error { return printJSON(c, e) })
	}
	return mailq(ctx, o, c.out)
}

// The columns of mailq for long queue IDs, which scripts cut by position or by
// white space.
const (
	mailqHead      = "----Queue ID----- --Size-- ---Arrival Time---- -Sender/Recipient------"
	mailqEntry     = "%-17s %8d %19s %s\n"
	mailqRecipient = "%47s%s\n"
	mailqReason    = "%78s\n"
	mailqTime      = "Mon Jan _2 15:04:05"
)

func mailq(ctx context.Context, o control.Office, w io.Writer) error {
	out := bufio.NewWriter(w)
	var items, bytes int64
	err := o.Queue(ctx, func(e control.Entry) error {
		if items == 0 {
			fmt.Fprintln(out, mailqHead)
		}
		items, bytes = items+1, bytes+e.Size
		mailqItem(out, e)
		return nil
	})
	if items == 0 {
		fmt.Fprintln(out, "Mail queue is empty")
	} else {
		fmt.Fprintf(out, "-- %d Kbytes in %d Request%s.\n", (bytes+1023)/1024, items, plural(items))
	}
	return errors.Join(err, out.Flush())
}

// mailqItem prints an item: its line, then its recipients under what each group of
// them was told last.
func mailqItem(w io.Writer, e control.Entry) {
	sender := e.Sender
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	fmt.Fprintf(w, mailqEntry, e.ID+mark(e), e.Size, e.Arrived.Local().Format(mailqTime), printable(sender))
	told := ""
	for _, r := range e.Recipients {
		if r.Reason != "" && r.Reason != told {
			fmt.Fprintf(w, mailqReason, "("+printable(r.Reason)+")")
		}
		told = r.Reason
		fmt.Fprintf(w, mailqRecipient, "", printable(r.Address))
	}
	fmt.Fprintln(w)
}

// mark is "*" while an attempt is under way, "!" when all of it is held.
func mark(e control.Entry) string {
	if e.Active {
		return "*"
	}
	for _, r := range e.Recipients {
		if r.State != "held" {
			return ""
		}
	}
	return "!"
}

func plural(n int64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func (c *command) queueShow() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{Use: "show ID", Short: "Show the envelope of an item, or its message", Args: takes("ID")})
	message := cmd.Flags().Bool("message", false, "the message itself, byte for byte")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id := control.ItemID{ID: args[0]}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			if *message {
				return c.copyMessage(ctx, o, id)
			}
			e, err := o.Entry(ctx, id)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, e)
			}
			return c.showEntry(e)
		})
	}
	return cmd
}

func (c *command) copyMessage(ctx context.Context, o control.Office, id control.ItemID) error {
	body, err := o.Message(ctx, id)
	if err != nil {
		return err
	}
	_, err = io.Copy(c.out, body)
	return errors.Join(err, body.Close())
}

func (c *command) showEntry(e control.Entry) error {
	out := bufio.NewWriter(c.out)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-10s %s\n", name+":", printable(value))
		}
	}
	line("ID", e.ID)
	line("Arrived", e.Arrived.Local().Format(time.RFC1123Z))
	line("Size", fmt.Sprint(e.Size))
	line("Sender", "<"+e.Sender+">")
	line("Account", e.Account)
	line("Client", e.Client)
	for _, r := range e.Recipients {
		fmt.Fprintln(out)
		line("Recipient", "<"+r.Address+">")
		line("Original", r.Original)
		line("State", r.State)
		line("Attempts", fmt.Sprint(r.Attempts))
		line("Next", r.Due.Local().Format(time.RFC1123Z))
		line("Reason", r.Reason)
	}
	return out.Flush()
}
