package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/base/conf"
)

func (c *command) quarantineCommand() *cobra.Command {
	return group("quarantine", "Letters that were accepted and are kept away from the mailboxes",
		c.quarantineList(), c.quarantineShow(), c.quarantineStats(), c.quarantineRelease(), c.quarantineDelete(), c.quarantinePurge())
}

// shelved are the flags that pick letters in quarantine.
type shelved struct {
	control.Shelved
	since, older conf.Duration
	all, yes     bool
}

func (p *shelved) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.Category, "category", "", "of this `category`: spam, virus, banned or bad_header")
	f.StringVar(&p.Account, "account", "", "of this account: an `address`, or @domain")
	f.StringVar(&p.From, "from", "", "with this `text` in the author or the sender")
	f.StringVar(&p.Subject, "subject", "", "with this `text` in the subject")
	f.TextVar(&p.since, "since", conf.Duration(0), "that came within this `time`, such as 2d")
	f.TextVar(&p.older, "older", conf.Duration(0), "that came at least this `time` ago, such as 30d")
}

// which is what the flags and some IDs pick.
func (p *shelved) which(ids []string) control.Shelved {
	s := p.Shelved
	s.IDs = ids
	if p.since > 0 {
		s.Since = time.Now().Add(-p.since.Std())
	}
	if p.older > 0 {
		s.Before = time.Now().Add(-p.older.Std())
	}
	return s
}

// check wants something to be picked, and said once.
func (p *shelved) check(ids []string) error {
	switch none := p.which(ids).IsZero(); {
	case p.all && !none:
		return errors.New("--all is all; leave it out where something else says which")
	case !p.all && none:
		return errors.New("expected IDs of the quarantine, some of --category, --account, --from, --subject, --since, --older, or --all")
	}
	return nil
}

func (c *command) quarantineList() *cobra.Command {
	var p shelved
	cmd := c.withJSON(&cobra.Command{Use: "list", Short: "List letters in quarantine, the oldest first", Args: cobra.NoArgs})
	p.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			out := bufio.NewWriter(c.out)
			to := &command{out: out}
			listed := 0
			err := o.Quarantine(ctx, p.which(nil), func(x control.Exhibit) error {
				if listed++; c.json {
					return printJSON(to, x)
				}
				return listExhibit(out, x, listed == 1)
			})
			if listed == 0 && err == nil && !c.json {
				fmt.Fprintln(out, "Nothing is in quarantine.")
			}
			return errors.Join(err, out.Flush())
		})
	}
	return cmd
}

// listExhibit writes a line of the list.
func listExhibit(out io.Writer, x control.Exhibit, first bool) error {
	const columns = "%-15s %-10s %6s %-16s %7s  %s\n"
	if first {
		fmt.Fprintf(out, columns, "ID", "CATEGORY", "SCORE", "SINCE", "SIZE", "FOR, FROM, SUBJECT")
	}
	_, err := fmt.Fprintf(out, columns, x.ID, x.Category, fmt.Sprintf("%.1f", x.Score), x.Since.Local().Format("2006-01-02 15:04"), size(x.Size),
		printable(fmt.Sprintf("<%s> %s: %s", x.Account, cmp.Or(x.Author, "<"+x.Sender+">"), x.Subject)))
	return err
}

func (c *command) quarantineShow() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{Use: "show ID", Short: "Show a letter in quarantine: why it is there, or the letter itself", Args: takes("ID")})
	raw := cmd.Flags().Bool("raw", false, "the letter, byte for byte")
	headers := cmd.Flags().Bool("headers", false, "its header")
	evidence := cmd.Flags().Bool("evidence", false, "what spoke against it, and nothing else")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			x, err := exhibit(ctx, o, args[0])
			switch {
			case err != nil:
				return err
			case *raw:
				return c.copyExhibit(ctx, o, x, false)
			case *headers:
				return c.copyExhibit(ctx, o, x, true)
			case c.json:
				return printJSON(c, x)
			case *evidence:
				_, err = fmt.Fprintln(c.out, printableLines(x.Evidence))
				return err
			}
			return c.showExhibit(x)
		})
	}
	return cmd
}

