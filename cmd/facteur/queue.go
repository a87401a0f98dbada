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
	"facteur/internal/mail/refusal"
)

func (c *command) queueCommand() *cobra.Command {
	g := group("queue", "The queue: mail on its way", c.queueList(), c.queueCount(), c.queueShow(), c.queueShape(), c.queueCheck(), c.queueRoute())
	for _, v := range verbs {
		g.AddCommand(c.changeCommand(v))
	}
	return g
}

func (c *command) queueList() *cobra.Command {
	var p picks
	cmd := c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List what is in the queue, as mailq does",
		Args:  cobra.NoArgs,
	})
	p.flags(cmd)
	verbose := cmd.Flags().BoolP("verbose", "v", false, "attempts, the next one, and what the reasons mean")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			switch {
			case c.json:
				return c.listJSON(ctx, o, p.selection())
			case *verbose:
				return c.listVerbose(ctx, o, p.selection())
			}
			return mailq(ctx, o, p.selection(), c.out)
		})
	}
	return cmd
}

// explained is an entry with what its reasons mean.
type explained struct {
	control.Entry
	Readings []reading `json:"readings,omitempty"`
}

// reading is what the reason of some recipient means.
type reading struct {
	Recipient string        `json:"recipient"`
	ID        string        `json:"id"`
	Who       string        `json:"who,omitempty"`
	Fault     refusal.Fault `json:"fault"`
	Cause     string        `json:"cause"`
	Cure      string        `json:"cure"`
	Link      string        `json:"link,omitempty"`
}

func explainEntry(e control.Entry) explained {
	x := explained{Entry: e}
	for _, r := range e.Recipients {
		if m, ok := refusal.ReadReason(r.Reason); ok {
			x.Readings = append(x.Readings, reading{r.Address, m.ID, m.Who, m.Fault, m.Cause.En, m.Cure.En, m.Link})
		}
	}
	return x
}

func (c *command) listJSON(ctx context.Context, o control.Office, s control.Selection) error {
	out := bufio.NewWriter(c.out)
	to := &command{out: out}
	err := o.Queue(ctx, s, func(e control.Entry) error { return printJSON(to, explainEntry(e)) })
	return errors.Join(err, out.Flush())
}

func (c *command) listVerbose(ctx context.Context, o control.Office, s control.Selection) error {
	out := bufio.NewWriter(c.out)
	items := 0
	err := o.Queue(ctx, s, func(e control.Entry) error {
		if items++; items > 1 {
			fmt.Fprintln(out)
		}
		return showEntry(out, e)
	})
	if err == nil && items == 0 {
		fmt.Fprintln(out, "Mail queue is empty")
	}
	return errors.Join(err, out.Flush())
}

func (c *command) queueCount() *cobra.Command {
	var p picks
	cmd := c.withJSON(&cobra.Command{Use: "count", Short: "Count what is in the queue", Args: cobra.NoArgs})
	p.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			n, err := o.CountQueue(ctx, p.selection())
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, n)
			}
			_, err = fmt.Fprintln(c.out, amount(n))
			return err
		})
	}
	return cmd
}

func (c *command) queueShow() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{Use: "show ID", Short: "Show the envelope of an item, or its message", Args: takes("ID")})
	message := cmd.Flags().Bool("message", false, "the message itself, byte for byte")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			ids, err := completeIDs(ctx, o, []string{args[0]}, c.note("facteur"))
			if err != nil {
				return err
			}
			id := control.ItemID{ID: ids[0]}
			if *message {
				return c.copyMessage(ctx, o, id)
			}
			e, err := o.Entry(ctx, id)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, explainEntry(e))
			}
			out := bufio.NewWriter(c.out)
			return errors.Join(showEntry(out, e), out.Flush())
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

