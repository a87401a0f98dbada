package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/store/greylist"
)

func (c *command) greylistCommand() *cobra.Command {
	return group("greylist", "Suspicious strangers, who are asked to come again", c.greylistList(), c.greylistShow(),
		c.greylistChange("release", "Let strangers in the next time that they come"),
		c.greylistChange("forget", "Make strangers unknown: those who passed may have to wait again"),
		c.greylistAllow(), c.greylistStats())
}

func (c *command) greylistList() *cobra.Command {
	var q control.GreylistQuery
	var waiting, passed bool
	cmd := c.withJSON(&cobra.Command{Use: "list", Short: "List who waits and who has passed, the latest first", Args: cobra.NoArgs})
	cmd.Flags().BoolVar(&waiting, "waiting", false, "only those who wait")
	cmd.Flags().BoolVar(&passed, "passed", false, "only those who came back and pass")
	cmd.Flags().StringVar(&q.Account, "account", "", "only who writes to this `address`")
	cmd.MarkFlagsMutuallyExclusive("waiting", "passed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case waiting:
			q.State = string(greylist.Waiting)
		case passed:
			q.State = string(greylist.Passed)
		}
		all, err := c.greylisted(cmd.Context(), q)
		if err != nil {
			return err
		}
		return list(c, all, "KEY STATE CLIENT SENDER TO SINCE DUE TRIES LETTERS", func(e greylist.Entry) []any {
			return []any{e.ID, e.State, e.Client, "<" + e.Sender + ">", whom(e), e.Since.Local().Format(time.DateTime), due(e), e.Tries, e.Letters}
		})
	}
	return cmd
}

// whom is the first of those whom somebody writes to, or all of their domain.
func whom(e greylist.Entry) string {
	switch n := len(e.People); {
	case n == 0:
		return "@" + e.To
	case n > 1:
		return fmt.Sprintf("%s (+%d)", e.People[0], n-1)
	}
	return e.People[0]
}

// due is when somebody may pass.
func due(e greylist.Entry) string {
	if e.State == greylist.Passed {
		return "-"
	}
	return e.Due.Local().Format(time.DateTime)
}

func (c *command) greylisted(ctx context.Context, q control.GreylistQuery) (all []greylist.Entry, err error) {
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		return o.Greylist(ctx, q, func(e greylist.Entry) error {
			all = append(all, e)
			return nil
		})
	})
	return all, err
}

func (c *command) greylistShow() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{Use: "show KEY", Short: "Show all that is known of one stranger", Args: takes("KEY")})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all, err := c.greylisted(cmd.Context(), control.GreylistQuery{Key: args[0]})
		if err != nil || c.json {
			return errors.Join(err, printJSON(c, all...))
		}
		for _, e := range all {
			c.tellStranger(e)
		}
		return nil
	}
	return cmd
}

func (c *command) tellStranger(e greylist.Entry) {
	at := func(t time.Time) string { return t.Local().Format(time.DateTime) }
	fmt.Fprintf(c.out, "key:        %s\nstate:      %s\nclient:     %s, in %s\nsender:     <%s>\n", e.ID, e.State, printable(e.Client), e.Network, printable(e.Sender))
	for _, p := range e.People {
		fmt.Fprintf(c.out, "recipient:  %s\n", printable(p))
	}
	fmt.Fprintf(c.out, "score:      %.1f\nfirst came: %s\nlast came:  %s\n", e.Score, at(e.Since), at(e.Last))
	if e.State == greylist.Waiting {
		fmt.Fprintf(c.out, "may pass:   from %s on, until %s\ntries:      %d\n", at(e.Due), at(e.Expires), e.Tries)
	} else {
		fmt.Fprintf(c.out, "passes:     until %s, and longer with each letter\nletters:    %d\n", at(e.Expires), e.Letters)
	}
	for _, n := range e.Names {
		fmt.Fprintf(c.out, "known by:   %s\n", printable(string(n)))
	}
}

// greylistChange is what is done to some strangers.
func (c *command) greylistChange(do, short string) *cobra.Command {
	o := control.GreylistOrder{Do: do}
	cmd := c.withJSON(&cobra.Command{Use: do + " [KEY… | ALL]", Short: short,
		Example: "  facteur greylist " + do + " 3f09c2\n  facteur greylist " + do + " ALL\n  facteur greylist " + do + " --account alice@example.org"})
	cmd.Flags().StringVar(&o.Query.Account, "account", "", "all who write to this `address`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.All, o.Keys = o.Query.Account != "" || len(args) == 1 && args[0] == "ALL", args
		if len(args) == 0 && !o.All {
			return errors.New("expected the keys that \"facteur greylist list\" shows, ALL, or --account")
		}
		if do == "release" {
			o.Query.State = string(greylist.Waiting)
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, office control.Office) error {
			done, err := office.ChangeGreylist(ctx, o)
			if err != nil || c.json {
				return errors.Join(err, printJSON(c, done...))
			}
			for _, e := range done {
				fmt.Fprintf(c.out, "%s: %s <%s> to %s\n", e.ID, printable(e.Client), printable(e.Sender), printable(whom(e)))
			}
			return nil
		})
	}
	return cmd
}

func (c *command) greylistAllow() *cobra.Command {
	remove := false
	cmd := c.withJSON(&cobra.Command{Use: "allow [NETWORK | DOMAIN | ADDRESS]…", Short: "Let somebody in without waiting from now on, or list who is",
		Long: "Let somebody in without waiting from now on: hosts of a network, or with confirmed names\n" +
			"in a domain; senders in a domain, or of an address; recipients likewise. What is allowed\n" +
			"is not believed for that: the filter judges it as before. Without arguments, list who is\n" +
			"allowed by this command.",
		Example: "  facteur greylist allow 192.0.2.0/24 partner.example\n  facteur greylist allow --remove partner.example"})
	cmd.Flags().BoolVar(&remove, "remove", false, "take that back")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			if len(args) == 0 {
				all, err := o.GreylistAllowed(ctx)
				if err != nil {
					return err
				}
				return list(c, all, "ALLOWED SINCE", func(a greylist.Allowed) []any { return []any{a.Subject, a.Since.Local().Format(time.DateTime)} })
			}
			for _, subject := range args {
				if err := o.AllowGreylist(ctx, control.GreylistSubject{Subject: subject, Remove: remove}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}

func (c *command) greylistStats() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{Use: "stats", Short: "Tell what greylisting was good for, day by day", Args: cobra.NoArgs,
		Long: "Tell what greylisting was good for, day by day (UTC): how many strangers were asked to\n" +
			"come again (DELAYED), came before their time (EARLY), came back (BACK), with the time\n" +
			"that half and 95 in 100 of these took (HALF, MOST), brought junk all the same (JUNK), or\n" +
			"never came (GONE: what it was good for), with the size of their letters. Who came within\n" +
			"the last days may still come back. Kept for 90 days."})
	days := cmd.Flags().Int("days", 14, "how many days, the latest")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			all, err := o.GreylistDays(ctx)
			if err != nil {
				return err
			}
			all = all[max(len(all)-max(*days, 0), 0):]
			return list(c, all, "DAY DELAYED EARLY BACK HALF MOST JUNK GONE BYTES", func(d greylist.Day) []any {
				span := func(s int64) time.Duration { return time.Duration(s) * time.Second }
				return []any{d.Day, d.Delayed, d.Early, d.Back, span(d.Median), span(d.Late), d.Junk, d.Gone, d.Bytes}
			})
		})
	}
	return cmd
}