// exhibit is the one that an ID names.
func exhibit(ctx context.Context, o control.Office, id string) (x control.Exhibit, err error) {
	found := 0
	err = o.Quarantine(ctx, control.Shelved{IDs: []string{id}}, func(one control.Exhibit) error {
		if found++; found == 1 {
			x = one
		}
		return nil
	})
	if err == nil && found == 0 {
		err = fmt.Errorf("%s: nothing of this name is in quarantine", id)
	}
	return x, err
}

func (c *command) showExhibit(x control.Exhibit) error {
	for _, line := range [][2]string{{"ID", x.ID}, {"Category", x.Category}, {"Since", x.Since.Local().Format(time.RFC1123Z)}, {"Score", fmt.Sprintf("%.1f", x.Score)},
		{"For", "<" + x.To + ">"}, {"Account", x.Account}, {"Sender", "<" + x.Sender + ">"}, {"From", x.Author}, {"Subject", x.Subject}, {"Size", fmt.Sprint(x.Size)}} {
		if line[1] != "" {
			fmt.Fprintf(c.out, "%-10s %s\n", line[0]+":", printable(line[1]))
		}
	}
	if x.Evidence != "" {
		fmt.Fprintf(c.out, "\n%s\n", printableLines(x.Evidence))
	}
	_, err := fmt.Fprintf(c.out, "\nfacteur explain %s   # what happened to it\n", x.ID)
	return err
}

// printableLines makes each line printable.
func printableLines(text string) string {
	var b bytes.Buffer
	for i, line := range bytes.Split([]byte(text), []byte("\n")) {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(printable(string(line)))
	}
	return b.String()
}

// copyExhibit writes the letter, or its header. What goes to a terminal stays harmless there.
func (c *command) copyExhibit(ctx context.Context, o control.Office, x control.Exhibit, header bool) error {
	item, _, _ := bytes.Cut([]byte(x.ID), []byte("/"))
	body, err := o.Message(ctx, control.ItemID{ID: string(item)})
	if err != nil {
		return err
	}
	defer body.Close()
	if !header {
		_, err := io.Copy(c.out, body)
		return err
	}
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadString('\n')
		text := string(bytes.TrimRight([]byte(line), "\r\n"))
		if text != "" {
			fmt.Fprintln(c.out, printable(text))
		}
		if text == "" || err != nil {
			return nil
		}
	}
}

func (c *command) quarantineStats() *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "stats",
		Short: "Tell how full the quarantine is, by account and category",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
				q, err := o.QuarantineStats(ctx)
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, q)
				}
				letters := 0
				for _, n := range q.Counts {
					letters += n.Letters
				}
				fmt.Fprintf(c.out, "%d letter%s, %s\n", letters, plural(int64(letters)), bytesOf(q.Size))
				return list(c, q.Counts, "ACCOUNT CATEGORY LETTERS SIZE OLDEST", func(n control.QuarantineCount) []any {
					return []any{n.Account, n.Category, n.Letters, bytesOf(n.Size), n.Oldest.Local().Format(time.DateTime)}
				})
			})
		},
	})
}

func (c *command) quarantineRelease() *cobra.Command {
	var p shelved
	order := control.QuarantineOrder{Action: control.Release}
	cmd := c.withJSON(&cobra.Command{
		Use:   "release [ID]...",
		Short: "Deliver letters after all",
		Long: "Deliver letters after all: each goes into the mail flow once, to the inbox of its recipient,\n" +
			"and is not filtered again. With --to somebody else gets it in his place.",
		Example: "  facteur quarantine release 64F1A2B3C4D5E\n  facteur quarantine release --from newsletter@example.net --category spam",
	})
	p.flags(cmd)
	cmd.Flags().BoolVar(&p.all, "all", false, "all of the quarantine")
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&order.Learn, "learn", false, "learn from them that such letters are no spam")
	cmd.Flags().StringVar(&order.To, "to", "", "to this `address`, and not to the recipient")
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if err := p.check(ids); err != nil {
			return err
		}
		order.Which = p.which(ids)
		return c.changeQuarantine(cmd.Context(), order, p.yes || len(ids) > 0, "released")
	}
	return cmd
}

