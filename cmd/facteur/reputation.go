package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
	"facteur/internal/flow/banlist"
	"facteur/internal/flow/filter/record"
	"facteur/internal/store/reputation"
)

func (c *command) reputationCommand() *cobra.Command {
	return group("reputation", "Who sends good mail and who does not, and who is refused for it",
		c.reputationList(), c.reputationShow(), c.reputationForgive(), c.reputationBan(), c.reputationExport(), c.reputationReport())
}

func (c *command) reputationList() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use: "list [clients|networks|domains|senders]", Short: "List what is known, the worst first", Args: cobra.MaximumNArgs(1),
		ValidArgs: []string{"clients", "networks", "domains", "senders"},
	})
	q := control.RecordQuery{Kind: "client"}
	cmd.Flags().IntVar(&q.Most, "most", 50, "how many, at most 1000")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			kind := map[string]string{"clients": "client", "networks": "network", "domains": "domain", "senders": "sender"}[args[0]]
			if kind == "" {
				return fmt.Errorf("%q: expected clients, networks, domains or senders", args[0])
			}
			q.Kind = kind
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			all, err := o.Records(ctx, q)
			if err != nil {
				return err
			}
			return list(c, all, "SUBJECT LETTERS SPAM GOOD BAD BANS BANNED-UNTIL", func(r reputation.Record) []any {
				until := "-"
				if !r.BannedUntil.IsZero() {
					until = r.BannedUntil.Local().Format(time.DateTime)
				}
				return []any{r.Subject, r.Letters, r.Spam, fmt.Sprintf("%.1f", r.Good), fmt.Sprintf("%.1f", r.Bad), r.Bans, until}
			})
		})
	}
	return cmd
}

func (c *command) reputationShow() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use: "show SUBJECT", Short: "Tell what is known of a machine, a network, a domain or a sender", Args: takes("SUBJECT"),
		Example: "  facteur reputation show 192.0.2.7\n  facteur reputation show @example.net\n  facteur reputation show bob@example.net",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				all, err := o.Records(ctx, control.RecordQuery{Subject: args[0]})
				if err != nil || c.json {
					if err == nil {
						err = printJSON(c, all...)
					}
					return err
				}
				for _, r := range all {
					fmt.Fprintln(c.out, printable(record.Sentence(r, time.Now())))
					if r.Bans > 0 {
						fmt.Fprintf(c.out, "It was banned %d times lately; the next ban lasts %s.\n", r.Bans, reputation.NextBan(r.Bans))
					}
					if !r.BannedUntil.IsZero() {
						fmt.Fprintf(c.out, "It is refused until %s (%s).\n", r.BannedUntil.Local().Format(time.DateTime), r.Why)
					}
				}
				return nil
			})
		},
	})
}

func (c *command) reputationForgive() *cobra.Command {
	return &cobra.Command{
		Use: "forgive SUBJECT", Short: "Forget all that is known of a machine, a network, a domain or a sender, bans included", Args: takes("SUBJECT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				return o.Forgive(ctx, control.SubjectName{Subject: args[0]})
			})
		},
	}
}

func (c *command) reputationBan() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ban ADDRESS", Short: "Refuse a machine, or a network up to a /24 or /48, for some time", Args: takes("ADDRESS"),
		Example: "  facteur reputation ban 192.0.2.7 --for 1d",
	}
	length := conf.Duration(24 * time.Hour)
	cmd.Flags().TextVar(&length, "for", length, "how long, as a `time` such as 1h or 7d")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.BanSubject(ctx, control.BanOrder{Subject: args[0], For: length.Std()})
		})
	}
	return cmd
}

func (c *command) reputationExport() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use: "export", Short: "Write who is banned now, for a firewall", Args: cobra.NoArgs,
		Long: "Write who is banned now: for nftables (nft), ipset, Postfix's postscreen (postscreen),\n" +
			"fail2ban, or an address or network on each line (plain). [[ban_file]] in the settings keeps\n" +
			"such a file up to date.",
		Example: "  facteur reputation export --format nft | nft -f -",
	})
	format := banlist.Plain
	cmd.Flags().TextVar(&format, "format", format, "nft, ipset, postscreen, fail2ban or plain")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			bans, err := o.Bans(ctx)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, bans...)
			}
			return banlist.Write(c.out, format, bans, time.Now())
		})
	}
	return cmd
}

func (c *command) reputationReport() *cobra.Command {
	since := conf.Duration(30 * 24 * time.Hour)
	cmd := c.withJSON(&cobra.Command{
		Use: "report", Short: "Tell how new, small and large senders fared", Args: cobra.NoArgs,
		Long: "Tell how new senders (known for less than two weeks), small ones (some ten letters a month)\n" +
			"and large ones fared. RELEASED are letters of which somebody said afterwards that they are\n" +
			"no spam: errors of this server. Small senders should not have more of them than large ones.\n" +
			"BANNED is how many of those refused came from banned machines; ON-TRIAL are letters that\n" +
			"reputation.test_only let in.",
	})
	cmd.Flags().TextVar(&since, "since", since, "from how long ago on, as a `time` of up to 90d")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			fares, err := o.Fares(ctx, control.Since{Since: time.Now().Add(-since.Std())})
			if err != nil {
				return err
			}
			return list(c, fares, "SENDERS ACCEPTED JUNK QUARANTINED GREYLISTED REFUSED BANNED ON-TRIAL RELEASED", func(f reputation.Fare) []any {
				return []any{f.Class, f.Accepted, f.Junk, f.Quarantined, f.Greylisted, f.Refused, f.Banned, f.OnTrial, f.Released}
			})
		})
	}
	return cmd
}
