package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/app/moving"
)

const importLong = "\n\nMessages keep their dates, flags and keywords, and their UIDs where the mailbox\n" +
	"here was never used. The command can be ended at any time and run again: it goes\n" +
	"on where it was, and brings nothing twice. Let nobody read the account meanwhile\n" +
	"if UIDs are to be kept."

// mailImport is what the commands that bring mail have in common.
type mailImport struct {
	c      *command
	kind   string
	into   string
	only   []string
	dryRun bool
}

func (m *mailImport) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&m.dryRun, "dry-run", false, "only tell what there is")
	return m.c.withJSON(cmd)
}

// counted is a line of --dry-run.
type counted struct {
	Address  string `json:"address"`
	Mailbox  string `json:"mailbox"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// run brings the mail of one source into one account, and says at the end what it did.
func (m *mailImport) run(ctx context.Context, source moving.Source, address string) error {
	defer source.Close()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	show := moving.NewProgress(m.c.err, isTerminal(m.c.err))
	job := &moving.Job{Kind: m.kind, Source: source, Address: address, Into: m.into, Only: m.only, Show: show}
	if m.dryRun {
		return m.count(ctx, job, show)
	}
	return m.c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		err := job.Run(ctx, o)
		fmt.Fprintln(m.c.out, show.End())
		switch {
		case err != nil && ctx.Err() != nil:
			return errors.New("ended; run the same command again to go on")
		case err == nil && show.Failures() > 0:
			return moving.ErrIncomplete
		}
		return err
	})
}

func (m *mailImport) count(ctx context.Context, job *moving.Job, show *moving.Progress) error {
	var lines []counted
	err := job.Count(ctx, func(b moving.Box) {
		if !b.Virtual {
			lines = append(lines, counted{job.Address, b.Name, b.Count, b.Bytes})
		}
	})
	if err != nil {
		return err
	}
	if show.Failures() > 0 {
		err = moving.ErrIncomplete
	}
	return errors.Join(list(m.c, lines, "MAILBOX MESSAGES SIZE", func(l counted) []any {
		if l.Bytes < 0 {
			return []any{l.Mailbox, l.Messages, "-"}
		}
		return []any{l.Mailbox, l.Messages, size(l.Bytes)}
	}), err)
}

func (c *command) importMaildir() *cobra.Command {
	m := &mailImport{c: c, kind: "maildir"}
	var link, move, tree bool
	cmd := m.flags(&cobra.Command{
		Use:   "maildir PATH ADDRESS",
		Short: "Bring the messages of a Maildir into an account",
		Long: "PATH is a Maildir with or without folders, as Dovecot (also with LAYOUT=fs), Courier and\n" +
			"others have it. Dovecot's UIDs, keywords, subscriptions, ACLs and unique-ids of POP3\n" +
			"come too. With --tree PATH has %d and %n in it, for domains and names, and all accounts\n" +
			"that are there and here are filled." + importLong,
		Example: "  facteur import maildir /home/vmail/example.org/alice/Maildir alice@example.org\n" +
			"  facteur import maildir --tree /home/vmail/%d/%n/Maildir",
		Args: func(cmd *cobra.Command, args []string) error {
			if tree {
				return takes("PATH")(cmd, args)
			}
			return takes("PATH", "ADDRESS")(cmd, args)
		},
	})
	cmd.Flags().StringVar(&m.into, "mailbox", "", "put everything into the mailbox `NAME`")
	cmd.Flags().StringSliceVar(&m.only, "only", nil, "only these mailboxes, by their `NAMES`")
	cmd.Flags().BoolVar(&link, "link", false, "link files instead of copying them; needs the same file system and owner")
	cmd.Flags().BoolVar(&move, "move", false, "remove files there when they are safe here")
	cmd.Flags().BoolVar(&tree, "tree", false, "PATH is a pattern for many accounts")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !tree {
			return m.maildir(cmd.Context(), args[0], args[1], link, move)
		}
		places, err := homesIn(args[0])
		if err == nil && len(places) == 0 {
			err = fmt.Errorf("%s: nothing is there", args[0])
		}
		for _, p := range places {
			fmt.Fprintf(c.err, "%s: %s\n", p.address, p.path)
			err = errors.Join(err, m.maildir(cmd.Context(), p.path, p.address, link, move))
		}
		return err
	}
	return cmd
}

func (m *mailImport) maildir(ctx context.Context, path, address string, link, move bool) error {
	source, err := moving.OpenMaildir(path)
	if err != nil {
		return err
	}
	source.Link, source.Move = link, move && !m.dryRun
	return m.run(ctx, source, address)
}

// homeAt is a Maildir that a pattern found.
type homeAt struct{ path, address string }

// homesIn finds the directories of a pattern with %d and %n, or %u for both.
func homesIn(pattern string) ([]homeAt, error) {
	glob := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "%d", "*", "%n", "*", "%u", "*").Replace(filepath.Clean(pattern))
	paths, err := filepath.Glob(glob)
	if err != nil {
		return nil, err
	}
	var list []homeAt
	words := strings.Split(filepath.Clean(pattern), "/")
	for _, p := range paths {
		var domain, name string
		for i, word := range strings.Split(p, "/") {
			at := func(mark string) string {
				before, after, ok := strings.Cut(words[i], mark)
				if !ok {
					return ""
				}
				return strings.TrimSuffix(strings.TrimPrefix(word, before), after)
			}
			domain, name = domain+at("%d"), name+at("%n")
			if user := at("%u"); user != "" {
				name, domain, _ = strings.Cut(user, "@")
			}
		}
		if info, err := os.Stat(p); err == nil && info.IsDir() && name != "" && domain != "" {
			list = append(list, homeAt{p, name + "@" + domain})
		}
	}
	return list, nil
}

func (c *command) importMbox() *cobra.Command {
	m := &mailImport{c: c, kind: "mbox"}
	cmd := m.flags(&cobra.Command{
		Use:   "mbox FILE ADDRESS",
		Short: "Bring the messages of an mbox into an account",
		Long: "FILE is a mailbox in one file (mboxo, mboxrd, mboxcl, mboxcl2), \"-\" for the standard\n" +
			"input, or a directory of such files as UW-IMAP, Dovecot and mail programs have it.\n" +
			"Status, X-Status, X-Keywords, X-UID and X-IMAPbase become flags and UIDs." + importLong,
		Example: "  facteur import mbox /var/mail/alice alice@example.org\n" +
			"  zcat old.gz | facteur import mbox - alice@example.org --mailbox Archive/2019",
		Args: takes("FILE", "ADDRESS"),
	})
	cmd.Flags().StringVar(&m.into, "mailbox", "", "the mailbox `NAME` to put the messages into (default INBOX)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		source := moving.MboxFrom(c.in)
		if args[0] != "-" {
			var err error
			if source, err = moving.OpenMbox(args[0]); err != nil {
				return err
			}
		}
		return m.run(cmd.Context(), source, args[1])
	}
	return cmd
}