func (c *command) quarantineDelete() *cobra.Command {
	var p shelved
	cmd := c.withJSON(&cobra.Command{Use: "delete [ID]...", Short: "Delete letters, without telling anybody"})
	p.flags(cmd)
	cmd.Flags().BoolVar(&p.all, "all", false, "all of the quarantine")
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if err := p.check(ids); err != nil {
			return err
		}
		return c.changeQuarantine(cmd.Context(), control.QuarantineOrder{Action: control.Delete, Which: p.which(ids)}, p.yes || len(ids) > 0, "deleted")
	}
	return cmd
}

func (c *command) quarantinePurge() *cobra.Command {
	var p shelved
	cmd := c.withJSON(&cobra.Command{
		Use:   "purge --older TIME",
		Short: "Delete what has been there for a time",
		Long:  "Delete what has been there for a time. The server does so by itself, as [quarantine] keep\nsays; this is for once.",
		Args:  cobra.NoArgs,
	})
	p.flags(cmd)
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if p.older <= 0 {
			return errors.New("expected --older, such as --older 30d")
		}
		return c.changeQuarantine(cmd.Context(), control.QuarantineOrder{Action: control.Delete, Which: p.which(nil)}, p.yes, "deleted")
	}
	return cmd
}

// changeQuarantine asks if need be, does it, and tells how much it was.
func (c *command) changeQuarantine(ctx context.Context, order control.QuarantineOrder, sure bool, did string) error {
	return c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		if !sure {
			if any, err := c.agreeQuarantine(ctx, o, order.Which, did); err != nil || !any {
				return err
			}
		}
		var n control.Count
		err := o.ChangeQuarantine(ctx, order, func(p control.Progress) error {
			n.Add(p.Count)
			return nil
		})
		if c.json {
			return errors.Join(err, printJSON(c, n))
		}
		fmt.Fprintf(c.out, "%d letter%s %s %s.\n", n.Recipients, plural(int64(n.Recipients)), isAre(n.Recipients), did)
		if ids := len(order.Which.IDs); err == nil && ids > 0 && n.Recipients == 0 {
			err = errors.New("nothing of that name is in quarantine")
		}
		return err
	})
}

// agreeQuarantine tells how much would be changed, and asks whether that is meant; any
// tells whether there is something.
func (c *command) agreeQuarantine(ctx context.Context, o control.Office, which control.Shelved, did string) (any bool, err error) {
	n := 0
	if err := o.Quarantine(ctx, which, func(control.Exhibit) error { n++; return nil }); err != nil {
		return false, err
	}
	if n == 0 {
		_, err := fmt.Fprintln(c.out, "Nothing of that is in quarantine.")
		return false, err
	}
	return true, c.confirm(fmt.Sprintf("%d letter%s would be %s", n, plural(int64(n)), did))
}

// amavisRelease is amavisd-release(8): letters by the names of their files, which are ours
// with the category before them, or without. A secret behind it is not needed; what has an
// "@" is who gets it.
func (c *command) amavisRelease(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return &usageError{usage: "amavisd-release mail_file [secret_id [alt_recip...]]"}
	}
	order := control.QuarantineOrder{Action: control.Release, Which: control.Shelved{IDs: args[:1]}}
	if len(args) > 3 {
		return errors.New("one other recipient at a time")
	}
	if len(args) == 3 {
		order.To = args[2]
	}
	return asTool(c.changeQuarantine(ctx, order, true, "released"))
}
