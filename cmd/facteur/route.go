package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/control"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
)

func (c *command) queueRoute() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "route ADDRESS",
		Short: "Show the way that mail for an address takes, and why",
		Args:  takes("ADDRESS"),
	})
	from := cmd.Flags().String("from", "", "the sender, for entries that ask for it; <> for notices")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var m transport.Mail
		var err error
		if m.Recipient, err = address.Parse(args[0]); err != nil {
			return fmt.Errorf("%q is no address: %w", args[0], err)
		}
		if *from != "" && *from != "<>" {
			if m.Sender, err = address.Parse(*from); err != nil {
				return fmt.Errorf("%q is no address: %w", *from, err)
			}
		}
		return c.route(cmd.Context(), m)
	}
	return cmd
}

func (c *command) route(ctx context.Context, m transport.Mail) error {
	m.Domain = m.Recipient.Domain
	err := c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		domains, err := o.Domains(ctx)
		for _, d := range domains {
			m.Here = m.Here || d.Name == m.Domain
		}
		return err
	})
	if err != nil {
		return err
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	t, err := app.Follow(ctx, cfg, m)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, t)
	}
	return c.showRoute(m, t)
}

// showRoute prints a way, step by step.
func (c *command) showRoute(m transport.Mail, t deliver.Trace) error {
	out := bufio.NewWriter(c.out)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-12s%s\n", name+":", printable(value))
		}
	}
	line("Recipient", "<"+m.Recipient.String()+">"+ours(m.Here))
	if len(t.Others) > 0 {
		line("Shares", shares(t))
	}
	showWay(line, t)
	for _, other := range t.Others {
		fmt.Fprintln(out)
		showWay(line, other)
	}
	return out.Flush()
}

// shares are the ways of mail that is divided among them.
func shares(t deliver.Trace) string {
	parts := []string{fmt.Sprintf("%d %% %s", t.Share, t.Transport)}
	for _, other := range t.Others {
		parts = append(parts, fmt.Sprintf("%d %% %s", other.Share, other.Transport))
	}
	return strings.Join(parts, ", ")
}

// showWay prints one of the ways.
func showWay(line func(name, value string), t deliver.Trace) {
	line("Because of", orElse(t.Why, usualWay(t)))
	line("Transport", t.Transport+" ("+t.Kind+")")
	line("In the log", t.LogName)
	line("Says", t.Text)
	line("Next hop", t.NextHop)
	for _, h := range t.Hosts {
		line("Host", routeHost(h))
	}
	for _, s := range t.TLS {
		line("TLS", s)
	}
	line("Operator", t.Operator)
	line("Pace", t.Pace)
	line("Source", t.Source)
	line("But now", t.Trouble)
}

// usualWay is what decides where no entry does.
func usualWay(t deliver.Trace) string {
	if len(t.Hosts) > 0 && t.Hosts[0].Preference < 0 {
		return "no entry: the usual way, to the smarthost"
	}
	return "no entry: the usual way"
}

func ours(here bool) string {
	if here {
		return ", a domain of ours"
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// routeHost is a host in one line.
func routeHost(h deliver.TraceHost) string {
	parts := []string{h.Name}
	if len(h.Addresses) > 0 {
		parts[0] += " [" + strings.Join(h.Addresses, ", ") + "]"
	}
	switch {
	case h.Preference >= 0:
		parts = append(parts, fmt.Sprintf("MX %d", h.Preference))
	case h.Weight > 0:
		parts = append(parts, fmt.Sprintf("relay, weight %d (%.3g %% of the mail)", h.Weight, h.Share))
	default:
		parts = append(parts, "relay")
	}
	if h.User != "" {
		parts = append(parts, "log-in as "+h.User)
	}
	if h.TLS != "" {
		parts = append(parts, "TLS "+h.TLS)
	}
	if h.Trouble != "" {
		parts = append(parts, "but: "+h.Trouble)
	}
	return strings.Join(parts, "; ")
}
