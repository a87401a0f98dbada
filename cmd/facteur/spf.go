package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/mail/spf"
	"facteur/internal/net/dns"
)

func (c *command) spfCommand() *cobra.Command {
	return group("spf", "Which hosts may send mail for a domain", c.spfCheck(), c.spfShow(), c.spfPreapproved())
}

func (c *command) spfCheck() *cobra.Command {
	var q spfWords
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "check --ip ADDRESS [--sender ADDRESS] [--helo NAME]",
		Short: "Check whether a host may send mail for a domain",
		Long: "Check whether a host may send mail for the domain of a sender, or without one\nfor its HELO name.\n\n" +
			"The exit status is 0 for pass, 1 for anything else, and 2 when it can not be known.",
		Args: cobra.NoArgs,
	}))
	cmd.Flags().StringVar(&q.ip, "ip", "", "`address` of the host")
	cmd.Flags().StringVar(&q.sender, "sender", "", "reverse-path, `user@example.org`")
	cmd.Flags().StringVar(&q.helo, "helo", "", "`name` that the host calls itself")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		question, result, err := c.askSPF(cmd.Context(), q)
		if err != nil {
			return c.unjudged(err)
		}
		if err := c.showSPF(question, result); err != nil {
			return err
		}
		switch result.Status {
		case spf.Pass:
			return nil
		case spf.TempError:
			return &toolError{notJudged}
		}
		return &toolError{notAuthentic}
	}
	return cmd
}

// spfWords is a question as somebody wrote it.
type spfWords struct{ ip, sender, helo, receiver string }

func (c *command) askSPF(ctx context.Context, w spfWords) (spf.Question, spf.Result, error) {
	ip, err := netip.ParseAddr(w.ip)
	if err != nil {
		return spf.Question{}, spf.Result{}, fmt.Errorf("--ip: expected an address such as 192.0.2.1, found %q", w.ip)
	}
	if w.sender == "" && w.helo == "" {
		return spf.Question{}, spf.Result{}, fmt.Errorf("expected --sender, --helo or both")
	}
	resolver, err := c.resolver()
	if err != nil {
		return spf.Question{}, spf.Result{}, err
	}
	q := spf.Question{IP: ip.Unmap(), Helo: w.helo, Sender: strings.Trim(w.sender, "<>"), Receiver: w.receiver, Now: time.Now()}
	return q, spf.Check(dns.WithBudget(ctx, dns.DefaultBudget), resolver.SPF(), q), nil
}

// spfAnswer is a result as JSON.
type spfAnswer struct {
	Result      spf.Status   `json:"result"`
	Identity    spf.Identity `json:"identity"`
	Domain      string       `json:"domain"`
	Mechanism   string       `json:"mechanism,omitempty"`
	Path        []spfStep    `json:"path,omitempty"`
	Explanation string       `json:"explanation,omitempty"`
	Lookups     int          `json:"lookups"`
	Voids       int          `json:"void_lookups"`
	Problem     string       `json:"problem,omitempty"`
	Header      string       `json:"received_spf"`
}

type spfStep struct {
	Domain string `json:"domain"`
	Term   string `json:"term"`
}

func (c *command) showSPF(q spf.Question, r spf.Result) error {
	answer := spfAnswer{r.Status, r.Identity, r.Domain, r.Mechanism, nil, r.Explanation, r.Lookups, r.Voids, r.Problem, spf.Header(r, q)}
	for _, s := range r.Path {
		answer.Path = append(answer.Path, spfStep(s))
	}
	if c.json {
		return printJSON(c, answer)
	}
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(c.out, "%-14s%s\n", name+":", printable(value))
		}
	}
	line("Result", string(r.Status))
	line("Identity", strings.TrimSpace(string(r.Identity)+" "+r.Domain))
	for i, s := range r.Path {
		name := "Decided by"
		if i > 0 {
			name = "  and there"
		}
		line(name, s.Domain+": "+s.Term)
	}
	line("Meaning", r.Sentence(q))
	line("Explanation", r.Explanation)
	line("Look-ups", fmt.Sprintf("%d of %d, %d of %d without an answer", r.Lookups, spf.MaxLookups, r.Voids, spf.MaxVoids))
	line("Received-SPF", answer.Header)
	return nil
}
