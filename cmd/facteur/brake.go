package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/flow/brake"
)

func (c *command) brakeCommand() *cobra.Command {
	return group("brake", "Accounts whose outgoing mail is held, as somebody else may use them",
		c.brakeList(), c.brakeShow(), c.brakeRelease(), c.brakeDelete(), c.brakeForgive(), c.brakeSet(), c.brakeUnset())
}

func (c *command) brakeList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "list",
		Short: "List accounts that are braked, of which mail is held, or that have limits of their own",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				all, err := o.Brake(ctx, "")
				if err != nil {
					return err
				}
				return list(c, all, "ACCOUNT BRAKED LETTERS RECIPIENTS SIZE SENT/H SENT/D LIMITS", func(s brake.Standing) []any {
					return []any{s.Name, since(s), s.Letters, s.Recipients, bytesOf(s.Bytes), s.SentHour, s.SentDay, ownLimits(s)}
				})
			})
		},
	})
}

// since is when an account was braked.
func since(s brake.Standing) string {
	if !s.Braked() {
		return "-"
	}
	return s.Since.Local().Format(time.DateTime)
}

// ownLimits are the limits that an account has of its own.
func ownLimits(s brake.Standing) string {
	var parts []string
	if s.Hour > 0 {
		parts = append(parts, fmt.Sprintf("hour=%d", s.Hour))
	}
	if s.Day > 0 {
		parts = append(parts, fmt.Sprintf("day=%d", s.Day))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ",")
}

func (c *command) brakeShow() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "show ACCOUNT",
		Short: "Show what an account has sent, whether it is braked, and why",
		Args:  takes("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				all, err := o.Brake(ctx, args[0])
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, all...)
				}
				for _, s := range all {
					c.tellStanding(s)
				}
				return nil
			})
		},
	})
}

func (c *command) tellStanding(s brake.Standing) {
	fmt.Fprintf(c.out, "account:    %s\n", printable(s.Name))
	if s.Braked() {
		fmt.Fprintf(c.out, "braked:     since %s\nwhy:        %s\n", since(s), printable(s.Why))
	} else {
		fmt.Fprintln(c.out, "braked:     no")
	}
	for _, sign := range s.Signs {
		fmt.Fprintf(c.out, "sign:       %s\n", printable(sign))
	}
	fmt.Fprintf(c.out, "held:       %d letter%s to %d recipient%s, %s\n", s.Letters, plural(int64(s.Letters)), s.Recipients, plural(int64(s.Recipients)), bytesOf(s.Bytes))
	fmt.Fprintf(c.out, "sent:       to %d recipients in an hour, %d in a day\n", s.SentHour, s.SentDay)
	fmt.Fprintf(c.out, "of these:   %d new to it, %d unknown, %d failed, in a day\n", s.First, s.Unknown, s.Failed)
	fmt.Fprintf(c.out, "own limits: %s\n", ownLimits(s))
}

// changeBrake gives an order and tells what it changed.
func (c *command) changeBrake(ctx context.Context, o control.BrakeOrder, told func(brake.Done) string) error {
	return c.withOffice(ctx, func(ctx context.Context, office control.Office) error {
		done, err := office.ChangeBrake(ctx, o)
		if c.json && (err == nil || done.Letters > 0) {
			err = errors.Join(err, printJSON(c, done))
		}
		if err != nil || c.json {
			return err
		}
		fmt.Fprintln(c.out, told(done))
		return nil
	})
}

// letters is how much an order changed.
func letters(d brake.Done) string {
	return fmt.Sprintf("%d letter%s to %d recipient%s", d.Letters, plural(int64(d.Letters)), d.Recipients, plural(int64(d.Recipients)))
}

func (c *command) brakeRelease() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "release ACCOUNT",
		Short: "Lift the brake of an account and let its held mail go",
		Args:  takes("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeBrake(cmd.Context(), control.BrakeOrder{Do: "release", Account: args[0]}, func(d brake.Done) string {
				return printable(args[0]) + " is not braked any more; " + letters(d) + " released."
			})
		},
	})
}

func (c *command) brakeDelete() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "delete ACCOUNT",
		Short: "Delete the held mail of an account; the account stays braked",
		Args:  takes("ACCOUNT"),
	})
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes {
			if err := c.confirmDelete(cmd.Context(), args[0]); err != nil {
				return err
			}
		}
		return c.changeBrake(cmd.Context(), control.BrakeOrder{Do: "delete", Account: args[0]}, func(d brake.Done) string { return letters(d) + " deleted." })
	}
	return cmd
}

// confirmDelete tells how much would be deleted, and asks.
func (c *command) confirmDelete(ctx context.Context, account string) error {
	return c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		all, err := o.Brake(ctx, account)
		if err != nil {
			return err
		}
		d := brake.Done{Letters: all[0].Letters, Recipients: all[0].Recipients}
		return c.confirm("This deletes " + letters(d) + " that " + printable(account) + " has sent")
	})
}

func (c *command) brakeForgive() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "forgive ACCOUNT",
		Short: "Lift the brake of an account; what is held stays so",
		Long: "Lift the brake of an account, whose app passwords count again. What is held stays so,\n" +
			"until \"facteur brake release\" lets it go or \"facteur brake delete\" deletes it.",
		Args: takes("ACCOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.changeBrake(cmd.Context(), control.BrakeOrder{Do: "forgive", Account: args[0]}, func(brake.Done) string {
				return printable(args[0]) + " is not braked any more."
			})
		},
	})
}

func (c *command) brakeSet() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:     "set ACCOUNT [hour=N] [day=N]",
		Short:   "Give an account limits of its own, in recipients",
		Example: "  facteur brake set news@example.org hour=5000 day=20000",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := control.BrakeOrder{Do: "set", Account: args[0]}
			for _, arg := range args[1:] {
				if err := limitOf(&o, arg); err != nil {
					return err
				}
			}
			return c.changeBrake(cmd.Context(), o, func(brake.Done) string { return printable(args[0]) + " has limits of its own." })
		},
	})
}

// limitOf reads "hour=500".
func limitOf(o *control.BrakeOrder, arg string) error {
	name, text, _ := strings.Cut(arg, "=")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return fmt.Errorf("%q: expected hour=N or day=N, N being a number of recipients from 1 on; \"facteur brake unset\" takes a limit back", arg)
	}
	switch name {
	case "hour":
		o.Hour = &n
	case "day":
		o.Day = &n
	default:
		return fmt.Errorf("%q: expected hour=N or day=N", arg)
	}
	return nil
}

func (c *command) brakeUnset() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "unset ACCOUNT [hour] [day]",
		Short: "Take limits of its own from an account; without more, both",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			none, o := 0, control.BrakeOrder{Do: "set", Account: args[0]}
			for _, arg := range args[1:] {
				switch arg {
				case "hour":
					o.Hour = &none
				case "day":
					o.Day = &none
				default:
					return fmt.Errorf("%q: expected hour or day", arg)
				}
			}
			if len(args) == 1 {
				o.Hour, o.Day = &none, &none
			}
			return c.changeBrake(cmd.Context(), o, func(brake.Done) string { return printable(args[0]) + " has the limits of the settings." })
		},
	})
}
