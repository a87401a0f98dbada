package main

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/control"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
)

// road is where an address leads, to the next hop of each destination.
type road struct {
	control.AddressAnswer
	Ways []deliver.Trace `json:"ways,omitempty"`
}

func (c *command) addressCommand() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "address ADDRESS",
		Short: "Show where an address leads: each step to its mailboxes or next hops",
		Long: "Show where an address leads: what was looked up in which table and what that gave,\n" +
			"each destination, and the transport and hosts that its mail takes. An address without\n" +
			"a domain is a user of this machine.",
		Args: takes("ADDRESS"),
	})
	sender := cmd.Flags().String("sender", "", "the `address` of who writes, for lists with an owner and for transports that ask for it; <> for notices")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := c.roadOf(cmd.Context(), control.AddressQuestion{Address: args[0], Sender: *sender})
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c, r)
		}
		return r.write(c.out)
	}
	return cmd
}

func (c *command) roadOf(ctx context.Context, q control.AddressQuestion) (r road, err error) {
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		r.AddressAnswer, err = o.Address(ctx, q)
		return err
	})
	if err != nil {
		return r, err
	}
	cfg, err := c.load()
	if err != nil {
		return r, err
	}
	sender, _ := address.Parse(q.Sender)
	for _, d := range r.Destinations {
		var t deliver.Trace
		if d.Transport {
			m := transport.Mail{Sender: sender, Here: d.Here}
			if m.Recipient, err = address.Parse(d.Address); err != nil {
				return r, err
			}
			m.Domain = m.Recipient.Domain
			if t, err = app.Follow(ctx, cfg, m); err != nil {
				return r, err
			}
		}
		r.Ways = append(r.Ways, t)
	}
	return r, nil
}

// write tells the road to people.
func (r road) write(to io.Writer) error {
	out := bufio.NewWriter(to)
	fmt.Fprintf(out, "<%s>%s\n", printable(r.Address), orElse(foreign(r.Ours), ", an address of ours: anybody may write to it"))
	for _, s := range r.Steps {
		source := ""
		if s.Source != "" {
			source = " (" + s.Source + ")"
		}
		fmt.Fprintf(out, "  %s%s: %s → %s\n", s.Rule, printable(source), printable(s.From), printable(orElse(s.To, "nothing")))
	}
	if r.Reply != "" {
		fmt.Fprintf(out, "refused: %s\n", printable(r.Reply))
	}
	for i, d := range r.Destinations {
		fmt.Fprintf(out, "\nto %s\n", printable(d.Name))
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(out, "  %-12s%s\n", name+":", printable(value))
			}
		}
		line("Sent by", d.Sender)
		if d.Transport {
			showWay(line, r.Ways[i])
		}
	}
	return out.Flush()
}

func foreign(ours bool) string {
	if ours {
		return ""
	}
	return ", not an address of ours: only our own users may write to it"
}
