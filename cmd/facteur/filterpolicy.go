package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/store/policy"
)

// matchHelp says whom a policy or a list can be for.
const matchHelp = "\".\" (everybody), \"@.example.org\" (that domain and all below it), \"@example.org\" or\nan address"

func (c *command) filterPolicyCommand() *cobra.Command {
	return group("policy", "What the filter does for domains and accounts", c.filterPolicyList(), c.filterPolicyShow(), c.filterPolicySet(), c.filterPolicyUnset())
}

func (c *command) filterPolicyList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List policies, in the order in which they are asked, and where each is declared",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				a, err := o.FilterPolicies(ctx, control.PolicyQuery{})
				if err != nil {
					return err
				}
				return list(c, a.Policies, "MATCH PRIORITY SOURCE VALUES", func(p control.FilterPolicy) []any {
					return []any{p.Match, p.Priority, p.Source, pairs(p.Values)}
				})
			})
		},
	})
}

// pairs is "junk=4.5 kill=9", in the order of the keys.
func pairs(values map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out = append(out, key+"="+values[key])
	}
	return strings.Join(out, " ")
}

func (c *command) filterPolicyShow() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "show ADDRESS",
		Short: "Show what holds for an account, and where each value comes from",
		Args:  takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				a, err := o.FilterPolicies(ctx, control.PolicyQuery{Address: args[0]})
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, a)
				}
				fmt.Fprintf(c.out, "For %s:\n", printable(a.Account))
				return list(c, a.Values, "KEY VALUE FROM", func(v control.PolicyValue) []any { return []any{v.Key, v.Value, originText(v.Origin)} })
			})
		},
	})
}

// originText says where a value comes from.
func originText(o policy.Origin) string {
	switch {
	case o.Source == policy.Builtin:
		return "default"
	case o.Match == "":
		return "[filter] of facteur.toml"
	case o.Source == policy.FromFile:
		return o.Match + " (facteur.toml)"
	}
	return o.Match + " (" + string(o.Source) + ")"
}

func (c *command) filterPolicySet() *cobra.Command {
	return &cobra.Command{
		Use:   "set MATCH KEY=VALUE...",
		Short: "Have a policy say something",
		Long: "Have a policy say something. MATCH is " + matchHelp + ". KEY is priority, " +
			strings.Join(policy.Keys(), ", ") + ".\nWhat a policy does not say comes from the next that is for the account, and in the end from\n[filter]; a value is never empty: \"none\" is nothing at all.",
		Example: "  facteur filter policy set alice@example.org junk=4 destinies.spam=quarantine\n  facteur filter policy set @example.org priority=5 subject_tag='[SPAM] '",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%s: expected MATCH and one KEY=VALUE or more after it", cmd.CommandPath())
			}
			change := control.PolicyChange{Match: args[0], Set: make(map[string]string)}
			for _, pair := range args[1:] {
				key, value, found := strings.Cut(pair, "=")
				if !found {
					return fmt.Errorf("%q: expected KEY=VALUE", pair)
				}
				if key != "priority" {
					change.Set[key] = value
					continue
				}
				n, err := strconv.Atoi(value)
				if err != nil {
					return fmt.Errorf("%q: expected a whole number", pair)
				}
				change.Priority = &n
			}
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return o.ChangeFilterPolicy(ctx, change) })
		},
	}
}

func (c *command) filterPolicyUnset() *cobra.Command {
	return &cobra.Command{
		Use:   "unset MATCH [KEY]...",
		Short: "Have a policy inherit something; without a KEY, remove it",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: expected MATCH after it", cmd.CommandPath())
			}
			change := control.PolicyChange{Match: args[0], Unset: args[1:], Remove: len(args) == 1}
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return o.ChangeFilterPolicy(ctx, change) })
		},
	}
}

// filterListCommand is "facteur filter allow" or "block".
func (c *command) filterListCommand(kind policy.Kind) *cobra.Command {
	short := "Senders that are allowed: what the filter finds does not count against them"
	if kind == policy.Block {
		short = "Senders that are blocked: what they send is spam"
	}
	return group(string(kind), short, c.filterListAdd(kind), c.filterListRemove(kind), c.filterListList(kind))
}

