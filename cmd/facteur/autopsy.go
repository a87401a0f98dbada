package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/config"
	"facteur/internal/mail/anatomy"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/net/dns"
)

// autopsy is a letter taken apart, and what its signatures say today.
type autopsy struct {
	Letter *anatomy.Letter `json:"letter"`
	// Checked is what was verified now; absent with --offline.
	Checked *checkedNow `json:"checked,omitempty"`
}

type checkedNow struct {
	DKIM  []dkim.Result `json:"dkim"`
	ARC   arc.Result    `json:"arc"`
	DMARC dmarc.Result  `json:"dmarc"`
}

func (c *command) autopsyCommand() *cobra.Command {
	var trusted []string
	var offline bool
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "autopsy FILE",
		Short: "Take a letter in a file apart: its way, who vouches for it, its parts and links",
		Long: "Take a letter in a file apart; \"-\" is the standard input. It tells which way the letter\n" +
			"came and which of its Received lines can be believed, what others and its own signatures\n" +
			"say about it, what filters on its way have written into it, its parts, attachments and\n" +
			"links, and of a notice why it came and the letter inside.\n\n" +
			"Hosts that are believed are those of --trusted, else this server; on a machine without\n" +
			"settings, the one that wrote the topmost line.\n\n" +
			"The exit status is 0, or 2 when the letter can't be read.",
		Args: takes("FILE"),
	}))
	cmd.Flags().StringSliceVar(&trusted, "trusted", nil, "`hosts` whose Received lines and results are believed")
	cmd.Flags().BoolVar(&offline, "offline", false, "ask the DNS nothing: signatures are not verified")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := c.dissect(cmd.Context(), args[0], trusted, offline)
		if err == nil {
			err = c.tellAutopsy(a)
		}
		if err != nil {
			return c.unjudged(err)
		}
		return nil
	}
	return cmd
}

func (c *command) dissect(ctx context.Context, name string, trusted []string, offline bool) (a autopsy, err error) {
	l, err := c.openLetter(name)
	if err != nil {
		return a, err
	}
	defer l.Close()
	settings, err := c.settingsOrDefaults()
	if err != nil {
		return a, err
	}
	if len(trusted) == 0 && settings.Hostname != config.Default().Hostname {
		trusted = []string{settings.Hostname}
	}
	info, err := l.Stat()
	if err != nil {
		return a, err
	}
	if a.Letter, err = anatomy.Dissect(l, info.Size(), anatomy.Options{Trusted: trusted}); err != nil || offline {
		return a, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return a, err
	}
	a.Checked, err = l.check(dns.WithBudget(ctx, dns.DefaultBudget), resolver, settings)
	return a, err
}

// check verifies what can still be verified: keys may be gone since.
func (l *letterFile) check(ctx context.Context, r *dns.Resolver, settings *config.Config) (*checkedNow, error) {
	body := dkim.NewBody()
	signatures := dkim.Read(l.header, body, settings.DKIM.Options())
	chain := arc.Read(l.header, body, settings.ARC.Options(settings.DKIM))
	if err := l.body(body); err != nil {
		return nil, err
	}
	now := time.Now()
	found := &checkedNow{DKIM: signatures.Verify(ctx, r.LookupTXT, now), ARC: chain.Verify(ctx, r.LookupTXT, now)}
	q := dmarc.Question{Header: l.header, Exists: r.Exists}
	for _, s := range found.DKIM {
		q.DKIM = append(q.DKIM, dmarc.DKIM{Domain: s.Domain, Selector: s.Selector, Status: string(s.Status)})
	}
	found.DMARC = dmarc.Evaluate(ctx, r.LookupTXT, q)
	return found, nil
}

func (c *command) tellAutopsy(a autopsy) error {
	if c.json {
		return printJSON(c, a)
	}
	p := &page{out: c.out}
	tellLetter(p, a.Letter, "THE LETTER", a.Checked)
	return p.err
}

