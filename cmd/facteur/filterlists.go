package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/event"
	"facteur/internal/flow/filter/dnslist"
)

func (c *command) filterLists() *cobra.Command {
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "lists",
		Short: "Show the lists that are asked by DNS: whether they work, and what they were asked",
		Long: "Show the lists that are asked by DNS: whether they work, and what they were asked\nsince the server was started. Without a running server, or with --dns, the lists are\n" +
			"tested now. The exit status is 1 if one of them is not used.",
		Args: cobra.NoArgs,
	}))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		lists, err := c.knownLists(cmd.Context())
		if err != nil {
			return err
		}
		if err := list(c, lists, "NAME ZONE KIND STATE ASKED CACHED HITS FAILED TODAY TESTED WHY", listRow); err != nil {
			return err
		}
		for _, l := range lists {
			if l.State != dnslist.Working {
				return &toolError{1}
			}
		}
		return nil
	}
	return cmd
}

func listRow(s dnslist.Status) []any {
	state, why := string(s.State), s.Reason
	if s.TestOnly {
		state += " (test only)"
	}
	if why == "" && s.LastError != "" {
		why = "at " + s.FailedAt.Format(time.DateTime) + ": " + s.LastError
	}
	tested := "never"
	if !s.Tested.IsZero() {
		tested = s.Tested.Local().Format(time.DateTime)
	}
	return []any{s.Name, s.Zone, s.Kind, state, s.Asked, s.Cached, s.Hits, s.Failed, s.Today, tested, why}
}

// knownLists is what the server knows, or what a test now shows.
func (c *command) knownLists(ctx context.Context) (lists []dnslist.Status, err error) {
	known := control.DNSLists{Closed: true}
	if c.dns == "" {
		err = c.withOffice(ctx, func(ctx context.Context, o control.Office) (err error) {
			known, err = o.DNSLists(ctx)
			return err
		})
	}
	if err != nil || !known.Closed {
		return known.Lists, err
	}
	cfg, err := c.settingsOrDefaults()
	if err != nil {
		return nil, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return nil, err
	}
	asked, err := cfg.AskedLists()
	if err != nil {
		return nil, err
	}
	now := dnslist.New(resolver, event.Discard)
	now.Configure(dnslist.Rules{Lists: asked})
	now.Test(ctx)
	return now.Status(), nil
}
