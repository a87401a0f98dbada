package greylist

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	store "facteur/internal/store/greylist"
)

// Gate decides who waits. It is safe for concurrent use. A nil Gate lets everybody pass.
type Gate struct {
	store  *store.Store
	rules  *Rules
	known  Known
	events event.Sink
}

// Known is who else knows a stranger. What is nil knows nobody.
type Known struct {
	// Correspondent tells that an account has written to an address.
	Correspondent func(ctx context.Context, account string, sender address.Address) bool
	// Operator tells hosts of a large provider.
	Operator func(client netip.Addr) bool
	// Reputable tells clients, and domains that are proven, of whom much good is known.
	Reputable func(client netip.Addr, proven []string) bool
	// Spared tells that nobody is to wait for the sake of a recipient.
	Spared func(ctx context.Context, to Recipient) bool
}

// New makes a Gate; without rules, nobody waits.
func New(s *store.Store, rules *Rules, known Known, events event.Sink) *Gate {
	return &Gate{store: s, rules: rules, known: known, events: events}
}

// Decision is what becomes of a letter. The zero Decision is that it passes.
type Decision struct {
	// Reply puts it off; nil lets it pass.
	Reply *smtp.Reply
	// Wait is for how long, Waited how long ago the stranger came first.
	Wait, Waited time.Duration
	// Reason is why, in the words of postgrey's log: "new", "early-retry (42s missing)",
	// "triplet found", "client whitelist", …; "" where nobody asked.
	Reason string
	// Field is the value of the X-Greylist field of a letter that came back; "" without.
	Field string
	// Sentence says it in plain English.
	Sentence string
}

// Early tells at RCPT that somebody comes before his time. It waits for nothing.
func (g *Gate) Early(l *Letter, to Recipient) Decision {
	rules := g.active()
	if rules == nil || rules.TestOnly || l.Sender.IsNull() || rules.spares(to) {
		return Decision{}
	}
	e, _, ok := g.store.Look(to.Address.Domain, append(l.names(), store.Network(network(l.Client))))
	if !ok || e.State != store.Waiting {
		return Decision{}
	}
	left := g.store.Remaining(e)
	if left <= 0 || g.spared(l, rules) != "" {
		return Decision{}
	}
	g.store.Early(e.ID)
	d := again(450, left)
	d.Waited = g.store.Age(e)
	g.tell(l, []string{to.Address.String()}, d, false)
	return d
}

// active are the rules that hold; nil without any.
func (g *Gate) active() *Rules {
	if g == nil {
		return nil
	}
	return g.rules
}

// Ask decides about a letter that would be taken.
func (g *Gate) Ask(ctx context.Context, l *Letter) Decision {
	rules := g.active()
	if rules == nil {
		return Decision{}
	}
	d := g.ask(ctx, l, rules)
	if d.Reason != "" {
		g.tell(l, l.all(), d, rules.TestOnly)
	}
	if rules.TestOnly {
		return Decision{}
	}
	return d
}

func (g *Gate) ask(ctx context.Context, l *Letter, rules *Rules) Decision {
	names := append(l.names(), store.Network(network(l.Client)))
	if d := g.back(l, names, rules); d.Reason != "" {
		return d
	}
	if l.Suspicion < rules.From {
		return Decision{}
	}
	if why := g.exempt(ctx, l, rules); why != "" {
		return Decision{Reason: why, Sentence: "The letter was suspicious, and did not have to wait: " + sentences[why] + "."}
	}
	if rules.TestOnly {
		d := again(451, l.wait(rules))
		d.Reason = "new"
		return d
	}
	return g.delay(l, names[:len(names)-1], rules)
}

// back looks whether the stranger is back after his time, or has been here before. Who has
// come back for one recipient has done so for all.
func (g *Gate) back(l *Letter, names []store.Name, rules *Rules) (d Decision) {
	for _, to := range l.domains() {
		e, by, ok := g.store.Look(to, names)
		if !ok || e.State == store.Waiting && l.Suspicion >= rules.From && g.left(e, by, rules) > 0 {
			continue
		}
		if before := g.store.Pass(e.ID, rules.Holds, l.Junk); before.State == store.Waiting {
			d = g.arrived(g.store.Age(before), rules)
		} else if d.Reason == "" {
			d = Decision{Reason: "triplet found", Sentence: "The sender has come back after greylisting before."}
		}
	}
	return d
}

// left is how long somebody has to wait still. Whom nothing but the letter makes known waits
// for longer: until nobody may be kept waiting any more.
func (g *Gate) left(e store.Entry, by store.Name, rules *Rules) time.Duration {
	if by.IsLetter() {
		return rules.Most - g.store.Age(e)
	}
	return g.store.Remaining(e)
}

// arrived is the decision about somebody who came back.
func (g *Gate) arrived(after time.Duration, rules *Rules) Decision {
	n := int(after / time.Second)
	return Decision{Waited: after, Reason: fmt.Sprintf("triplet found, delay=%d", n),
		Field:    fmt.Sprintf("delayed %d seconds by greylisting at %s", n, rules.Hostname),
		Sentence: fmt.Sprintf("The sender was asked to come again, as the letter was suspicious, and did so after %s.", after)}
}

// delay has the stranger wait: of several recipients' domains, for the one that is due
// first.
func (g *Gate) delay(l *Letter, names []store.Name, rules *Rules) Decision {
	var first Decision
	for i, to := range l.domains() {
		e, ok := g.store.Defer(store.Draft{To: to, Names: names, Network: network(l.Client), Client: l.client(), Sender: l.Sender.String(),
			People: l.at(to), Score: l.Suspicion, Size: l.Size, Wait: l.wait(rules), Window: rules.Window})
		if !ok {
			return Decision{Reason: "no room", Sentence: "The letter was suspicious, and did not have to wait, as very many others do."}
		}
		left := g.store.Remaining(e)
		if left <= 0 { // he came from elsewhere, and nothing but the letter made him known
			left = rules.Shortest
		}
		if i > 0 && left >= first.Wait {
			continue
		}
		first = again(451, left)
		if first.Waited = g.store.Age(e); e.Tries == 1 {
			first.Reason = "new"
		}
	}
	return first
}

// wait is for how long a letter is put off. Of a notice we may be the cause.
func (l *Letter) wait(rules *Rules) time.Duration {
	if l.Sender.IsNull() {
		return rules.Shortest
	}
	return rules.wait(l.Suspicion)
}

// again is the decision to have somebody come again.
func again(code int, left time.Duration) Decision {
	n := int((left + time.Second - 1) / time.Second)
	return Decision{Wait: left, Reason: fmt.Sprintf("early-retry (%ds missing)", n),
		Reply:    smtp.NewReply(code, "4.7.1", fmt.Sprintf("Greylisted: come again in %d seconds. Nothing is refused; a mail server tries again by itself.", n)),
		Sentence: fmt.Sprintf("The letter is suspicious and its sender is not known here; he was asked to come again in %s.", left)}
}

// Taken notes that a letter was accepted: who brings a clean one with proof is no stranger
// any more.
func (g *Gate) Taken(l *Letter) {
	rules := g.active()
	if rules == nil || !l.Authentic || !l.Aligned || l.Junk || l.Suspicion >= rules.From || l.Sender.IsNull() {
		return
	}
	g.store.NoteSeen(Plain(l.Sender))
}

// all are the recipients.
func (l *Letter) all() []string {
	out := make([]string, 0, len(l.Recipients))
	for _, r := range l.Recipients {
		if to := r.Address.String(); !slices.Contains(out, to) && len(out) < 8 {
			out = append(out, to)
		}
	}
	return out
}
