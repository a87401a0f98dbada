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
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/backup"
	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/app/moving"
)

func (c *command) backupCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "backup DIR | FILE.tar | FILE.tar.gz",
		Short: "Write all that this server has into a backup",
		Long: "The server may run: what was accepted before the command began is in the backup, in a\n" +
			"mailbox or in the queue. The settings file and the files that it names come too, so keep\n" +
			"it as safe as the server. Letters outside of the data directory, such as those of Unix\n" +
			"users, do not come; their accounts are named. With --since, messages that are in an earlier backup on the\n" +
			"same disk are linked, and take neither time nor room.",
		Example: "  facteur backup /backup/today --since /backup/yesterday\n  facteur backup verify /backup/today",
		Args:    takes("DIR or FILE.tar"),
	}
	cmd.Flags().StringVar(&since, "since", "", "an earlier backup, a `DIR`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := ended(cmd.Context())
		defer stop()
		return c.backup(ctx, args[0], since)
	}
	cmd.AddCommand(c.backupVerify())
	return cmd
}

// ended is a context that a signal to end ends.
func ended(ctx context.Context) (context.Context, func()) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

func (c *command) backup(ctx context.Context, to, since string) error {
	path, err := config.Find(c.settings)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	start, shown := time.Now(), time.Now()
	job := &backup.Job{Config: cfg, Settings: path, To: to, Previous: since,
		Note: func(text string) { fmt.Fprintln(c.err, text) },
		Show: func(files, bytes int64) {
			if now := time.Now(); isTerminal(c.err) && now.Sub(shown) > time.Second/4 {
				shown = now
				fmt.Fprintf(c.err, "\r\x1b[K%d files, %s", files, size(bytes))
			}
		}}
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error { return job.Run(ctx, o) })
	if isTerminal(c.err) {
		fmt.Fprint(c.err, "\r\x1b[K")
	}
	if err == nil {
		fmt.Fprintf(c.out, "%s: %d files, %s, in %.1f s\n", to, job.Files(), size(job.Bytes()), time.Since(start).Seconds())
	}
	return err
}

func (c *command) backupVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify BACKUP",
		Short: "Read a whole backup, and tell whether it is what was written",
		Args:  takes("BACKUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := ended(cmd.Context())
			defer stop()
			files, bytes, err := backup.Verify(ctx, args[0])
			if err == nil {
				fmt.Fprintf(c.out, "%s: %d files, %s, as they were written\n", args[0], files, size(bytes))
			}
			return err
		},
	}
}

func (c *command) restoreCommand() *cobra.Command {
	var data, account, mailboxName string
	var force, release bool
	cmd := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Bring back what a backup has",
		Long: "Without --account everything is brought back, into a data directory that is empty or\n" +
			"missing; no server may run there. The queue is put on hold, because what was delivered\n" +
			"after the backup was made would be sent a second time: \"facteur queue release\" lets go\n" +
			"what is to go, --release-queue all of it at once. Mailboxes keep their UIDs; what\n" +
			"comes from now on gets UIDs above all that may have been given since.\n\n" +
			"With --account, messages of one account that it no longer has are brought back into it,\n" +
			"also while the server runs. The backup has to be a directory then.",
		Args: takes("BACKUP"),
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "the data `DIR` (default: that of the settings)")
	f.BoolVar(&force, "force", false, "move aside what is in the data directory")
	f.BoolVar(&release, "release-queue", false, "do not put the queue on hold")
	f.StringVar(&account, "account", "", "only messages of the account with this `ADDRESS`")
	f.StringVar(&mailboxName, "mailbox", "", "only the mailbox `NAME` of the account")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := ended(cmd.Context())
		defer stop()
		if account != "" {
			return c.restoreAccount(ctx, args[0], account, mailboxName)
		}
		if mailboxName != "" {
			return errors.New("--mailbox is for --account")
		}
		return c.restoreAll(ctx, &backup.Restore{From: args[0], To: data, Aside: force, Release: release,
			Note: func(text string) { fmt.Fprintln(c.err, text) }})
	}
	return cmd
}

// restoreAll fills a data directory that nobody works in.
func (c *command) restoreAll(ctx context.Context, r *backup.Restore) error {
	if r.To == "" {
		cfg, err := c.load()
		if err != nil {
			return err
		}
		r.To = cfg.DataDir
	}
	var err error
	if r.To, err = filepath.Abs(r.To); err != nil {
		return err
	}
	if _, err := os.Stat(r.To); err == nil {
		claim, err := control.NewClaim(ctx, r.To)
		if err != nil {
			return err
		}
		defer claim.Release()
	}
	if err := r.Run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: restored\n", r.To)
	return nil
}

// restoreAccount brings what an account no longer has.
func (c *command) restoreAccount(ctx context.Context, from, address, mailboxName string) error {
	if _, _, err := backup.Verify(ctx, from); err != nil {
		return err
	}
	home, err := backup.HomeIn(from, address)
	if err != nil {
		return err
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	source, err := moving.OpenMaildir(filepath.Join(home, "Maildir"))
	if err != nil {
		return err
	}
	below, err := filepath.Rel(filepath.Join(from, "data"), home)
	if err != nil {
		return err
	}
	if source.Except, err = moving.Bases(filepath.Join(cfg.DataDir, below, "Maildir")); err != nil {
		return err
	}
	m := &mailImport{c: c, kind: "restore"}
	if mailboxName != "" {
		m.only = strings.Split(mailboxName, "\n")
	}
	return m.run(ctx, source, address)
}
