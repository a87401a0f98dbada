package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/mail/address"
	"facteur/internal/store/journey"
)

func (c *command) explainCommand() *cobra.Command {
	var since conf.Duration
	var most int
	cmd := c.withJSON(&cobra.Command{
		Use:   "explain WHAT",
		Short: "Tell what happened to a message, or with an address",
		Long: "Tell what happened, in sentences that can be sent on. WHAT is a queue ID, a\n" +
			"Message-Id, an address of a sender or recipient, a domain, an account, the\n" +
			"address or name of a client, or a session from the log. It works whether or not\n" +
			"the server runs, as the owner of the data directory.",
		Example: "  facteur explain 64F1A2B3C4D5E\n  facteur explain carol@example.com --since 2d",
		Args:    takes("WHAT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			q := journey.Query{Words: spellings(args[0]), Most: most}
			if since > 0 {
				q.Since = time.Now().Add(-since.Std())
			}
			dir := filepath.Join(cfg.DataDir, "journey")
			time.Sleep(journey.Delay) // what has just happened is not written down yet
			found, err := journey.Search(cmd.Context(), vfs.OS{}, dir, q)
			if err != nil {
				return err
			}
			if len(found.Groups) == 0 {
				return unknown(args[0], since, cfg)
			}
			return c.explain(found)
		},
	})
	cmd.Flags().TextVar(&since, "since", conf.Duration(0), "only what happened within this `time`, such as 2d")
	cmd.Flags().IntVar(&most, "most", 100, "at most so many messages and sessions, the newest")
	return cmd
}

// spellings are what may stand in a journey for what somebody types.
func spellings(word string) []string {
	words := []string{word}
	bare := strings.Trim(word, "<> ")
	if a, err := address.Parse(bare); err == nil {
		words = append(words, a.String())
	} else if d, err := address.CanonicalDomain(strings.TrimPrefix(bare, "@")); err == nil {
		words = append(words, d)
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func unknown(word string, since conf.Duration, cfg *config.Config) error {
	if text, err := since.MarshalText(); since > 0 && err == nil {
		return fmt.Errorf("nothing happened with %q in the last %s", word, text)
	}
	return fmt.Errorf("nothing is known of %q; journeys are kept for %d days (journey.keep_days)", word, cfg.Journey.KeepDays)
}

func (c *command) explain(found journey.Found) error {
	if c.json {
		return printJSON(c, found.Groups...)
	}
	out := bufio.NewWriter(c.out)
	if found.More {
		fmt.Fprintln(out, "There is more; these are the newest. --most and --since choose.")
		fmt.Fprintln(out)
	}
	for i, g := range found.Groups {
		if i > 0 {
			fmt.Fprintln(out)
		}
		tellGroup(out, g)
	}
	return out.Flush()
}

// tellGroup prints a message or a session: a heading, its steps, and for whom the
// end is not known.
func tellGroup(w io.Writer, g journey.Group) {
	fmt.Fprintln(w, printable(heading(g)))
	for _, e := range g.Steps {
		fmt.Fprintf(w, "  %s  %s\n", e.Time.Local().Format(time.DateTime), printable(e.Sentence))
		for _, line := range e.Table {
			fmt.Fprintf(w, "      %s\n", printable(line))
		}
	}
	if open := g.Open(); len(open) > 0 {
		fmt.Fprintf(w, "  No end is recorded for %s; \"facteur queue show %s\" tells where it waits, if it does.\n",
			printable(event.Addresses(open)), printable(g.Item))
	}
}

func heading(g journey.Group) string {
	if g.Item == "" {
		if g.Session == "" {
			return "Without a session"
		}
		return "Session " + g.Session
	}
	text := "Message " + g.Item
	if g.Cause != "" {
		text += ", which came of " + g.Cause
	}
	e, taken := about(g)
	if e == nil {
		return text
	}
	text += " from <" + e.From + ">"
	if !taken && len(e.To) > 0 {
		text += " to " + event.Addresses(e.To)
	}
	if e.MsgID != "" {
		text += ", Message-Id " + e.MsgID
	}
	return text
}

// about is the step that says whose message it is: the one that took it, else the last one
// that refused it or put it off. nil: none does.
func about(g journey.Group) (step *journey.Entry, taken bool) {
	for i := range g.Steps {
		switch e := &g.Steps[i]; {
		case e.Kind == event.Accepted:
			return e, true
		case e.Item == g.Item && e.Reply != "" && (e.Kind == event.Judged || e.Kind == event.Authenticated):
			step = e
		}
	}
	return step, false
}
