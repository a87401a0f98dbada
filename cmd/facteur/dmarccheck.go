package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
)

// transfer is what a letter in a file does not tell: how it was handed over.
type transfer struct{ ip, sender, helo, at string }

// judged is the whole evaluation of a letter.
type judged struct {
	Author dmarc.Author  `json:"author"`
	SPF    *spf.Result   `json:"spf,omitempty"`
	DKIM   []dkim.Result `json:"dkim"`
	DMARC  dmarc.Result  `json:"dmarc"`
	// Outcome is what facteur does with such a letter unless it is told otherwise.
	Outcome string `json:"outcome"`
}

func (c *command) dmarcCheck() *cobra.Command {
	var from transfer
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "check FILE",
		Short: "Evaluate a letter in a file: SPF, DKIM, alignment, policy, and what would be done",
		Long: "Evaluate a letter in a file; \"-\" is the standard input. SPF is checked if --ip says\n" +
			"who handed the letter over.\n\n" +
			"The exit status is 0 when DMARC passes, 1 when it fails, does not apply or can not be\n" +
			"evaluated, and 2 when it can not be known.",
		Args: takes("FILE"),
	}))
	cmd.Flags().StringVar(&from.ip, "ip", "", "`address` of the host that handed the letter over")
	cmd.Flags().StringVar(&from.sender, "sender", "", "`address` of MAIL FROM (default that in Return-Path)")
	cmd.Flags().StringVar(&from.helo, "helo", "", "`name` in HELO")
	cmd.Flags().StringVar(&from.at, "at", "", "judge as if it were then, `2026-11-22T12:00:00Z`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		j, err := c.judgeFile(cmd.Context(), args[0], from)
		if err == nil {
			err = c.tellJudged(j)
		}
		if err != nil {
			return c.unjudged(err)
		}
		return j.status()
	}
	return cmd
}

// judgeFile checks everything that a server checks when the letter comes in.
func (c *command) judgeFile(ctx context.Context, name string, from transfer) (j judged, err error) {
	now, err := moment(from.at)
	if err != nil {
		return j, err
	}
	ip, err := from.address()
	if err != nil {
		return j, err
	}
	settings, err := c.settingsOrDefaults()
	if err != nil {
		return j, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return j, err
	}
	l, err := c.openLetter(name)
	if err != nil {
		return j, err
	}
	defer l.Close()
	ctx = dns.WithBudget(ctx, dns.DefaultBudget)
	if ip.IsValid() {
		j.SPF = from.spf(ctx, resolver, ip, l, now)
	}
	if j.DKIM, err = l.signatures(ctx, resolver, settings.DKIM.Options(), now); err != nil {
		return j, err
	}
	j.evaluate(ctx, resolver, l)
	return j, nil
}

func (t transfer) address() (netip.Addr, error) {
	if t.ip == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(t.ip)
	if err != nil {
		return ip, fmt.Errorf("--ip: %q is no address; expected one such as 192.0.2.1 or 2001:db8::1", t.ip)
	}
	return ip.Unmap(), nil
}

func (t transfer) spf(ctx context.Context, r *dns.Resolver, ip netip.Addr, l *letterFile, now time.Time) *spf.Result {
	sender := t.sender
	if sender == "" {
		sender = strings.Trim(l.header.Get("Return-Path"), "<> ")
	}
	result := spf.Check(ctx, r.SPF(), spf.Question{IP: ip, Helo: t.helo, Sender: strings.Trim(sender, "<>"), Now: now})
	return &result
}

// signatures verifies those of a letter.
func (l *letterFile) signatures(ctx context.Context, r *dns.Resolver, o dkim.Options, now time.Time) ([]dkim.Result, error) {
	body := dkim.NewBody()
	found := dkim.Read(l.header, body, o)
	if err := l.body(body); err != nil {
		return nil, err
	}
	return found.Verify(ctx, r.LookupTXT, now), nil
}

