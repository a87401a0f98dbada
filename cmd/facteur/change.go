package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"facteur/internal/app/control"
)

// verb is what "facteur queue" can do to items.
type verb struct {
	action      control.Action
	short, long string
	// destroys: it is asked first, unless IDs say which.
	destroys bool
	// did says it when it is done: "3 messages (4 recipients) are on hold.".
	did string
}

var verbs = []verb{
	{control.Hold, "Put messages on hold", "What is on hold is not tried, and does not expire, until somebody releases it.", false, "on hold"},
	{control.Release, "Release messages from hold", "They are tried at once.", false, "released"},
	{control.Delete, "Delete messages, without telling anybody", "Neither sender nor recipient is told; \"facteur queue expire\" returns messages to\n" +
		"their senders instead. What is being tried may still be delivered by that attempt.", true, "deleted"},
	{control.Retry, "Try again now what waits",
		"The server retries by itself; asking for all at once costs it and the hosts that\nsaid \"later\" more than waiting does, and makes touchy ones say \"later\" again.", false, "to be tried again now"},
	{control.Requeue, "Find out anew where messages go", "As if they were new: after a change of aliases, domains or accounts. They keep\ntheir IDs.", false, "queued anew"},
	{control.Expire, "Return messages to their senders", "Their time is over: what the next attempt, which is now, does not deliver goes\nback to its sender with the reason. What is on hold stays there, and has that\nattempt when it is released.", true, "given up"},
}

func (c *command) changeCommand(v verb) *cobra.Command {
	var p picks
	var yes bool
	cmd := c.withJSON(&cobra.Command{
		Use:   string(v.action) + " [ID]... | -",
		Short: v.short,
		Long:  v.short + ".\n\n" + v.long + "\n\nIDs are queue IDs; \"-\" reads them from the standard input, one a line.",
	})
	p.flags(cmd)
	cmd.Flags().BoolVar(&p.all, "all", false, "all of the queue")
	if v.destroys {
		cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	}
	if v.action == control.Retry {
		cmd.Use = "retry [ID]... | - | DOMAIN"
		cmd.Long += " A domain is\nshort for --domain."
	}
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if v.action == control.Retry && len(ids) == 1 && p.domain == "" && isDomain(ids[0]) {
			p.domain, ids = ids[0], nil
		}
		if err := p.check(ids); err != nil {
			return err
		}
		return c.withOffice(cmd.Context(), func(ctx context.Context, o control.Office) error {
			return (&change{command: c, office: o, verb: v, sel: p.selection(), ids: ids, yes: yes}).run(ctx)
		})
	}
	return cmd
}

// isDomain tells a domain from a queue ID.
func isDomain(word string) bool {
	_, wrong := sortIDs([]string{word})
	return word != "-" && len(wrong) > 0
}

// change is one order of a person.
type change struct {
	*command
	office control.Office
	verb   verb
	sel    control.Selection
	ids    []string
	yes    bool
	total  control.Count
	missed []string // IDs that nothing was done to
	shown  time.Time
}

// run asks if need be, does it, and tells how much it was.
func (c *change) run(ctx context.Context) error {
	if c.verb.destroys && !c.yes && (len(c.ids) == 0 || slices.Contains(c.ids, "-")) {
		if err := c.agree(ctx); err != nil {
			return err
		}
	}
	err := c.all(ctx)
	c.clearProgress()
	if c.json {
		err = errors.Join(err, printJSON(c.command, c.total))
	} else {
		fmt.Fprintf(c.out, "%s %s %s.%s\n", amount(c.total), isAre(c.total.Items), c.verb.did, c.busy())
	}
	if err == nil && len(c.missed) > 0 {
		err = c.unchanged(ctx)
	}
	return err
}

// amount is a Count for people.
func amount(n control.Count) string {
	return fmt.Sprintf("%d message%s (%d recipient%s, %s)", n.Items, plural(int64(n.Items)), n.Recipients, plural(int64(n.Recipients)), bytesOf(n.Size))
}

