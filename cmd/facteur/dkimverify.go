package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/mail/dkim"
	"facteur/internal/net/dns"
)

// The exit statuses of commands that judge a letter.
const (
	notAuthentic = 1 // nothing in it holds
	notJudged    = 2 // nobody knows: the DNS did not answer, or the file can't be read
)

func (c *command) dkimVerify() *cobra.Command {
	var at string
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "verify FILE",
		Short: "Check the DKIM signatures of a letter in a file",
		Long: "Check the DKIM signatures of a letter in a file; \"-\" is the standard input.\n\n" +
			"The exit status is 0 when a signature holds, 1 when none does or there is none,\nand 2 when it can not be known.",
		Args: takes("FILE"),
	}))
	cmd.Flags().StringVar(&at, "at", "", "judge as if it were then, `2026-11-22T12:00:00Z`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		results, err := c.verifyFile(cmd.Context(), args[0], at)
		if err == nil && len(results) == 0 && !c.json {
			_, err = fmt.Fprintln(c.out, "none")
		} else if err == nil {
			err = list(c, results, "RESULT DOMAIN SELECTOR ALGORITHM BITS FORM WHY", dkimRow)
		}
		if err != nil {
			return c.unjudged(err)
		}
		return dkimStatus(results)
	}
	return cmd
}

func (c *command) verifyFile(ctx context.Context, name, at string) ([]dkim.Result, error) {
	now, err := moment(at)
	if err != nil {
		return nil, err
	}
	settings, err := c.settingsOrDefaults()
	if err != nil {
		return nil, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return nil, err
	}
	l, err := c.openLetter(name)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	body := dkim.NewBody()
	signatures := dkim.Read(l.header, body, settings.DKIM.Options())
	if err := l.body(body); err != nil {
		return nil, err
	}
	return signatures.Verify(dns.WithBudget(ctx, dns.DefaultBudget), resolver.LookupTXT, now), nil
}

// moment is a time that was given, or this one.
func moment(at string) (time.Time, error) {
	if at == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return t, fmt.Errorf("--at: %q is no time; expected one such as %s", at, time.Now().UTC().Format(time.RFC3339))
	}
	return t, nil
}

func dkimRow(r dkim.Result) []any {
	form := r.Header.String() + "/" + r.Body.String()
	return []any{r.Status, orDash(r.Domain), orDash(r.Selector), orDash(r.Algorithm), r.Bits, form, orDash(r.Reason)}
}

// orDash is a cell of a table.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// dkimStatus is the exit status: nothing for a signature that holds.
func dkimStatus(results []dkim.Result) error {
	status := notAuthentic
	for _, r := range results {
		switch r.Status {
		case dkim.Pass:
			return nil
		case dkim.TempError:
			status = notJudged
		}
	}
	return &toolError{status}
}

// unjudged tells what was wrong, with the status that says that nothing was judged.
func (c *command) unjudged(err error) error {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(c.err, "facteur: "+printable(strings.TrimSuffix(line, "\n")))
	}
	return &toolError{notJudged}
}