// evaluate puts together what was found.
func (j *judged) evaluate(ctx context.Context, r *dns.Resolver, l *letterFile) {
	q := dmarc.Question{Header: l.header, Exists: r.Exists}
	if j.SPF != nil {
		q.SPF = dmarc.SPF{Domain: j.SPF.Domain, Status: string(j.SPF.Status)}
	}
	for _, s := range j.DKIM {
		q.DKIM = append(q.DKIM, dmarc.DKIM{Domain: s.Domain, Selector: s.Selector, Status: string(s.Status)})
	}
	j.DMARC = dmarc.Evaluate(ctx, r.LookupTXT, q)
	j.Author = j.DMARC.Author
	j.Outcome = outcome(j.DMARC)
}

// outcome is what the settings have by default: policy = "honour".
func outcome(r dmarc.Result) string {
	switch {
	case r.Status == dmarc.PermError:
		return "refused, unless the settings take letters without one clear author"
	case r.Status == dmarc.Fail && r.Policy == dmarc.Reject:
		return "refused, unless something vouches for a mailing list or a forwarder on its way"
	case r.Status == dmarc.Fail && r.Policy == dmarc.Quarantine:
		return "delivered into Junk"
	case r.Status == dmarc.TempError:
		return "delivered; the DNS being silent is held against nobody"
	}
	return "delivered, as far as DMARC has a say"
}

// status is the exit status.
func (j judged) status() error {
	switch j.DMARC.Status {
	case dmarc.Pass:
		return nil
	case dmarc.TempError:
		return &toolError{notJudged}
	}
	return &toolError{notAuthentic}
}

// judgedRow is a line of the table.
type judgedRow struct{ check, result, domain, aligned, why string }

func (c *command) tellJudged(j judged) error {
	if c.json {
		return printJSON(c, j)
	}
	return list(c, j.rows(), "CHECK RESULT DOMAIN ALIGNED WHY", func(r judgedRow) []any {
		return []any{r.check, orDash(r.result), orDash(r.domain), orDash(r.aligned), orDash(r.why)}
	})
}

func (j judged) rows() []judgedRow {
	from := judgedRow{"from", fmt.Sprint(len(j.Author.Domains)), strings.Join(j.Author.Domains, ","), "", j.Author.Problem}
	rows := []judgedRow{from, j.spfRow()}
	for _, s := range j.DKIM {
		aligned := ""
		if j.DMARC.Record != nil && s.Status == dkim.Pass {
			aligned = yesOr(j.DMARC.DKIMAligned && s.Domain == j.DMARC.Signer, "no")
		}
		why := strings.TrimSuffix(fmt.Sprintf("selector %s, %s, %d bits; %s", s.Selector, s.Algorithm, s.Bits, s.Reason), "; ")
		rows = append(rows, judgedRow{"dkim", string(s.Status), s.Domain, aligned, why})
	}
	if len(j.DKIM) == 0 {
		rows = append(rows, judgedRow{"dkim", "none", "", "", "no signature"})
	}
	rows = append(rows, judgedRow{"dmarc", string(j.DMARC.Status), j.DMARC.Asked, "", j.DMARC.Reason})
	if r := j.DMARC; r.Record != nil {
		rows = append(rows, judgedRow{"policy", string(r.Policy), r.Domain, "", "tag " + r.Tag + " of " + r.Record.Text})
	}
	return append(rows, judgedRow{"here", "", "", "", j.Outcome})
}

func (j judged) spfRow() judgedRow {
	if j.SPF == nil {
		return judgedRow{"spf", "-", "", "", "not checked without --ip"}
	}
	aligned := ""
	if j.SPF.Status == spf.Pass && j.DMARC.Record != nil {
		aligned = yesOr(j.DMARC.SPFAligned, "no")
	}
	why := slices.DeleteFunc([]string{j.SPF.Mechanism, j.SPF.Problem}, func(s string) bool { return s == "" })
	return judgedRow{"spf", string(j.SPF.Status), j.SPF.Domain, aligned, strings.Join(why, ": ")}
}

func yesOr(yes bool, otherwise string) string {
	if yes {
		return "yes"
	}
	return otherwise
}