func bytesOf(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	return size(n)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// agree tells how much would be changed, and asks whether that is meant.
func (c *change) agree(ctx context.Context) error {
	if slices.Contains(c.ids, "-") {
		return fmt.Errorf("the IDs come from the standard input, so nobody can be asked: --yes says that all of them are meant")
	}
	n, err := c.office.CountQueue(ctx, c.sel)
	if err != nil {
		return err
	}
	if n.Items == 0 {
		return nil
	}
	return c.confirm(fmt.Sprintf("%s would be %s", amount(n), c.verb.did))
}

// confirm asks whether that is meant, what would be done.
func (c *command) confirm(what string) error {
	if !isTerminal(c.in) {
		return fmt.Errorf("%s; nothing was changed. --yes does it", what)
	}
	fmt.Fprintf(c.err, "%s. Type yes to go on: ", what)
	line, _ := bufio.NewReader(c.in).ReadString('\n')
	if strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// all carries the order out.
func (c *change) all(ctx context.Context) error {
	if len(c.ids) == 0 {
		return c.order(ctx, c.sel)
	}
	named := slices.DeleteFunc(slices.Clone(c.ids), func(w string) bool { return w == "-" })
	if _, wrong := sortIDs(named); len(wrong) > 0 {
		return fmt.Errorf("%q is not a queue ID (hexadecimal digits are expected)", wrong[0])
	}
	if err := eachBatch(fromList(named), func(ids []string) error { return c.batch(ctx, ids) }); err != nil {
		return err
	}
	if len(named) == len(c.ids) {
		return nil
	}
	return eachBatch(fromLines(c.in), func(ids []string) error { return c.batch(ctx, ids) })
}

// batch carries the order out for some IDs.
func (c *change) batch(ctx context.Context, words []string) error {
	ids, wrong := sortIDs(words)
	for _, w := range wrong {
		c.note("facteur")(fmt.Sprintf("%q is not a queue ID", w))
	}
	if len(ids) == 0 {
		return nil
	}
	ids, err := completeIDs(ctx, c.office, ids, c.note("facteur"))
	if err != nil {
		return err
	}
	sel := c.sel
	sel.IDs = ids
	return c.order(ctx, sel)
}

func (c *change) order(ctx context.Context, sel control.Selection) error {
	changed := make(map[string]bool)
	err := c.office.Change(ctx, control.Order{Action: c.verb.action, Selection: sel}, func(p control.Progress) error {
		c.total.Add(p.Count)
		if len(sel.IDs) > 0 {
			for _, id := range p.IDs {
				changed[id] = true
			}
		}
		c.progress()
		return nil
	})
	for _, id := range sel.IDs {
		if !changed[strings.ToUpper(id)] && len(c.missed) < missedTold {
			c.missed = append(c.missed, id)
		}
	}
	return err
}

// busy tells of what is being tried, for which it is too late, or almost.
func (c *change) busy() string {
	n := c.total.Busy
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %d recipient%s of these %s being tried now; what that attempt delivers stays delivered.", n, plural(int64(n)), isAre(n))
}

// missedTold is how many IDs are told one by one that nothing was done to.
const missedTold = 10

// unchanged tells why nothing was done to some IDs.
func (c *change) unchanged(ctx context.Context) error {
	var errs []error
	for _, id := range c.missed {
		if _, err := c.office.Entry(ctx, control.ItemID{ID: id}); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, fmt.Errorf("%s: there was nothing to %s", id, c.verb.action))
	}
	return errors.Join(errs...)
}

// progress shows how far it is, to a person who waits.
func (c *change) progress() {
	if now := time.Now(); isTerminal(c.err) && now.Sub(c.shown) > time.Second/4 {
		c.shown = now
		fmt.Fprintf(c.err, "\r%s", amount(c.total))
	}
}

func (c *change) clearProgress() {
	if !c.shown.IsZero() {
		fmt.Fprint(c.err, "\r\x1b[K")
	}
}
