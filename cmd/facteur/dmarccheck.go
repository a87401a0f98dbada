package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
)

// transfer is what a letter in a file does not tell: how it was handed over.
type transfer struct{ ip, sender, helo string }

// judged is the whole evaluation of a letter, by the rules of the door.
type judged struct {
	Author dmarc.Author  `json:"author"`
	SPF    *spf.Result   `json:"spf,omitempty"`
	DKIM   []dkim.Result `json:"dkim,omitempty"`
	ARC    arc.Result    `json:"arc,omitzero"`
	DMARC  dmarc.Result  `json:"dmarc"`
	// Outcome is what the server would do, Because why.
	Outcome filter.Disposition `json:"outcome"`
	Because string             `json:"because,omitempty"`
	// Field is the Authentication-Results that it would write.
	Field string `json:"field"`
}

func (c *command) dmarcCheck() *cobra.Command {
	var from transfer
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "check FILE",
		Short: "Evaluate a letter in a file: SPF, DKIM, alignment, policy, and what would be done",
		Long: "Evaluate a letter in a file as if a stranger handed it over now; \"-\" is the standard\n" +
			"input. SPF is checked if --ip says who did. What the server has learnt of forwarders is\n" +
			"not taken into account.\n\n" +
			"The exit status is 0 when DMARC passes, 1 when it fails, does not apply or can not be\n" +
			"evaluated, and 2 when it can not be known.",
		Args: takes("FILE"),
	}))
	cmd.Flags().StringVar(&from.ip, "ip", "", "`address` of the host that hands the letter over")
	cmd.Flags().StringVar(&from.sender, "sender", "", "`address` of MAIL FROM (default that in Return-Path)")
	cmd.Flags().StringVar(&from.helo, "helo", "", "`name` in HELO")
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

// judgeFile takes the letter through the checks of the door.
func (c *command) judgeFile(ctx context.Context, name string, from transfer) (j judged, err error) {
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
	sender, err := from.envelope(l)
	if err != nil {
		return j, err
	}
	rules := strangers(settings.FilterRules(), ip.IsValid())
	check := filter.New(rules, resolver, nil).Open(ctx, nil, filter.Letter{Client: filter.Client{Addr: ip, Helo: from.helo}, Sender: sender})
	defer check.Close()
	if err := l.writeTo(check.Read(l.header, false)); err != nil {
		return j, err
	}
	verdict := check.Judge(ctx)
	e := check.Evidence()
	j = judged{Author: e.DMARC.Author, SPF: e.SPF(), DKIM: e.DKIM, ARC: e.ARC, DMARC: e.DMARC, Outcome: verdict.Disposition, Because: verdict.Because}
	j.Field = strings.Join(strings.Fields(string(rules.Results(e, verdict).Field())), " ")
	return j, nil
}

// strangers are the rules for a letter that is to be explained: nobody is spared, and
// all is found out, whether or not the server acts on it.
func strangers(r *filter.Rules, client bool) *filter.Rules {
	r.Ignored, r.IgnoredNames = nil, nil
	r.SPF.Enabled, r.DKIM, r.ARC = client, true, true
	if r.DMARC.Policy == filter.Off {
		r.DMARC.Policy = filter.Score
	}
	return r
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

// envelope is the sender that is named, else the one that the last host wrote down.
func (t transfer) envelope(l *letterFile) (address.Address, error) {
	sender := t.sender
	if sender == "" {
		sender = l.header.Get("Return-Path")
	}
	if sender = strings.Trim(sender, "<> "); sender == "" {
		return address.Address{}, nil
	}
	a, err := address.Parse(sender)
	if err != nil && t.sender != "" {
		return a, fmt.Errorf("--sender: %q: %w", t.sender, err)
	}
	return a, nil
}

// writeTo gives the body to who wants it; nil: nobody does.
func (l *letterFile) writeTo(w io.Writer) error {
	if w == nil {
		return nil
	}
	return l.body(w)
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
	if j.ARC.Status != "" && j.ARC.Status != arc.None {
		rows = append(rows, judgedRow{"arc", string(j.ARC.Status), j.ARC.Sealer(), "", j.ARC.Reason})
	}
	rows = append(rows, judgedRow{"dmarc", string(j.DMARC.Status), j.DMARC.Asked, "", j.DMARC.Reason})
	if r := j.DMARC; r.Record != nil {
		rows = append(rows, judgedRow{"policy", string(r.Policy), r.Domain, "", "tag " + r.Tag + " of " + r.Record.Text})
	}
	return append(rows, judgedRow{"here", string(j.Outcome), "", "", j.Because})
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