// showEntry prints all that is known of an item.
func showEntry(out io.Writer, e control.Entry) error {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-10s %s\n", name+":", printable(value))
		}
	}
	line("ID", e.ID)
	line("Queue", e.Shelf)
	line("Arrived", e.Arrived.Local().Format(time.RFC1123Z))
	line("Size", fmt.Sprint(e.Size))
	line("Sender", "<"+e.Sender+">")
	line("Account", e.Account)
	line("Client", e.Client)
	for _, r := range e.Recipients {
		fmt.Fprintln(out)
		line("Recipient", "<"+r.Address+">")
		line("Original", r.Original)
		line("Sent by", r.Sender)
		line("Into", r.Folder)
		line("State", r.State)
		line("Route", r.Route)
		line("Attempts", fmt.Sprint(r.Attempts))
		if r.State == "queued" {
			line("Next", next(e, r))
		}
		line("Reason", r.Reason)
		showReading(line, r.Reason)
	}
	_, err := io.WriteString(out, "")
	return err
}

// next is when a recipient is tried.
func next(e control.Entry, r control.ToDelivery) string {
	at := r.Due.Local().Format(time.RFC1123Z)
	switch {
	case e.Active:
		return "now"
	case e.Expired:
		return at + ", the last time: it has been given up"
	}
	return at
}

// showReading tells what a reason means, if that is known.
func showReading(line func(name, value string), reason string) {
	m, ok := refusal.ReadReason(reason)
	if !ok {
		return
	}
	line("Cause", m.Cause.En)
	line("Fault", faults[m.Fault])
	line("Cure", m.Cure.En)
	line("See", m.Link)
}

// faults say whose fault a refusal is.
var faults = map[refusal.Fault]string{
	refusal.OurAddress: "ours: the address that this server sends from, or its reputation",
	refusal.OurSetup:   "ours: how this server, its DNS or its domains are set up",
	refusal.OurPace:    "ours: too much at a time",
	refusal.Message:    "the sender's: what is in the message",
	refusal.Recipient:  "the recipient's: the address, or the mailbox",
	refusal.Theirs:     "the other side's",
}

func (c *command) queueShape() *cobra.Command {
	t := newTable()
	cmd := c.withJSON(&cobra.Command{
		Use:   "shape [QUEUE]...",
		Short: "Show the queue by domain and age, as qshape does",
		Long: "Show the queue by domain and age. QUEUE is incoming, active, deferred or hold; all\n" +
			"without one. A column counts the recipients of messages that are younger than its\n" +
			"minutes, and older than those of the column before.",
	})
	cmd.Flags().BoolVarP(&t.senders, "senders", "s", false, "messages by their sender's domain, not recipients by theirs")
	cmd.Flags().BoolVarP(&t.parents, "parents", "p", false, "parent domains, too")
	cmd.Flags().BoolVarP(&t.linear, "linear", "l", false, "columns of equal length")
	cmd.Flags().IntVarP(&t.columns, "columns", "b", t.columns, "so many columns")
	cmd.Flags().IntVarP(&t.minutes, "minutes", "t", t.minutes, "of the first column")
	cmd.Flags().IntVarP(&t.width, "width", "w", t.width, "of the table")
	cmd.RunE = func(cmd *cobra.Command, shelves []string) error {
		if t.columns < 1 || t.columns > 40 || t.minutes < 1 {
			return errors.New("expected 1 to 40 columns, of at least a minute")
		}
		t.shelves = shelves
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return c.showShape(ctx, o, t) })
	}
	return cmd
}

func (c *command) queueCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read every message of the queue, and tell which can't be read",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				if err := c.checkQueue(ctx, o, c.note("facteur")); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.out, "All messages of the queue are whole.")
				return err
			})
		},
	}
}

// checkQueue notes what is damaged.
func (c *command) checkQueue(ctx context.Context, o control.Office, note func(string)) error {
	damaged := 0
	err := o.CheckQueue(ctx, func(d control.Damage) error {
		damaged++
		note(d.ID + ": " + d.Text)
		return nil
	})
	if err == nil && damaged > 0 {
		err = fmt.Errorf("%d message%s can't be read", damaged, plural(int64(damaged)))
	}
	return err
}
