package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app"
	"facteur/internal/app/config"
	"facteur/internal/app/control"
	"facteur/internal/base/conf"
	"facteur/internal/flow/replay"
	"facteur/internal/mail/address"
	"facteur/internal/store/policy"
)

// replaying is one run of the command.
type replaying struct {
	since      conf.Duration
	accounts   []string
	mailboxes  []string
	everybody  bool
	quarantine bool
	set        []string
	limit      int

	office control.Office
	from   time.Time
	judge  *replay.Judge
	sum    *replay.Sum
	step   func(letters int)
	bad    func(what string, err error)
	buffer bytes.Buffer // the letter at hand
}

// maxReplayed is the largest letter that is judged again, in bytes.
const maxReplayed = 64 << 20

func (c *command) filterReplay() *cobra.Command {
	var r replaying
	cmd := c.withJSON(&cobra.Command{
		Use:   "replay [--since TIME] [--account ADDRESS]... [--mailbox NAME]... [--quarantine] [--set KEY=VALUE]...",
		Short: "Judge past letters again, by present or proposed settings, and show what would change",
		Long: "Judge past letters again, by the settings of the file or with --set by others, and show what\n" +
			"would change against where people have the letters now: first what they keep and would find\n" +
			"in Junk, then what is in Junk or in quarantine and would pass. Nothing is changed, no flag,\n" +
			"no mailbox; it may run beside the server, and be ended at any time. Without --account and\n" +
			"--quarantine it looks at all accounts and at the quarantine. Sent, Drafts and Trash are left\n" +
			"out unless --mailbox names them.\n\n" +
			"What was known of a letter when it came is read from its header; with --dns a name server is\n" +
			"asked anew.",
		Example: "  facteur filter replay --since 7d\n" +
			"  facteur filter replay -c proposed.toml --account anna@example.org --since 30d\n" +
			"  facteur filter replay --set junk=4 --set score.helo_not_fqdn=2 --mailbox INBOX --mailbox Junk",
		Args: cobra.NoArgs,
	})
	f := cmd.Flags()
	r.since = conf.Duration(7 * 24 * time.Hour)
	f.TextVar(&r.since, "since", r.since, "that came within this `time`; 0 for all")
	f.StringArrayVar(&r.accounts, "account", nil, "only letters of the account `ADDRESS`; may be repeated")
	f.StringArrayVar(&r.mailboxes, "mailbox", nil, "only the mailbox `NAME`; may be repeated")
	f.BoolVar(&r.everybody, "all-accounts", false, "letters of all accounts")
	f.BoolVar(&r.quarantine, "quarantine", false, "letters in quarantine")
	f.StringArrayVar(&r.set, "set", nil, "try `KEY=VALUE`: mark, junk, kill, cutoff, score.NAME, caps.CHECK, test_only=NAME; may be repeated")
	f.IntVar(&r.limit, "limit", 50, "show at most this `number` of changes of each kind")
	f.StringVar(&c.dns, "dns", "", "ask a name server anew, `HOST:PORT`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := ended(cmd.Context())
		defer stop()
		return c.replay(ctx, &r)
	}
	return cmd
}

func (c *command) replay(ctx context.Context, r *replaying) error {
	if r.limit < 0 || r.since < 0 {
		return errors.New("--limit, --since: expected a number from 0 on")
	}
	settings, err := c.load()
	if err != nil {
		return err
	}
	if err := tried(settings, r.set); err != nil {
		return err
	}
	if r.since > 0 {
		r.from = time.Now().Add(-r.since.Std())
	}
	if !r.everybody && !r.quarantine && len(r.accounts) == 0 {
		r.everybody, r.quarantine = true, len(r.mailboxes) == 0
	}
	r.sum, r.step = replay.NewSum(r.limit), c.replayProgress()
	r.bad = func(what string, err error) { fmt.Fprintf(c.err, "%s: %v\n", printable(what), err) }
	err = c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		r.office = o
		if r.judge, err = c.replayJudge(ctx, o, settings); err != nil {
			return err
		}
		return r.all(ctx)
	})
	if ctx.Err() != nil {
		err = errors.New("ended before all letters were judged; this is what was found until then")
	}
	if r.judge == nil {
		return err
	}
	return errors.Join(c.tellReplay(r), err)
}