// tellLetter writes all sections of a letter, and those of the one inside it.
func tellLetter(p *page, l *anatomy.Letter, title string, checked *checkedNow) {
	p.heading(title)
	for _, f := range [][2]string{{"From", l.From}, {"Reply-To", l.ReplyTo}, {"To", l.To}, {"Subject", l.Subject}, {"Message-ID", l.MessageID}} {
		if f[1] != "" {
			p.line("  %-12s%s", f[0], f[1])
		}
	}
	if !l.Date.IsZero() {
		p.line("  %-12s%s", "Date", l.Date.Format("Mon 2 Jan 2006 15:04:05 -0700"))
	}
	p.line("  %-12s%s", "Size", size(l.Size))
	if len(l.Warnings) > 0 {
		p.heading("WHAT TO KNOW")
		for _, w := range l.Warnings {
			p.line("  ! %s", w)
		}
	}
	tellPath(p, l)
	tellClaims(p, l)
	tellChecked(p, checked)
	tellMarks(p, l)
	tellParts(p, l)
	tellLinks(p, l)
	tellNotice(p, l)
	if l.LeftOut > 0 {
		p.line("")
		p.line("  There is more of it than is told here: %d things were left out.", l.LeftOut)
	}
}

// tellPath writes a line or two for each hop, the first on the way first.
func tellPath(p *page, l *anatomy.Letter) {
	if len(l.Hops) == 0 {
		return
	}
	p.heading("ITS WAY, THE FIRST HOST FIRST")
	for i, h := range l.Hops {
		when := "no time"
		if !h.Time.IsZero() {
			when = h.Time.UTC().Format("2006-01-02 15:04:05Z")
		}
		if h.Delay != 0 {
			when += fmt.Sprintf("  %+ds", int64(h.Delay.Seconds()))
		}
		p.line("  %2d  %-10s  %s  %s", i+1, h.Belief, orDash(h.By), when)
		if from := hopFrom(h); from != "" {
			p.line("      %s", from)
		}
		p.line("      %s", h.Why)
	}
	if h := l.Handover(); h != nil && !h.Local {
		p.line("")
		p.line("  Certain is only that %s handed it over to %s.", peerOf(*h), h.By)
	}
}

// hopFrom says in a line whom the host had the letter from, and how.
func hopFrom(h anatomy.Hop) string {
	var said []string
	if !h.Local {
		said = append(said, "from "+peerOf(h))
	} else {
		said = append(said, "handed in on the machine itself")
	}
	for _, f := range [][2]string{{"with ", h.With}, {"id ", h.ID}, {"for ", h.For}} {
		if f[1] != "" {
			said = append(said, f[0]+f[1])
		}
	}
	return strings.Join(append(said, h.Notes...), ", ")
}

// peerOf is who the client was: what is certain first, what it said of itself last.
func peerOf(h anatomy.Hop) string {
	var said []string
	if h.Name != "" {
		said = append(said, h.Name)
	}
	if h.IP.IsValid() {
		said = append(said, "["+h.IP.String()+"]")
	}
	if h.Helo != "" && !strings.EqualFold(h.Helo, h.Name) {
		said = append(said, "calling itself "+h.Helo)
	}
	return strings.Join(said, " ")
}

func tellClaims(p *page, l *anatomy.Letter) {
	if len(l.Claims) == 0 {
		return
	}
	p.heading("WHAT OTHERS SAY THAT THEY CHECKED")
	for _, claim := range l.Claims {
		who := orDash(claim.ID)
		if claim.Instance > 0 {
			who += fmt.Sprintf(" (ARC %d)", claim.Instance)
		}
		p.line("  %-10s  %s: %s", claim.Belief, who, claim.Why)
		for _, m := range claim.Methods {
			said := m.Name + "=" + m.Result
			for _, prop := range m.Properties {
				said += " " + strings.TrimPrefix(prop.Type+"."+prop.Name, ".") + "=" + prop.Value
			}
			if m.Comment != "" {
				said += " (" + m.Comment + ")"
			}
			p.line("              %s", said)
		}
	}
}

