package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"facteur/internal/app/control"
	"facteur/internal/store/directory"
)

func (c *command) accountDisable() *cobra.Command {
	return c.suspension("disable ADDRESS", "Let nobody log in to an account; it goes on to receive mail", true)
}

func (c *command) accountEnable() *cobra.Command {
	return c.suspension("enable ADDRESS", "Take back what \"account disable\" did", false)
}

func (c *command) suspension(use, short string, disabled bool) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: takes("ADDRESS")}
	refuse := new(bool)
	if disabled {
		refuse = cmd.Flags().Bool("refuse-mail", false, "refuse mail for it, too")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.SetDisabled(ctx, control.Suspension{Address: args[0], Disabled: disabled, Refuse: *refuse})
		})
	}
	return cmd
}

func (c *command) accountAppPassword() *cobra.Command {
	return group("app-password", "Passwords for single programs, which can be taken back alone",
		c.appPasswordAdd(), c.appPasswordList(), c.appPasswordRemove())
}

func (c *command) appPasswordAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add ADDRESS NAME", Short: "Make an app password and show it, this once",
		Long: "Make an app password and show it, this once. It is random, works beside the password\n" +
			"of the account wherever that is kept, and with mechanisms that send passwords as they\n" +
			"are (PLAIN and LOGIN, under TLS).",
		Example: "  facteur account app-password add alice@example.org \"old telephone\" --for imap",
		Args:    takes("ADDRESS", "NAME"),
	}
	services := cmd.Flags().StringSlice("for", nil, "where it counts: imap, pop3, smtp (default: everywhere)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			secret, err := o.AddAppPassword(ctx, control.AppName{Address: args[0], Name: args[1], Services: *services})
			if err == nil {
				fmt.Fprintln(c.out, secret.Password)
			}
			return err
		})
	}
	return cmd
}

func (c *command) appPasswordList() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use: "list ADDRESS", Short: "List the app passwords of an account", Args: takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				apps, err := o.AppPasswords(ctx, control.AccountName{Address: args[0]})
				if err != nil {
					return err
				}
				return list(c, apps, "NAME FOR MADE USED", func(p directory.AppPassword) []any {
					services := strings.Join(p.Services, ",")
					if services == "" {
						services = "all"
					}
					return []any{p.Name, services, day(p.Created), day(p.Used)}
				})
			})
		},
	})
}

// day is a date for people.
func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.DateOnly)
}

func (c *command) appPasswordRemove() *cobra.Command {
	cmd := &cobra.Command{Use: "remove ADDRESS NAME", Short: "Take an app password back", Args: takes("ADDRESS", "NAME")}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.RemoveAppPassword(ctx, control.AppName{Address: args[0], Name: args[1]})
		})
	}
	return cmd
}

func (c *command) accountAudit() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use: "audit", Short: "Find accounts that are forgotten, easily guessed or badly kept", Args: cobra.NoArgs,
		Long: "Find accounts to which nobody has logged in for a long time or ever, whose names\n" +
			"guessers try first (guest, test, scan), whose passwords guessers try first (the name,\n" +
			"the name and the year, \"password\"), whose passwords are kept in a weak form, and those\n" +
			"that only another directory knows. Trying passwords takes a second for each account.",
	})
	days := cmd.Flags().Int("days", 180, "days without a log-in after which an account counts as forgotten; 0: none does")
	quick := cmd.Flags().Bool("no-passwords", false, "do not try passwords")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		how := directory.Auditing{Unused: time.Duration(max(*days, 0)) * 24 * time.Hour, Passwords: !*quick}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.Audit(ctx, how, func(r directory.Review) error {
				if c.json {
					return printJSON(c, r)
				}
				fmt.Fprintf(c.out, "%s (last log-in: %s)\n", printable(r.Address), day(r.LastLogin))
				for _, f := range r.Findings {
					fmt.Fprintf(c.out, "    %s: %s\n", f.Kind, printable(f.Text))
				}
				return nil
			})
		})
	}
	return cmd
}

func (c *command) authCommand() *cobra.Command {
	return group("auth", "Log-ins", c.authTest())
}

func (c *command) authTest() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use: "test USER", Short: "Log in as USER would, and tell what came of it and why", Args: takes("USER"),
		Long: "Log in as USER would, and tell which directory knows the account, how its password is\n" +
			"kept, and what came of it. The exit status is 0 when the password is right, 1 when it is\n" +
			"wrong, 75 when nobody can tell at the moment.",
		Example: "  facteur auth test alice@example.org\n  echo secret | facteur auth test alice --password-stdin",
	})
	stdin := passwordFlag(cmd)
	service := cmd.Flags().String("service", "imap", "where: imap, pop3 or smtp")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := c.oldPassword(*stdin)
		if err != nil {
			return err
		}
		t, err := c.tryLogin(cmd.Context(), control.Attempt{Service: *service, User: args[0], Password: password})
		if err != nil {
			return err
		}
		if c.json {
			err = printJSON(c, t)
		} else {
			c.tellTrial(t)
		}
		if status := trialStatus(t); err == nil && status != 0 {
			err = &toolError{status}
		}
		return err
	}
	return cmd
}

func (c *command) tryLogin(ctx context.Context, a control.Attempt) (t directory.Trial, err error) {
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) (err error) {
		t, err = o.TryLogin(ctx, a)
		return err
	})
	return t, err
}

// trialStatus is the exit status; EX_TEMPFAIL where nobody could tell.
func trialStatus(t directory.Trial) int {
	return map[string]int{"ok": 0, "wrong": 1, "later": 75}[t.Result]
}

func (c *command) tellTrial(t directory.Trial) {
	source := t.Source
	if source == "" {
		source = "our own accounts"
	}
	if t.Account != "" {
		fmt.Fprintf(c.out, "account:  %s, in %s\n", printable(t.Account), printable(source))
		fmt.Fprintf(c.out, "password: %s\n", strings.TrimSuffix(t.Scheme+" ("+t.Weak+")", " ()"))
	}
	if t.App != "" {
		fmt.Fprintf(c.out, "app password: %s\n", printable(t.App))
	}
	switch result := map[string]string{"ok": "logged in", "wrong": "refused", "later": "nobody can tell at the moment"}[t.Result]; t.Why {
	case "":
		fmt.Fprintf(c.out, "result:   %s\n", result)
	default:
		fmt.Fprintf(c.out, "result:   %s: %s\n", result, printable(t.Why))
	}
}

// oldPassword reads a password that exists: asked for once.
func (c *command) oldPassword(fromStdin bool) (string, error) {
	if fromStdin {
		return firstLine(c.in)
	}
	file, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return "", errNoTerminal
	}
	return c.ask(file, "Password: ")
}
