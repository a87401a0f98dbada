package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/control"
	"facteur/internal/flow/deliver"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/address"
	"facteur/internal/store/tlsreport"
)

func (c *command) tlsCommand() *cobra.Command {
	return group("tls", "TLS on the way to other mail servers", c.tlsPolicy(), c.tlsReport())
}

func (c *command) tlsPolicy() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "policy DOMAIN",
		Short: "Show what TLS mail for a domain must have, host by host, and why",
		Args:  takes("DOMAIN"),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		domain, err := address.CanonicalDomain(args[0])
		if err != nil {
			return fmt.Errorf("%q is no domain: %w", args[0], err)
		}
		cfg, err := c.load()
		if err != nil {
			return err
		}
		to := address.Address{Local: "postmaster", Domain: domain}
		t, err := app.Follow(cmd.Context(), cfg, transport.Mail{Recipient: to, Domain: domain, ID: time.Now().UnixMicro()})
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c, t)
		}
		return c.showTLSPolicy(domain, t)
	}
	return cmd
}

func (c *command) showTLSPolicy(domain string, t deliver.Trace) error {
	out := bufio.NewWriter(c.out)
	line := func(name, value string) { fmt.Fprintf(out, "%-12s%s\n", name+":", printable(value)) }
	line("Domain", domain)
	if t.NextHop != "" && t.NextHop != domain {
		line("Next hop", t.NextHop)
	}
	for _, s := range t.TLS {
		line("TLS", s)
	}
	for _, h := range t.Hosts {
		needs := h.TLS
		if h.Trouble != "" {
			needs = "gets no mail now: " + h.Trouble
		}
		line("Host", h.Name+": "+needs)
	}
	if t.Trouble != "" {
		line("But now", t.Trouble)
	}
	if len(t.Hosts) == 0 && t.Trouble == "" {
		line("But", "the transport "+t.Transport+" ("+t.Kind+") connects to no mail host")
	}
	return out.Flush()
}

func (c *command) tlsReport() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "report [DAY]",
		Short: "Show how connections came to their TLS on a day (UTC, 2026-11-22, today without one), as RFC 8460 counts it",
		Args:  cobra.MaximumNArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		day := time.Now().UTC()
		if len(args) > 0 {
			var err error
			if day, err = time.Parse(time.DateOnly, args[0]); err != nil {
				return fmt.Errorf("%q is no day; expected one such as %s", args[0], time.Now().UTC().Format(time.DateOnly))
			}
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			report, err := o.TLSReport(ctx, control.Day{Day: day})
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, report)
			}
			return showTLSReport(c.out, day, report)
		})
	}
	return cmd
}

func showTLSReport(to io.Writer, day time.Time, report []tlsreport.Policy) error {
	if len(report) == 0 {
		_, err := fmt.Fprintf(to, "No connection to another mail server is counted on %s.\n", day.Format(time.DateOnly))
		return err
	}
	out := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "DOMAIN\tPOLICY\tGOOD\tFAILED\tHOW")
	for _, p := range report {
		fmt.Fprintf(out, "%s\t%s\t%d\t%d\t\n", printable(p.Domain), p.Type, p.Success, p.Failure)
		for _, f := range p.Details {
			fmt.Fprintf(out, "\t\t\t%d\t%s\n", f.Sessions, printable(how(f)))
		}
	}
	return out.Flush()
}

// how is a failure in one line.
func how(f tlsreport.Failure) string {
	text := string(f.Result)
	if f.Host != "" {
		text += " at " + f.Host
	}
	if f.Receiver != "" {
		text += "[" + f.Receiver + "]"
	}
	return strings.TrimSuffix(text+": "+f.Reason, ": ")
}
