package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/client"
	"facteur/internal/mail/address"
	"facteur/internal/mail/anatomy"
	"facteur/internal/net/dns"
	"facteur/internal/store/policy"
)

// weighed is what the filter makes of a letter in a file.
type weighed struct {
	Score    float64            `json:"score"`
	Required float64            `json:"required"`
	Fate     filter.Disposition `json:"fate"`
	Category filter.Category    `json:"category,omitempty"`
	Because  string             `json:"because,omitempty"`
	Reply    string             `json:"reply,omitempty"`
	Evidence []weight           `json:"evidence"`
	// Fields are what would stand above the letter.
	Fields string `json:"fields,omitempty"`
}

// weight is a row of the table of evidence.
type weight struct {
	Name     string  `json:"name"`
	Check    string  `json:"check"`
	Score    float64 `json:"score"`
	Counts   float64 `json:"counts"`
	Weight   string  `json:"-"`
	Note     string  `json:"note,omitempty"`
	Sentence string  `json:"sentence"`
	Cost     float64 `json:"cost_ms"`
}

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
		Long: "Show what the filter makes of a letter in a file; \"-\" is the standard input. Who handed it\n" +
			"over is read from the Received field on top, unless --ip says it. What stands above that\n" +
			"field was put there on the way and is not looked at. --as takes the policy of an account.\n" +
			"What the server and its users have taught the filter is not taken into account.",
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

// weighFile takes the letter through the filter as a stranger's.
func (c *command) weighFile(ctx context.Context, name string, from handed) (w weighed, err error) {
	settings, err := c.settingsOrDefaults()
	if err != nil {
		return w, err
	}
	resolver, err := c.resolver()
	if err != nil {
		return w, err
	}
	wants, err := c.wantsOf(ctx, settings, from.account)
	if err != nil {
		return w, err
	}
	file, err := c.openLetter(name)
	if err != nil {
		return w, err
	}
	defer file.Close()
	about, err := from.letter(file)
	if err != nil {
		return w, err
	}
	rules := strangers(settings.FilterRules(), about.Client.Addr.IsValid())
	rules.Scoring = true
	if rules.Checks, err = offlineChecks(settings, resolver); err != nil {
		return w, err
	}
	return weigh(ctx, filter.New(rules, resolver, nil).Obeys(nil, wants), file, about)
}

// offlineChecks are those that need no running server.
func offlineChecks(settings *config.Config, resolver *dns.Resolver) ([]filter.Check, error) {
	checks, err := app.LetterChecks(nil)
	checks = append(checks, app.ContentChecks(settings, nil, nil)...)
	self := client.Self{Hostname: settings.Hostname, Addrs: settings.PublicAddresses(), Ours: func(string) bool { return false }}
	return append(checks, client.NewName(resolver, func() client.Self { return self })), err
}

func weigh(ctx context.Context, f *filter.Filter, file *letterFile, about filter.Letter) (w weighed, err error) {
	info, err := file.Stat()
	if err != nil {
		return w, err
	}
	one := f.Open(ctx, nil, about)
	defer one.Close()
	one.Addressed(about.Recipients)
	if err := file.writeTo(one.Read(file.header, false)); err != nil {
		return w, err
	}
	one.Holds(file, info.Size())
	verdict := one.Judge(ctx)
	o := one.Weigh(ctx, verdict, about.Recipients, "it")
	fate := o.Shown
	if len(o.Fates) > 0 {
		fate = o.Fates[0]
	}
	w = weighed{Score: fate.Tally.Score, Required: fate.Wants.Junk, Fate: fate.Disposition, Category: fate.Category, Because: fate.Because,
		Fields: string(f.Rules().SpamFields(fate)), Evidence: []weight{}}
	if o.Reply != nil {
		w.Reply = o.Reply.Error()
	}
	if verdict.Reply != nil {
		w.Fate, w.Because, w.Reply = verdict.Disposition, verdict.Because, verdict.Reply.Error()
	}
	for _, r := range fate.Tally.Weightiest() {
		w.Evidence = append(w.Evidence, weight{cmp.Or(r.Name, "-"), r.Check, r.Score, r.Counts, r.Weight(), r.Note, r.Sentence, float64(r.Cost) / float64(time.Millisecond)})
	}
	return w, nil
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

// letter is how the letter was handed over: as the options say, else as its trace does.
func (h *handed) letter(file *letterFile) (l filter.Letter, err error) {
	if l.Client.Addr, err = h.address(); err != nil {
		return l, err
	}
	l.Client.Name, l.Client.Helo = h.name, h.helo
	if !l.Client.Addr.IsValid() {
		h.traced(&l, file)
	}
	if l.Sender, err = h.envelope(file); err != nil {
		return l, err
	}
	for _, to := range h.rcpt {
		a, err := address.Parse(to)
		if err != nil {
			return l, fmt.Errorf("--rcpt: %q: %w", to, err)
		}
		l.Recipients = append(l.Recipients, filter.Recipient{Address: a, Account: h.account})
	}
	if h.rcpt == nil && h.account != "" {
		a, err := address.Parse(h.account)
		if err != nil {
			return l, fmt.Errorf("--as: %q: %w", h.account, err)
		}
		l.Recipients = []filter.Recipient{{Address: a, Account: a.Key()}}
	}
	return l, nil
}

// traced reads who handed the letter over from its topmost Received.
func (h *handed) traced(l *filter.Letter, file *letterFile) {
	hop := anatomy.ParseReceived(file.header.Get("Received"))
	if hop.IP.IsValid() && (netip.Addr{}) != hop.IP {
		l.Client = filter.Client{Addr: hop.IP, Name: cmp.Or(h.name, hop.Name), Helo: cmp.Or(h.helo, hop.Helo)}
	}
}

func (c *command) tellWeighed(w weighed) error {
	if c.json {
		return printJSON(c, w)
	}
	err := list(c, w.Evidence, "SCORE NAME COST SENTENCE", func(r weight) []any {
		sentence := r.Sentence
		if r.Note != "" {
			sentence += " (" + r.Note + ")"
		}
		return []any{r.Weight, r.Name, fmt.Sprintf("%.1fms", r.Cost), sentence}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\nScore %g, junk from %g: %s.", w.Score, w.Required, w.Fate)
	if w.Because != "" {
		fmt.Fprintf(c.out, " %s", printable(w.Because))
	}
	fmt.Fprintln(c.out)
	if w.Reply != "" {
		fmt.Fprintln(c.out, printable(w.Reply))
	}
	return nil
}