func tellChecked(p *page, found *checkedNow) {
	if found == nil {
		return
	}
	p.heading("WHAT ITS SIGNATURES SAY TODAY")
	if len(found.DKIM) == 0 {
		p.line("  dkim   none")
	}
	for _, s := range found.DKIM {
		p.line("  dkim   %s  %s", s.Status, strings.Join(nonEmpty(s.Domain, "selector "+s.Selector, s.Algorithm, s.Reason), ", "))
	}
	p.line("  arc    %s  %s", found.ARC.Status, found.ARC.Reason)
	for _, s := range found.ARC.Sets {
		p.line("         %d  sealed by %s", s.Instance, s.Domain)
	}
	p.line("  dmarc  %s  %s", found.DMARC.Status, strings.Join(nonEmpty(found.DMARC.Asked, found.DMARC.Reason), ": "))
	if found.DMARC.Status == dmarc.Fail {
		p.line("         (by signatures alone; \"facteur dmarc check --ip ADDRESS\" takes SPF into account)")
	}
}

func nonEmpty(texts ...string) []string {
	var said []string
	for _, s := range texts {
		if s != "" {
			said = append(said, s)
		}
	}
	return said
}

func tellMarks(p *page, l *anatomy.Letter) {
	if len(l.Marks) == 0 {
		return
	}
	p.heading("WHAT WAS WRITTEN INTO IT ON THE WAY")
	for _, m := range l.Marks {
		p.line("  %s: %s", m.Field, m.Value)
		if m.Meaning != "" {
			p.line("      %s", m.Meaning)
		}
	}
}

func tellParts(p *page, l *anatomy.Letter) {
	p.heading("ITS PARTS")
	for _, part := range l.Parts {
		what := part.Type
		if part.Name != "" {
			what += fmt.Sprintf("  %q", part.Name)
		}
		if part.Decoded > 0 {
			what += "  " + size(part.Decoded)
		}
		p.line("  %-6s%s%s", part.Number, strings.Repeat("  ", min(part.Depth, 20)),
			strings.Join(nonEmpty(what, part.Charset, encodingOf(part), part.Kind), "  "))
		indent := strings.Repeat(" ", 10+2*min(part.Depth, 20))
		if part.Given != "" {
			p.line("%sthe sender calls it %q", indent, part.Given)
		}
		for _, e := range part.Entries {
			p.line("%scontains %q%s", indent, e.Name, entryNote(e))
		}
		if part.More > 0 {
			p.line("%sand %d more", indent, part.More)
		}
		for _, odd := range part.Odd {
			p.line("%sodd: %s", indent, odd)
		}
	}
}

func encodingOf(p anatomy.Part) string {
	if p.Encoding == "7bit" {
		return ""
	}
	return p.Encoding
}

func entryNote(e anatomy.Entry) string {
	switch {
	case e.Runs:
		return ", which would be run"
	case e.Locked:
		return ", locked"
	}
	return ""
}

func tellLinks(p *page, l *anatomy.Letter) {
	if len(l.Links) == 0 {
		return
	}
	p.heading("ITS LINKS")
	for _, k := range l.Links {
		p.line("  %-6s%s", k.Part, k.URL)
		if k.Text != "" && k.Text != k.URL {
			p.line("          shown as %q", k.Text)
		}
		if k.Doubt != "" {
			p.line("        ! %s", k.Doubt)
		}
	}
}

func tellNotice(p *page, l *anatomy.Letter) {
	n := l.Notice
	if n == nil {
		return
	}
	p.heading("IT IS A NOTICE, BY " + orDash(n.Reporter))
	for _, r := range n.Recipients {
		p.line("  %s: %s", r.Address, strings.Join(nonEmpty(r.Action, r.Status), " "))
		if r.Diagnostic != "" {
			p.line("      %s said: %s", orDash(r.Remote), r.Diagnostic)
		}
		for _, s := range nonEmpty(r.Cause, r.Cure, r.Link) {
			p.line("      %s", s)
		}
	}
	for _, s := range n.Why {
		p.line("  %s", s)
	}
	if n.Inner != nil {
		tellLetter(p, n.Inner, "THE LETTER THAT IT IS ABOUT", nil)
	}
}