// tried puts what --set says into the settings.
func tried(settings *config.Config, set []string) error {
	for _, one := range set {
		key, value, found := strings.Cut(one, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || value == "" {
			return fmt.Errorf("--set %s: expected KEY=VALUE, such as junk=6 or score.helo_not_fqdn=2", one)
		}
		if err := settings.Filter.Try(key, value); err != nil {
			return fmt.Errorf("--set %s: %w", one, err)
		}
	}
	if len(set) > 0 {
		return errors.Join(settings.Check()...)
	}
	return nil
}

// replayJudge is the filter that is tried, with policies and lists of the settings that are
// tried and of the database.
func (c *command) replayJudge(ctx context.Context, o control.Office, settings *config.Config) (*replay.Judge, error) {
	domains, err := o.Domains(ctx)
	if err != nil {
		return nil, err
	}
	ours := make(map[string]bool, len(domains))
	for _, d := range domains {
		ours[d.Name] = true
	}
	r := app.Replay{Config: settings, Ours: func(domain string) bool { return ours[domain] }}
	if r.Policies, err = policiesOf(ctx, o, settings); err != nil {
		return nil, err
	}
	if c.dns != "" {
		if r.Resolver, err = c.resolver(); err != nil {
			return nil, err
		}
	}
	return r.Judge(ctx)
}

// policiesOf are the policies and lists of the settings, and those of the database.
func policiesOf(ctx context.Context, o control.Office, settings *config.Config) (policy.Settings, error) {
	out := settings.FilterPolicies()
	answer, err := o.FilterPolicies(ctx, control.PolicyQuery{})
	if err != nil {
		return out, err
	}
	for _, p := range answer.Policies {
		if p.Source != policy.FromDatabase {
			continue
		}
		kept := policy.Policy{Match: p.Match, Priority: p.Priority, Source: p.Source}
		for key, value := range p.Values {
			if err := kept.Set(key, value); err != nil {
				return out, fmt.Errorf("the policy of %s: %w", p.Match, err)
			}
		}
		out.Policies = append(out.Policies, kept)
	}
	entries, err := o.FilterList(ctx, control.ListQuery{})
	for _, e := range entries {
		if e.Source != policy.FromDatabase {
			continue
		}
		kept := policy.Entry{Match: e.Match, Kind: e.Kind, Score: e.Score, Priority: e.Priority, Until: e.Until, Note: e.Note, Added: e.Added, Source: e.Source}
		if kept.Sender, kept.Network, err = policy.ParseSender(e.Sender); err != nil {
			return out, err
		}
		out.Entries = append(out.Entries, kept)
	}
	return out, err
}

// all looks at everything that was asked for.
func (r *replaying) all(ctx context.Context) error {
	accounts := r.accounts
	if r.everybody {
		list, err := r.office.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, a := range list {
			accounts = append(accounts, a.Address)
		}
	}
	found := false
	for _, a := range accounts {
		boxes, err := r.office.Mailboxes(ctx, control.AccountName{Address: a})
		if err != nil && r.everybody && ctx.Err() == nil {
			r.sum.Failed++
			r.bad(a, err)
			continue
		}
		if err != nil {
			return err
		}
		for i := range boxes {
			if b := &boxes[i]; b.Exists && r.wants(b) {
				found = true
				if err := r.mailbox(ctx, a, b); err != nil {
					return err
				}
			}
		}
	}
	if len(r.mailboxes) > 0 && !found {
		return fmt.Errorf("nobody has a mailbox %q", strings.Join(r.mailboxes, `", "`))
	}
	if r.quarantine {
		return r.shelf(ctx)
	}
	return nil
}

// wants tells mailboxes that are looked at.
func (r *replaying) wants(b *control.Mailbox) bool {
	if len(r.mailboxes) > 0 {
		return slices.Contains(r.mailboxes, b.Name)
	}
	return !slices.Contains([]string{"\\Sent", "\\Drafts", "\\Trash"}, b.SpecialUse)
}

func (r *replaying) mailbox(ctx context.Context, account string, b *control.Mailbox) error {
	place := replay.Kept
	if b.SpecialUse == "\\Junk" || b.SpecialUse == "" && strings.EqualFold(b.Name, "Junk") {
		place = replay.Junk
	}
	return r.office.Export(ctx, control.Exported{Address: account, Mailbox: b.Name, Since: r.from}, func(l control.ImportLetter, in io.Reader) error {
		name := b.Name + "/" + strconv.FormatUint(uint64(l.UID), 10)
		return r.letter(ctx, replay.Letter{Account: account, Name: name, Place: place, Received: l.Received, Keywords: l.Keywords}, in)
	})
}

// shelf looks at the quarantine.
func (r *replaying) shelf(ctx context.Context) error {
	return r.office.Quarantine(ctx, control.Shelved{Since: r.from}, func(x control.Exhibit) error {
		if len(r.accounts) > 0 && !slices.Contains(r.accounts, x.Account) {
			return nil
		}
		item, _, _ := strings.Cut(x.ID, "/")
		in, err := r.office.Message(ctx, control.ItemID{ID: item})
		if err != nil {
			r.sum.Failed++
			r.bad(x.ID, err) // released or deleted by now
			return ctx.Err()
		}
		defer in.Close()
		sender, _ := address.Parse(x.Sender)
		return r.letter(ctx, replay.Letter{Account: x.Account, Name: x.ID, Place: replay.Shelf, Received: x.Since, Sender: sender}, in)
	})
}

// letter judges one. What is wrong with it alone does not end the run.
func (r *replaying) letter(ctx context.Context, l replay.Letter, in io.Reader) error {
	r.buffer.Reset()
	if r.buffer.Cap() > 1<<20 {
		r.buffer = bytes.Buffer{} // one large letter does not keep its room
	}
	n, err := io.Copy(&r.buffer, io.LimitReader(in, maxReplayed+1))
	if err == nil && n > maxReplayed {
		err = errors.New("it is too large to be judged again")
	}
	var found replay.Finding
	if err == nil {
		l.Text = r.buffer.Bytes()
		found, err = r.judge.Judge(ctx, &l)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, replay.ErrOwn):
		r.sum.Own++
	case err != nil:
		r.sum.Failed++
		r.bad(l.Account+" "+l.Name, err)
	default:
		r.sum.Add(found)
	}
	r.step(r.sum.Letters)
	return nil
}

