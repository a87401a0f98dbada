package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
	"facteur/internal/store/directory"
)

func (c *command) aliasCommand() *cobra.Command {
	return group("alias", "Aliases: addresses that lead to others", c.aliasAdd(), c.aliasList(), c.aliasRemove())
}

func (c *command) aliasAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add ADDRESS TARGET...",
		Short: "Make an address that leads to others",
		Long: "Make an address that leads to others. It goes before an account of the same address,\n" +
			"which still gets its mail if it is among the targets. \"@example.org\" is all that is\n" +
			"for nobody else in a domain. With --owner it is a list: mail leaves with that sender,\n" +
			"who hears what could not be delivered.",
		Example: "  facteur alias add sales@example.org alice@example.org bob@example.net\n" +
			"  facteur alias add --until 30d shop-1@example.org alice@example.org",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%s: expected ADDRESS and one TARGET or more after it, found %d arguments", cmd.CommandPath(), len(args))
			}
			return nil
		},
	}
	owner := cmd.Flags().String("owner", "", "who answers for the list, an `address`")
	until := cmd.Flags().String("until", "", "when it ends: a `time` such as 30d, 2027-01-31 or 2027-01-31T12:00:00Z")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n := control.NewAlias{Address: args[0], Targets: args[1:], Owner: *owner}
		var err error
		if n.Until, err = untilOf(*until, time.Now()); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		if err := c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return o.AddAlias(ctx, n) }); err != nil {
			return err
		}
		return c.warnOfLimit(n)
	}
	return cmd
}

// warnOfLimit tells of an alias that mail will be refused for.
func (c *command) warnOfLimit(n control.NewAlias) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if limit := cfg.Addresses.ExpansionLimit; len(n.Targets) > limit {
		fmt.Fprintf(c.err, "warning: %s has %d targets, and addresses.expansion_limit is %d: mail for it is refused until the limit is raised\n", n.Address, len(n.Targets), limit)
	}
	return nil
}

// untilOf reads a moment to come: so long from now, a day (until it begins, here), or a
// time; "" is never.
func untilOf(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	var d conf.Duration
	at, err := time.ParseInLocation(time.DateOnly, s, now.Location())
	if err != nil {
		at, err = time.Parse(time.RFC3339, s)
	}
	if err != nil && d.UnmarshalText([]byte(s)) == nil {
		at, err = now.Add(d.Std()), nil
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is no time; expected one such as 30d, 2027-01-31 or 2027-01-31T12:00:00Z", s)
	case !at.After(now):
		return time.Time{}, fmt.Errorf("%s is over", s)
	}
	return at, nil
}

func (c *command) aliasList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List aliases of the database",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				aliases, err := o.Aliases(ctx)
				if err != nil {
					return err
				}
				return list(c, aliases, "ADDRESS TARGETS OWNER UNTIL", func(a directory.Alias) []any {
					return []any{a.Address, strings.Join(a.Targets, ","), orElse(a.Owner, "-"), untilText(a, time.Now())}
				})
			})
		},
	})
}

func untilText(a directory.Alias, now time.Time) string {
	switch {
	case a.Until.IsZero():
		return "-"
	case a.Over(now):
		return "over since " + a.Until.Local().Format(time.DateTime)
	}
	return a.Until.Local().Format(time.DateTime)
}

func (c *command) aliasRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "Take an alias away",
		Args:  takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				return o.RemoveAlias(ctx, control.AliasName{Address: args[0]})
			})
		},
	}
}
