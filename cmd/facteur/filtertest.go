package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/client"
	"facteur/internal/flow/filter/dnslist"
	inside "facteur/internal/flow/filter/letter"
	"facteur/internal/flow/replay"
	"facteur/internal/net/dns"
	"facteur/internal/store/policy"
)

// handed is how a letter was handed over, as options say it.
type handed struct {
	transfer
	name, account string
	rcpt          []string
}

func (c *command) filterTest() *cobra.Command {
	var from handed
	cmd := c.withDNS(c.withJSON(&cobra.Command{
		Use:   "test FILE",
		Short: "Show what the filter makes of a letter in a file: the evidence, the score, the fate",
		Long: "Show what the filter makes of a letter in a file, as if a stranger handed it over now; \"-\" is\n" +
			"the standard input. Who handed it over is read from the Received field on top, unless --ip says it;\n" +
			"what this server wrote above the letter when it came is not judged.\n\n" +
			"A running server looks at it with all that it has: its lists in the DNS, scanners, what it\n" +
			"has been taught, the reputation of who sends, policies, and lists of senders; with --as those of an\n" +
			"account, too. Nothing of it is remembered. Without a running server, or with --dns, only\n" +
			"the letter, the DNS and what ships with the filter are asked: not what it was taught, nor reputation,\n" +
			"nor lists of senders. Lists in the DNS are then asked with --dns alone. How a client behaves at\n" +
			"the door, greylisting, rules and milters are never part of it.",
		Args: takes("FILE"),
	}))
	f := cmd.Flags()
	f.StringVar(&from.ip, "ip", "", "`address` of the host that hands the letter over")
	f.StringVar(&from.name, "name", "", "its confirmed `name`")
	f.StringVar(&from.helo, "helo", "", "`name` in HELO")
	f.StringVar(&from.sender, "sender", "", "`address` of MAIL FROM (default that in Return-Path)")
	f.StringArrayVar(&from.rcpt, "rcpt", nil, "`address` of a recipient")
	f.StringVar(&from.account, "as", "", "judge as for this `account`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := c.weighFile(cmd.Context(), args[0], from)
		if err != nil {
			return err
		}
		return c.tellWeighed(w)
	}
	return cmd
}

// weighFile takes the letter through the filter as a stranger's: that of the server, else
// one of our own.
func (c *command) weighFile(ctx context.Context, name string, from handed) (w control.Weighed, err error) {
	file, err := c.openLetter(name)
	if err != nil {
		return w, err
	}
	defer file.Close()
	trial, err := from.trial(file)
	if err != nil {
		return w, err
	}
	if _, missing := config.Find(c.settings); c.dns == "" && (missing == nil || c.settings != "") {
		err = c.withOffice(ctx, func(ctx context.Context, o control.Office) (err error) {
			w, err = o.TryLetter(ctx, trial)
			return err
		})
		if err != nil || !w.Closed {
			return w, err
		}
	}
	f, err := c.ownFilter(ctx, from.account)
	if err != nil {
		return w, err
	}
	return trial.By(ctx, f)
}

// ownFilter is a filter with what needs no running server.
func (c *command) ownFilter(ctx context.Context, account string) (*filter.Filter, error) {
	settings, err := c.settingsOrDefaults()
	if err != nil {
		return nil, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return nil, err
	}
	wants, err := c.wantsOf(ctx, settings, account)
	if err != nil {
		return nil, err
	}
	rules := settings.FilterRules()
	if rules.Checks, err = c.offlineChecks(ctx, settings, resolver, wants); err != nil {
		return nil, err
	}
	return filter.New(rules, resolver, nil).Obeys(nil, wants), nil
}

// offlineChecks are those that need no running server.
func (c *command) offlineChecks(ctx context.Context, settings *config.Config, resolver *dns.Resolver, wants policy.Effective) ([]filter.Check, error) {
	checks, err := app.LetterChecks(nil)
	if err != nil {
		return nil, err
	}
	checks = append(checks, app.ContentChecks(settings, inside.House{Languages: func(string) []string { return wants.Languages }})...)
	self := client.Self{Hostname: settings.Hostname, Addrs: settings.PublicAddresses(), Ours: func(string) bool { return false }}
	checks = append(checks, client.NewName(resolver, func() client.Self { return self }))
	if c.dns == "" {
		return checks, nil
	}
	asked, err := settings.AskedLists()
	if err != nil {
		return nil, err
	}
	lists := dnslist.New(resolver, event.Discard)
	lists.Configure(dnslist.Rules{Lists: asked})
	lists.Test(ctx)
	return append(checks, lists.Clients(), lists.Domains()), nil
}

// wantsOf is what an account wants of the filter; the server's own where none is named.
func (c *command) wantsOf(ctx context.Context, settings *config.Config, account string) (policy.Effective, error) {
	wants := settings.Standard()
	if account == "" {
		return wants, nil
	}
	err := c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		a, err := o.FilterPolicies(ctx, control.PolicyQuery{Address: account})
		for _, v := range a.Values {
			if err == nil {
				err = take(&wants, v.Key, v.Value)
			}
		}
		return err
	})
	return wants, err
}

// take takes a value that matters here, from text.
func take(e *policy.Effective, key, value string) (err error) {
	levels := map[string]*float64{"mark": &e.Mark, "junk": &e.Junk, "kill": &e.Kill, "cutoff": &e.Cutoff}
	if level := levels[key]; level != nil {
		*level, err = policy.ParseLevel(value)
	}
	if category, is := strings.CutPrefix(key, "destinies."); is {
		e.Destinies[policy.Category(category)] = policy.Destiny(value)
	}
	return err
}

// trial is the letter and how it was handed over: as the options say, else as its trace
// does.
func (h *handed) trial(file *letterFile) (t control.LetterTrial, err error) {
	if t.Addr, err = h.address(); err != nil {
		return t, err
	}
	t.Name, t.Helo, t.To, t.Account = h.name, h.helo, h.rcpt, h.account
	if by, _ := replay.Handover(file.header); !t.Addr.IsValid() && by.Addr.IsValid() {
		t.Addr, t.Name, t.Helo = by.Addr, cmp.Or(t.Name, by.Name), cmp.Or(t.Helo, by.Helo)
	}
	sender, err := h.envelope(file)
	if err != nil {
		return t, err
	}
	if !sender.IsNull() {
		t.Sender = sender.String()
	}
	t.Text, err = io.ReadAll(io.NewSectionReader(file, 0, control.MaxTrial+1))
	if err == nil && len(t.Text) > control.MaxTrial {
		err = fmt.Errorf("%s: it is larger than %d MiB", file.Name(), control.MaxTrial>>20)
	}
	return t, err
}

func (c *command) tellWeighed(w control.Weighed) error {
	if c.json {
		return printJSON(c, w)
	}
	err := list(c, w.Evidence, "SCORE NAME COST SENTENCE", func(r control.Weight) []any {
		sentence := r.Sentence
		if r.Note != "" {
			sentence += " (" + r.Note + ")"
		}
		return []any{r.Weight, r.Name, fmt.Sprintf("%.1fms", r.Cost), sentence}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\nScore %g, junk from %s: %s.", w.Score, policy.LevelText(w.Required), w.Fate)
	if w.Because != "" {
		fmt.Fprintf(c.out, " %s", printable(w.Because))
	}
	fmt.Fprintln(c.out)
	if w.Off {
		fmt.Fprintln(c.out, "The filter is off ([filter] enabled = false): letters are not scored, and none of this is done.")
	}
	if w.Reply != "" {
		fmt.Fprintln(c.out, printable(w.Reply))
	}
	return nil
}