// replayProgress shows how far it is, where somebody looks.
func (c *command) replayProgress() func(int) {
	if !isTerminal(c.err) || c.json {
		return func(int) {}
	}
	last := time.Now()
	return func(n int) {
		if time.Since(last) > 200*time.Millisecond {
			last = time.Now()
			fmt.Fprintf(c.err, "\r%d letters ", n)
		}
	}
}

// replayed is the sum as JSON, behind the changes.
type replayed struct {
	*replay.Sum
	Notes []string `json:"notes"`
}

func (c *command) tellReplay(r *replaying) error {
	notes, ranked := r.sum.Notes(c.dns != ""), r.sum.Ranked()
	if c.json {
		return errors.Join(printJSON(c, r.sum.Changes()...), printJSON(c, replayed{r.sum, notes}))
	}
	if isTerminal(c.err) {
		fmt.Fprint(c.err, "\r\x1b[K")
	}
	for _, f := range r.sum.Changes() {
		c.tellChange(&f)
	}
	s := r.sum
	fmt.Fprintf(c.out, "%d letters: %d kept, of which %d would be junk or worse (of %d of them, a keyword says that they are none);\n", s.Letters, s.Kept, s.FalsePositives, s.Moved)
	fmt.Fprintf(c.out, "%d in Junk or quarantine, of which %d would pass.\n", s.Spam, s.Missed)
	if s.Own+s.Foreign+s.Unscored+s.Failed > 0 {
		fmt.Fprintf(c.out, "%d of our own users were not judged, %d did not come by this server, %d had no score when they came, %d could not be read.\n", s.Own, s.Foreign, s.Unscored, s.Failed)
	}
	if len(ranked) > 0 {
		fmt.Fprintln(c.out, "\nWhat decided (WRONG: alone made junk of what people keep; RIGHT: of what is in Junk;\nSAVED: alone kept out of Junk what people keep; SPARED: what is in Junk):")
		if err := list(c, ranked, "REMARK LETTERS WRONG RIGHT SAVED SPARED", func(t *replay.Told) []any {
			return []any{t.Name, t.Letters, t.Wrong, t.Right, t.Saved, t.Spared}
		}); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.out)
	for _, n := range notes {
		fmt.Fprintln(c.out, n)
	}
	return nil
}

// tellChange tells of a letter whose fate would change.
func (c *command) tellChange(f *replay.Finding) {
	what := "FALSE POSITIVE"
	if f.Kind == replay.Missed {
		what = "MISSED SPAM"
	}
	switch {
	case f.Weight > 1:
		what += " (so its reader has marked it)"
	case f.Elsewhere:
		what += " (its header says otherwise: somebody moved it, or a list or a policy decided)"
	}
	then := ""
	if f.Then != nil {
		then = fmt.Sprintf(", %g when it came", *f.Then)
	}
	fmt.Fprintf(c.out, "%s  %s %s  %s → %s  score %g%s\n", what, printable(f.Account), printable(f.Letter), f.Before, f.After, f.Score, then)
	fmt.Fprintf(c.out, "  %s  %s: %s\n", f.Received.Local().Format("2006-01-02 15:04"), printable(f.From), printable(f.Subject))
	for _, r := range f.Remarks {
		test := ""
		if r.Test {
			test = " (test-only)"
		}
		fmt.Fprintf(c.out, "  %7.4g  %-24s %s%s\n", r.Counts, r.Name, printable(r.Sentence), test)
	}
	fmt.Fprintln(c.out)
}
