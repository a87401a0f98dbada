package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/spf"
)

func (c *command) spfShow() *cobra.Command {
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "show DOMAIN",
		Short: "Show what the SPF records of a domain come to, and what is wrong with them",
		Long: "Show what the SPF records of a domain come to: who may send, what a check costs,\nand which limits they are near.\n\n" +
			"The exit status is 0 for valid records, 1 for others and for none, and 2 when it\ncan not be known.",
		Args: takes("DOMAIN"),
	}))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		domain, err := address.CanonicalDomain(args[0])
		if err != nil {
			return c.unjudged(fmt.Errorf("%q is no domain: %w", args[0], err))
		}
		resolver, err := c.resolver()
		if err != nil {
			return c.unjudged(err)
		}
		a := spf.Show(cmd.Context(), resolver.SPF(), domain)
		switch a.State() {
		case lookup.TryAgain:
			return c.unjudged(a.Err())
		case lookup.NotFound:
			return a.Err()
		}
		return c.showView(a.Value())
	}
	return cmd
}

func (c *command) showView(v spf.View) error {
	status := error(nil)
	if !v.Valid() {
		status = &toolError{notAuthentic}
	}
	if c.json {
		if err := printJSON(c, v); err != nil {
			return err
		}
		return status
	}
	out := bufio.NewWriter(c.out)
	for _, r := range v.Records {
		showRecord(out, r)
	}
	fmt.Fprintf(out, "SPF record for domain '%s': %s\n\n", v.Domain, validity(v.Valid()))
	showTotals(out, v)
	fmt.Fprintf(out, "All others: %s\n", v.Others)
	showList(out, "\nProblems:", v.Problems)
	showList(out, "\nAdvice:", v.Advice)
	if err := out.Flush(); err != nil {
		return err
	}
	return status
}

func validity(ok bool) string {
	if ok {
		return "valid"
	}
	return "invalid"
}

func showList(out *bufio.Writer, heading string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintln(out, heading)
	}
	for _, l := range lines {
		fmt.Fprintln(out, "  "+printable(l))
	}
}

// showRecord shows one record and what its terms stand for.
func showRecord(out *bufio.Writer, r spf.RecordView) {
	_, policy, _ := strings.Cut(r.Text, " ")
	fmt.Fprintf(out, "%s:\n  policy:\n    %s\n\n  %s\n\n", r.Domain, printable(policy), validity(r.Problem == ""))
	for _, result := range []spf.Status{spf.Pass, spf.Neutral, spf.SoftFail, spf.Fail} {
		showSources(out, result, r.Sources)
	}
	if r.Redirect != "" {
		fmt.Fprintf(out, "  All others: as %s says\n\n", printable(r.Redirect))
	}
	for _, s := range r.Sources {
		if s.Mechanism == spf.All {
			fmt.Fprintf(out, "  All others: %s\n\n", s.Result)
		}
	}
}

// showSources shows the terms of one result, by mechanism: the names, and the addresses.
func showSources(out *bufio.Writer, result spf.Status, sources []spf.Source) {
	said := false
	for _, m := range []spf.Mechanism{spf.A, spf.MX, spf.IP4, spf.IP6, spf.Include, spf.Exists, spf.PTR} {
		var names []string
		var networks []netip.Prefix
		for _, s := range sources {
			if s.Mechanism != m || s.Result != result {
				continue
			}
			if s.Name != "" {
				names = append(names, s.Name)
			} else if m != spf.IP4 && m != spf.IP6 {
				names = append(names, s.Term)
			}
			networks = append(networks, s.Networks...)
		}
		if len(names)+len(networks) == 0 {
			continue
		}
		if !said {
			fmt.Fprintf(out, "  %s:\n", result)
			said = true
		}
		if len(names) > 0 {
			fmt.Fprintf(out, "    %s (%s):\n", m, howMany(len(names), "name"))
			for _, n := range names {
				fmt.Fprintf(out, "      %s\n", printable(n))
			}
			fmt.Fprintln(out)
		}
		if len(networks) > 0 {
			fmt.Fprintf(out, "    %s (%s):\n", m, howMany(len(networks), "IP"))
			for _, n := range networks {
				fmt.Fprintf(out, "      %s\n", network(n))
			}
			fmt.Fprintln(out)
		}
	}
}

func howMany(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// network is a network as people write it: an address without a length if it is one.
func network(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// showTotals shows the sums.
func showTotals(out *bufio.Writer, v spf.View) {
	fmt.Fprintf(out, "Total counts:\n  %-32s: %d\n", "Total number of DNS lookups", v.Lookups)
	if v.Voids > 0 {
		fmt.Fprintf(out, "  %-32s: %d\n", "Of them without an answer", v.Voids)
	}
	fmt.Fprintf(out, "\n  pass:\n")
	total := func(what string, n int) {
		if n > 0 {
			fmt.Fprintf(out, "    Total # of %-19s: %d\n", what, n)
		}
	}
	for _, m := range []spf.Mechanism{spf.A, spf.MX, spf.Include, spf.Exists, spf.PTR, spf.IP4, spf.IP6} {
		total(string(m)+" directives", directives(v, m))
	}
	single := func(four, one bool) int {
		return len(slices.DeleteFunc(slices.Clone(v.Pass), func(p netip.Prefix) bool { return p.Addr().Is4() != four || p.IsSingleIP() != one }))
	}
	total("ip4 addresses", single(true, true))
	total("ip4 networks", single(true, false))
	total("ip6 addresses", single(false, true))
	total("ip6 networks", single(false, false))
	fmt.Fprintln(out)
}

// directives is how many terms of a mechanism pass.
func directives(v spf.View, m spf.Mechanism) (n int) {
	for _, r := range v.Records {
		for _, s := range r.Sources {
			if s.Mechanism == m && s.Result == spf.Pass {
				n++
			}
		}
	}
	return n
}
