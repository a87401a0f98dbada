package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
	"facteur/internal/app/moving"
	"facteur/internal/flow/learn"
	"facteur/internal/store/lexicon"
	"facteur/internal/store/mailbox"
)

func (c *command) learnCommand() *cobra.Command {
	return group("learn", "Teach the filter what is spam and what is not",
		c.learnFrom("spam", "Teach letters as spam", true, false),
		c.learnFrom("ham", "Teach letters as no spam", false, false),
		c.learnFrom("undo", "Take back what letters taught", false, true),
		c.learnStatus(), c.learnForget())
}

// maxLearnt is the largest letter that is learnt from, in bytes.
const maxLearnt = 64 << 20

// learning is one run of the command.
type learning struct {
	office       control.Office
	account      string
	spam, forget bool
	hostname     string
	sum          learnt
	bad          func(what string, err error)
	step         func(learnt)
}

// learnt is what a run did.
type learnt struct {
	Letters int `json:"letters"`
	Learnt  int `json:"learnt"`
	Turned  int `json:"turned"`
	Undone  int `json:"undone"`
	Same    int `json:"same"`
	Failed  int `json:"failed"`
}

func (c *command) learnFrom(name, short string, isSpam, forget bool) *cobra.Command {
	var account string
	var server bool
	cmd := c.withJSON(&cobra.Command{
		Use:   name + " {--account ADDRESS | --server} FILE|MAILDIR|MBOX|-...",
		Short: short,
		Long: short + ": letters in files, Maildirs, mboxes, or on the standard input. With --account they\n" +
			"teach one account; with --server everybody's filter. A letter that was taught before\n" +
			"changes nothing, or its mind: the command may be ended and run again at any time.\n" +
			"It ends with 0 when all letters could be read, and with 1 when some could not.",
		Example: "  facteur learn spam --server /var/mail/spam-archive.mbox\n" +
			"  facteur learn ham --account anna@example.org ~/Maildir/.Friends",
		Args: cobra.MinimumNArgs(1),
	})
	cmd.Flags().StringVar(&account, "account", "", "the `ADDRESS` of the account that learns")
	cmd.Flags().BoolVar(&server, "server", false, "the whole server learns")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (account == "") == !server {
			return errors.New("expected either --account ADDRESS or --server")
		}
		cfg, err := c.load()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
			l := &learning{office: o, account: account, spam: isSpam, forget: forget, hostname: cfg.Hostname, step: c.learnProgress(),
				bad: func(what string, err error) { fmt.Fprintf(c.err, "%s: %v\n", printable(what), err) }}
			for _, name := range args {
				if err = l.from(ctx, name); err != nil {
					break
				}
			}
			return errors.Join(err, c.showLearnt(l.sum))
		})
	}
	return cmd
}

// learnProgress shows how far it is, where somebody looks.
func (c *command) learnProgress() func(learnt) {
	if !isTerminal(c.err) || c.json {
		return func(learnt) {}
	}
	return func(l learnt) {
		if l.Letters%50 == 0 {
			fmt.Fprintf(c.err, "\r%d letters, %d new ", l.Letters, l.Learnt+l.Turned+l.Undone)
		}
	}
}

func (c *command) showLearnt(l learnt) error {
	var err error
	if l.Failed > 0 {
		err = fmt.Errorf("%d letters could not be read", l.Failed)
	}
	if c.json {
		return errors.Join(printJSON(c, l), err)
	}
	_, werr := fmt.Fprintf(c.out, "%d letters: %d learnt, %d learnt otherwise before, %d taken back, %d known\n", l.Letters, l.Learnt, l.Turned, l.Undone, l.Same)
	return errors.Join(werr, err)
}

// from learns from one source.
func (l *learning) from(ctx context.Context, name string) error {
	if name == "-" {
		return l.stream(ctx, bufio.NewReader(os.Stdin), name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(name, "cur")); err != nil {
			return l.files(ctx, name)
		}
		source, err := moving.OpenMaildir(name)
		if err != nil {
			return err
		}
		return l.source(ctx, source)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.stream(ctx, bufio.NewReader(f), name)
}

// files learns from a directory with a letter in each file.
func (l *learning) files(ctx context.Context, dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !e.Type().IsRegular() {
			continue
		}
		if err := l.from(ctx, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// stream learns from an mbox, or from one letter.
func (l *learning) stream(ctx context.Context, in *bufio.Reader, name string) error {
	if start, _ := in.Peek(5); string(start) == "From " {
		return l.source(ctx, moving.MboxFrom(in))
	}
	return l.letter(ctx, name, in)
}

// source learns from a mailbox and those below it.
func (l *learning) source(ctx context.Context, source moving.Source) error {
	defer source.Close()
	boxes, err := source.Boxes(ctx)
	if err != nil {
		return err
	}
	bad := func(what string, err error) {
		l.sum.Failed++
		l.bad(what, err)
	}
	for i := range boxes {
		b := &boxes[i]
		if b.Virtual || b.Refused != nil {
			continue
		}
		give := func(_ moving.Letter, r io.Reader) error { return l.letter(ctx, b.Name, r) }
		if err := source.Letters(ctx, b, func(mailbox.Key) bool { return false }, give, bad); err != nil {
			return err
		}
	}
	return nil
}

// letter learns from one letter. Only an error of the office ends the run.
func (l *learning) letter(ctx context.Context, name string, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, maxLearnt+1))
	if err == nil && len(data) > maxLearnt {
		err = errors.New("the letter is too large")
	}
	var read *learn.Letter
	if err == nil {
		read, err = learn.Read(bytes.NewReader(data), int64(len(data)), l.hostname)
	}
	l.sum.Letters++
	if err != nil {
		l.sum.Failed++
		l.bad(name, err)
		return ctx.Err()
	}
	taught, err := l.office.Teach(ctx, control.Teach(l.account, read, l.spam, l.forget))
	if err != nil {
		return err
	}
	switch taught.Outcome {
	case lexicon.Learnt.String():
		l.sum.Learnt++
	case lexicon.Turned.String():
		l.sum.Turned++
	case lexicon.Undone.String():
		l.sum.Undone++
	default:
		l.sum.Same++
	}
	l.step(l.sum)
	return nil
}

func (c *command) learnStatus() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "status [ADDRESS]",
		Short: "Show how much was learnt, for the server and for each account",
		Args:  cobra.MaximumNArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			standings, err := o.Learnt(ctx, control.LearntBy{Account: strings.Join(args, "")})
			if err != nil {
				return err
			}
			return list(c, standings, "WHO SPAM HAM WORDS WAITING MEMORY DISK", func(s lexicon.Standing) []any {
				who := s.Owner
				if who == lexicon.Server {
					who = "(server)"
				}
				return []any{who, s.Spam, s.Ham, s.Tokens, s.Waiting, size(s.Memory), size(s.Disk)}
			})
		})
	}
	return cmd
}

func (c *command) learnForget() *cobra.Command {
	var account string
	var server bool
	cmd := &cobra.Command{
		Use:   "forget {--account ADDRESS | --server}",
		Short: "Forget all that an account, or the server, has learnt",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&account, "account", "", "the `ADDRESS` of the account")
	cmd.Flags().BoolVar(&server, "server", false, "what the whole server has learnt")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (account == "") == !server {
			return errors.New("expected either --account ADDRESS or --server")
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return o.Unlearn(ctx, control.AccountName{Address: account})
		})
	}
	return cmd
}
