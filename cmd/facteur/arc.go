package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/net/dns"
)

func (c *command) arcCommand() *cobra.Command {
	return group("arc", "Chains of seals of messages that were sent on", c.arcVerify(), c.arcSign())
}

func (c *command) arcVerify() *cobra.Command {
	var at string
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "verify FILE",
		Short: "Check the ARC chain of a letter in a file",
		Long: "Check the chain of ARC seals of a letter in a file, and tell what each sealer says of it;\n" +
			"\"-\" is the standard input. Whether a sealer is to be believed is not asked.\n\n" +
			"The exit status is 0 when the chain holds, 1 when it does not or there is none,\nand 2 when it can not be known.",
		Args: takes("FILE"),
	}))
	cmd.Flags().StringVar(&at, "at", "", "judge as if it were then, `2026-11-22T12:00:00Z`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := c.verifyChain(cmd.Context(), args[0], at)
		if err == nil {
			err = c.showChain(r)
		}
		if err != nil {
			return c.unjudged(err)
		}
		return arcStatus(r)
	}
	return cmd
}

func (c *command) verifyChain(ctx context.Context, name, at string) (arc.Result, error) {
	now, err := moment(at)
	if err != nil {
		return arc.Result{}, err
	}
	settings, err := c.settingsOrDefaults()
	if err != nil {
		return arc.Result{}, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return arc.Result{}, err
	}
	l, err := c.openLetter(name)
	if err != nil {
		return arc.Result{}, err
	}
	defer l.Close()
	o := settings.ARC.Options(settings.DKIM)
	o.Oldest = true
	body := dkim.NewBody()
	chain := arc.Read(l.header, body, o)
	if err := l.body(body); err != nil {
		return arc.Result{}, err
	}
	return chain.Verify(dns.WithBudget(ctx, dns.DefaultBudget), resolver.LookupTXT, now), nil
}

// showChain prints the result, and the sets with what their sealers say.
func (c *command) showChain(r arc.Result) error {
	if c.json {
		return list(c, []arc.Result{r}, "", nil)
	}
	fmt.Fprintln(c.out, printable(r.String()))
	switch {
	case r.OldestPass == 0:
		fmt.Fprintln(c.out, "The message is as the first of them sealed it.")
	case r.OldestPass > 0:
		fmt.Fprintf(c.out, "The message is as set %d sealed it; it was changed before.\n", r.OldestPass)
	}
	if len(r.Sets) == 0 {
		return nil
	}
	return list(c, r.Sets, "SET SEALER SELECTOR SEALED CHAIN FOUND", func(s arc.Set) []any {
		return []any{s.Instance, s.Domain, s.Selector, sealed(s), string(s.Chain), findings(s.Results)}
	})
}

func sealed(s arc.Set) string {
	if s.Time.IsZero() {
		return "-"
	}
	return s.Time.UTC().Format(time.RFC3339)
}

// findings are what a server found out, in short.
func findings(r *authres.Results) string {
	if r == nil {
		return "-"
	}
	text := ""
	for _, m := range r.Methods {
		text += m.Name + "=" + m.Result + " "
	}
	return text + "(" + r.ID + ")"
}

// arcStatus is the exit status: nothing for a chain that holds.
func arcStatus(r arc.Result) error {
	switch r.Status {
	case arc.Pass:
		return nil
	case arc.TempError:
		return &toolError{notJudged}
	}
	return &toolError{notAuthentic}
}

func (c *command) arcSign() *cobra.Command {
	var f dkimSignFlags
	var chain, results string
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Put an ARC seal on a letter in a file, and print it",
		Long: "Put a set of the ARC fields on a letter in a file, with a key in a file, and print it;\n\"-\" is the standard input.\n\n" +
			"What the letter was when it came is taken from its topmost Authentication-Results, unless\n--results says it. The chain that it has is not checked: say with --chain what it was.",
		Args: takes("FILE"),
	}
	f.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&chain, "chain", "none", "`word` for the chain that the letter came with: none, pass or fail (cv=)")
	flags.StringVar(&results, "results", "", "`text` of Authentication-Results, as \"mx.example.org; spf=pass\"")
	flags.BoolVar(&f.field, "field", false, "print the set only")
	f.canons = "relaxed/relaxed"
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := c.sealFile(args[0], f, arc.Status(chain), results); err != nil {
			return c.unjudged(err)
		}
		return nil
	}
	return cmd
}

func (c *command) sealFile(name string, f dkimSignFlags, chain arc.Status, results string) error {
	key, err := f.readKey()
	if err != nil {
		return err
	}
	now, err := moment(f.at)
	if err != nil {
		return err
	}
	l, err := c.openLetter(name)
	if err != nil {
		return err
	}
	defer l.Close()
	if results == "" {
		results = l.header.Get(authres.FieldName)
	}
	found, err := authres.Parse(results)
	if err != nil {
		return fmt.Errorf("what the letter was when it came: %w; expected --results, or an Authentication-Results in the letter", err)
	}
	body := dkim.NewBody()
	want := dkim.Form{}.Wants(body)
	if err := l.body(body); err != nil {
		return err
	}
	set, err := arc.Seal(l.header, chain, found, body.Sum(want), key, dkim.Form{}, now)
	if err != nil {
		return err
	}
	set = l.inItsLines(set)
	if f.field {
		return c.write(set)
	}
	return errors.Join(c.write(set), c.write(l.header), l.body(c.out))
}
