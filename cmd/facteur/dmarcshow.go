package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dmarc"
	"facteur/internal/net/dns"
)

// dmarcView is what the DNS says of a domain, and what it means.
type dmarcView struct {
	Domain string          `json:"domain"`
	Steps  []dmarcStep     `json:"steps"`
	Org    string          `json:"organizational_domain"`
	Why    string          `json:"why"`
	Found  string          `json:"record_of,omitempty"`
	Record string          `json:"record,omitempty"`
	Policy dmarc.Policy    `json:"policy,omitempty"`
	Tag    string          `json:"tag,omitempty"`
	Means  []dmarc.Meaning `json:"means,omitempty"`
	Advice []string        `json:"advice,omitempty"`

	failed bool
}

// dmarcStep is a question of the tree walk.
type dmarcStep struct {
	Name   string `json:"name"`
	Answer string `json:"answer"`
}

func (c *command) dmarcShow() *cobra.Command {
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "show DOMAIN",
		Short: "Show the DMARC record of a domain: how it is found, what it means, what to improve",
		Long: "Show the DMARC record of a domain: each step up the tree of names, which domain is\n" +
			"the organisation's, what each tag of the record means, and what its owner should change.\n\n" +
			"The exit status is 0 when a record applies, 1 when none does, and 2 when the DNS did\nnot answer.",
		Args: takes("DOMAIN"),
	}))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := c.dmarcViewOf(cmd.Context(), args[0])
		if err == nil {
			err = c.tellDMARC(v)
		}
		switch {
		case err != nil:
			return c.unjudged(err)
		case v.failed:
			return &toolError{notJudged}
		case v.Record == "":
			return &toolError{notAuthentic}
		}
		return nil
	}
	return cmd
}

func (c *command) dmarcViewOf(ctx context.Context, name string) (v dmarcView, err error) {
	if v.Domain, err = address.CanonicalDomain(name); err != nil {
		return v, fmt.Errorf("%q is no domain: %w", name, err)
	}
	resolver, err := c.resolver()
	if err != nil {
		return v, err
	}
	ctx = dns.WithBudget(ctx, dns.DefaultBudget)
	tree := dmarc.Org(ctx, resolver.LookupTXT, v.Domain)
	v.Org, v.Why, v.failed = tree.Org, tree.Why, tree.Failed
	for _, s := range tree.Steps {
		v.Steps = append(v.Steps, dmarcStep{"_dmarc." + s.Domain, answerOf(s)})
	}
	exists := resolver.Exists(ctx, v.Domain).State() != lookup.NotFound
	v.explain(tree.Applies(v.Domain), exists)
	return v, nil
}

func answerOf(s dmarc.Step) string {
	switch {
	case s.Problem != "":
		return s.Problem
	case s.Record == nil:
		return "no record"
	case s.Ends:
		return s.Record.Text + "  (psd=" + s.Record.PSD + " ends the search)"
	}
	return s.Record.Text
}

// explain tells what the record that applies means for the domain.
func (v *dmarcView) explain(s *dmarc.Step, exists bool) {
	switch {
	case s == nil && v.failed:
		v.Why = "the DNS did not answer all questions, so another may be found later"
		return
	case s == nil:
		begin := records.Record{Name: "_dmarc." + v.Org, Type: "TXT", Value: "v=DMARC1; p=none; np=reject; rua=mailto:postmaster@" + v.Org}
		v.Advice = []string{fmt.Sprintf("No record applies: anybody may write in the name of %s. Begin with %s", v.Domain, begin)}
		return
	}
	v.Found, v.Record = s.Domain, s.Record.Text
	wanted, tag := s.Record.Wants(s.Domain == v.Domain, exists)
	v.Policy, v.Tag = s.Record.Effective(wanted), tag
	v.Means, v.Advice = s.Record.Explain(), s.Record.Advice(s.Domain)
}

func (c *command) tellDMARC(v dmarcView) error {
	if c.json {
		return printJSON(c, v)
	}
	p := page{out: c.out}
	p.heading("THE SEARCH")
	for i, s := range v.Steps {
		p.line("  %d  %s", i+1, s.Name)
		p.line("     %s", s.Answer)
	}
	p.line("")
	p.line("  The organisation's domain is %s: %s.", v.Org, v.Why)
	if v.Record != "" {
		p.heading("THE RECORD THAT APPLIES, OF " + v.Found)
		for _, m := range v.Means {
			p.line("  %s=%s", m.Tag, m.Value)
			p.line("     %s", m.Text)
		}
		p.line("")
		p.line("  For mail of %s that fails, its owner asks for: %s (tag %s).", v.Domain, v.Policy, v.Tag)
	}
	if len(v.Advice) > 0 {
		p.heading("WHAT TO IMPROVE")
		for _, a := range v.Advice {
			p.line("  - %s", a)
		}
	}
	return p.err
}

// page writes sections for people. What strangers wrote can't steer the terminal.
type page struct {
	out   io.Writer
	begun bool
	err   error
}

func (p *page) heading(title string) {
	if p.begun {
		p.line("")
	}
	p.line("%s", title)
}

func (p *page) line(format string, args ...any) {
	p.begun = true
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
	}
}