// whose are the flags that say whose list is meant; without any it is the server's.
type whose struct{ account, domain string }

func (w *whose) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.account, "account", "", "on the list of this account, an `address`")
	cmd.Flags().StringVar(&w.domain, "domain", "", "on the list of this `domain`; .example.org: and all below it")
}

func (w *whose) match() (string, error) {
	switch {
	case w.account != "" && w.domain != "":
		return "", fmt.Errorf("a list is of an account or of a domain; leave --account or --domain out")
	case w.account != "":
		return w.account, nil
	case w.domain != "":
		return "@" + strings.TrimPrefix(w.domain, "@"), nil
	}
	return ".", nil
}

func (c *command) filterListAdd(kind policy.Kind) *cobra.Command {
	var w whose
	var until string
	change := control.ListChange{Kind: kind}
	cmd := &cobra.Command{
		Use:   "add SENDER...",
		Short: "Put senders on a list",
		Long: "Put senders on a list. SENDER is an address, \"@example.net\", \"@.example.net\" (that domain\n" +
			"and all below it), an IP address, a network, or a sender from one, such as\n" +
			"\"@example.net[192.0.2.0/24]\". What is on it already is replaced. With --score the entry\n" +
			"decides nothing: its score is added, and speaks against the sender or, below 0, for him.",
		Example: "  facteur filter " + string(kind) + " add news@example.net --account alice@example.org --until 30d",
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&until, "until", "", "when it ends: a `time` such as 30d, 2027-01-31 or 2027-01-31T12:00:00Z")
	cmd.Flags().StringVar(&change.Note, "note", "", "a `text` for whoever reads the list")
	cmd.Flags().IntVar(&change.Priority, "priority", 0, "of several entries that name a sender, the greatest `number` decides")
	cmd.Flags().Float64Var(&change.Score, "score", 0, "add this `score`, and decide nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if len(args) == 0 {
			return fmt.Errorf("%s: expected one SENDER or more after it", cmd.CommandPath())
		}
		if change.Until, err = untilOf(until, time.Now()); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		if change.Match, err = w.match(); err != nil {
			return err
		}
		if change.Senders = args; cmd.Flags().Changed("score") {
			change.Kind = policy.Soft
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return o.ChangeFilterList(ctx, change) })
	}
	return cmd
}

func (c *command) filterListRemove(kind policy.Kind) *cobra.Command {
	var w whose
	cmd := &cobra.Command{Use: "remove SENDER...", Short: "Take senders off a list"}
	w.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		match, err := w.match()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return fmt.Errorf("%s: expected one SENDER or more after it", cmd.CommandPath())
		}
		change := control.ListChange{Match: match, Kind: kind, Senders: args, Remove: true}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error { return o.ChangeFilterList(ctx, change) })
	}
	return cmd
}

func (c *command) filterListList(kind policy.Kind) *cobra.Command {
	var w whose
	cmd := c.withJSON(&cobra.Command{Use: "list", Short: "List senders, those with a score among them, and who has them on his list", Args: cobra.NoArgs})
	w.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		match, err := w.match()
		if err != nil {
			return err
		}
		if match == "." {
			match = "" // all lists
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			entries, err := o.FilterList(ctx, control.ListQuery{Match: match})
			if err != nil {
				return err
			}
			entries = slices.DeleteFunc(entries, func(e control.ListEntry) bool { return e.Kind != kind && e.Kind != policy.Soft })
			return list(c, entries, "SENDER LIST PRIORITY UNTIL SOURCE NOTE", func(e control.ListEntry) []any {
				sender := e.Sender
				if e.Kind == policy.Soft {
					sender += fmt.Sprintf(" (score %+g)", e.Score)
				}
				until := "-"
				if !e.Until.IsZero() {
					until = e.Until.Local().Format(time.DateTime)
				}
				return []any{sender, e.Match, e.Priority, until, e.Source, e.Note}
			})
		})
	}
	return cmd
}
