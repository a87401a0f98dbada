package record

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/limit"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/reputation"
)

// Rules is what the admin set. It is not changed once it is in use.
type Rules struct {
	// Bans: who offends is refused for some time. Without it he is only remembered.
	Bans bool
	// TestOnly: it is told who would be refused, and nobody is but by the admin's word.
	TestOnly bool
	// Postmaster gives whom a banned client is told to write to, "" for nobody.
	Postmaster func(context.Context) string
	// Exempt networks offend nobody, nor do the hosts that Preapproved knows, of large
	// providers: both are remembered and not banned.
	Exempt      []netip.Prefix
	Preapproved func(netip.Addr) bool
	// Traps are addresses that no human has, and domains ("@example.org") in which there is
	// none, in canonical form.
	Traps []string
}

// Keeper has remembered what strangers do, and knows who is refused for it. It is safe for
// concurrent use. A nil Keeper remembers nothing and refuses nobody.
type Keeper struct {
	known  *reputation.Store
	rules  func() *Rules // nil: not now
	events event.Sink
	banned chan struct{}
}

// NewKeeper makes a Keeper, who asks for the rules each time; it gets nil where nothing is
// to be remembered.
func NewKeeper(known *reputation.Store, rules func() *Rules, events event.Sink) *Keeper {
	return &Keeper{known: known, rules: rules, events: events, banned: make(chan struct{}, 1)}
}

// Changed has something to receive after bans were made or forgiven: for whoever writes
// them down elsewhere.
func (k *Keeper) Changed() <-chan struct{} { return k.banned }

func (k *Keeper) change() {
	select {
	case k.banned <- struct{}{}:
	default:
	}
}

// active are the rules; nil where there is nothing to do.
func (k *Keeper) active() *Rules {
	if k == nil {
		return nil
	}
	return k.rules()
}

// shared is the address space of carriers' NAT (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// isStranger tells an address that stands for a machine of somebody else's. One of a
// private network may be a proxy of ours, which the whole world comes through.
func isStranger(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// spares tells who is not banned, whatever he does.
func (r *Rules) spares(a netip.Addr) bool {
	return !r.Bans || limit.Contains(r.Exempt, a) || r.Preapproved != nil && r.Preapproved(a)
}

// atOnceFrom is how many bans make one that is told before the banner: it costs least, and
// nobody is heard then. Until it, the postmaster may be written to.
const atOnceFrom = 3

// Refusal is a ban that a client came into.
type Refusal struct {
	Ban reputation.Ban
	// AtOnce: nothing else is heard of him.
	AtOnce bool
	// Test: it is only told, and he is not refused.
	Test   bool
	client netip.Addr
	writes string
}

// Refuses is the ban that a client is under; nil for any other.
func (k *Keeper) Refuses(ctx context.Context, client netip.Addr) *Refusal {
	rules := k.active()
	if rules == nil || !isStranger(client) {
		return nil
	}
	b, banned := k.known.Banned(client)
	byHand := b.Why == reputation.ByHand
	if !banned || !byHand && rules.spares(client) {
		return nil
	}
	r := &Refusal{Ban: b, AtOnce: b.Times >= atOnceFrom || byHand, Test: rules.TestOnly && !byHand, client: client.Unmap()}
	if rules.Postmaster != nil {
		r.writes = rules.Postmaster(ctx)
	}
	return r
}

// Reply is what he is told.
func (r *Refusal) Reply() *smtp.Reply {
	lines := []string{fmt.Sprintf("[%s] is refused until %s because of %s", r.client, r.Ban.Until.UTC().Format("2 January 15:04 UTC"), r.Ban.What())}
	if r.writes != "" {
		lines = append(lines, "If that is wrong, write to "+r.writes+".")
	}
	return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Lines: lines}
}

// TurnedAway counts a letter that a ban refused, or would have, and tells of the latter.
func (k *Keeper) TurnedAway(r *Refusal, m Met) {
	fate := reputation.Banned
	if r.Test {
		fate = reputation.OnTrial
		k.events.Emit(OnTrial{Refusal: *r, Met: m})
	}
	k.known.Fared(k.known.ClassOf(reputation.Origin{Client: r.client}), fate)
}

// Bans are those that others are to enforce as well: none while bans are only tried, but
// the admin's own.
func (k *Keeper) Bans() []reputation.Ban {
	rules := k.active()
	if rules == nil {
		return nil
	}
	return slices.DeleteFunc(k.known.Bans(), func(b reputation.Ban) bool { return rules.TestOnly && b.Why != reputation.ByHand })
}

// IsTrap tells an address that no human has.
func (k *Keeper) IsTrap(a address.Address) bool {
	rules := k.active()
	if rules == nil || len(rules.Traps) == 0 {
		return false
	}
	return slices.Contains(rules.Traps, a.Key()) || slices.Contains(rules.Traps, "@"+a.Domain)
}

// Unknown remembers that a client asked for an address that nobody has.
func (k *Keeper) Unknown(client netip.Addr, to address.Address) {
	if rules := k.active(); rules != nil && isStranger(client) {
		k.tell(k.known.Guessed(client, to.Key(), rules.spares(client)))
	}
}

// Met remembers that a client named a recipient who is here.
func (k *Keeper) Met(client netip.Addr) {
	if k.active() != nil && isStranger(client) {
		k.known.Greeted(client)
	}
}

// Decoyed remembers that a client wanted to send where no MX leads.
func (k *Keeper) Decoyed(client netip.Addr) { k.offend(client, reputation.Decoy, 1) }

// Odd remembers that a client did something odd at the door. Nobody is banned for that.
func (k *Keeper) Odd(client netip.Addr) { k.offend(client, reputation.Hasty, 1) }

// Forgiven tells that the admin changed who is banned; there is nothing that could fail.
func (k *Keeper) Forgiven() error {
	if k != nil {
		k.change()
	}
	return nil
}

// amongOthers is how grave a trap is that is one recipient among real ones: somebody may
// have a stale address book.
const amongOthers = 0.25

// Caught remembers a letter for a trap. alone: nobody real was to get it.
func (k *Keeper) Caught(e *filter.Evidence, client netip.Addr, alone bool) {
	if k.active() == nil {
		return
	}
	times := 1.0
	if !alone {
		times = amongOthers
	}
	k.offend(client, reputation.Trap, times)
	if e != nil && alone {
		o := Origin(e)
		o.Client = netip.Addr{} // has its due
		k.known.Sent(o, true, 1)
	}
}

func (k *Keeper) offend(client netip.Addr, o reputation.Offence, times float64) {
	if rules := k.active(); rules != nil && isStranger(client) {
		k.tell(k.known.Offend(client, o, times, rules.spares(client)))
	}
}

// tell tells of a ban, if there is one.
func (k *Keeper) tell(b reputation.Ban, banned bool) {
	if !banned {
		return
	}
	rules := k.active()
	k.events.Emit(Banned{Ban: b, For: time.Until(b.Until).Round(time.Second), Test: rules != nil && rules.TestOnly})
	k.change()
}

const (
	// goodBelow is the part of the level junk below which a letter counts as a good one.
	// What is between says nothing.
	goodBelow = 0.4
	// doubtful is what a letter counts that is junk and not beyond doubt.
	doubtful = 0.5
)

// Weighed remembers what became of a letter, once that is sure: it was taken, or refused
// for good. What speaks against its sender is what the server says of it: the strict levels
// of one account ban nobody for the others. Nothing does where a recipient wants his letters
// whatever they are.
func (k *Keeper) Weighed(e *filter.Evidence, o *filter.Outcome) {
	if k.active() == nil || o.Server.Wants == nil {
		return
	}
	from, server := origin(e), &o.Server
	k.known.Fared(k.known.ClassOf(from), fateOf(o))
	score := server.Tally.Score
	for _, r := range server.Tally.Rows {
		if r.Check == Family {
			score -= r.Counts
		}
	}
	wanted := slices.ContainsFunc(o.Fates, func(f filter.Fate) bool { return f.Allowed })
	switch {
	case server.Category == filter.Virus:
		k.known.Sent(from, true, 1)
		k.offend(from.Client, reputation.Virus, 1)
	case wanted && score >= server.Wants.Junk:
	case score >= server.Wants.Kill && server.Disposition != filter.Accept: // else it is on trial
		k.known.Sent(from, true, 1)
		k.offend(from.Client, reputation.Kill, 1)
	case score >= server.Wants.Junk:
		k.known.Sent(from, true, doubtful)
	case score < goodBelow*server.Wants.Junk && server.Disposition == filter.Accept:
		k.known.Sent(from, false, 1)
	}
}

// origin is Origin without clients that stand for many.
func origin(e *filter.Evidence) reputation.Origin {
	o := Origin(e)
	if !isStranger(o.Client) {
		o.Client = netip.Addr{}
	}
	return o
}

// fateOf is what became of a letter, as it is counted.
func fateOf(o *filter.Outcome) reputation.Fate {
	if o.Reply != nil {
		return reputation.Refused
	}
	switch o.Shown.Disposition {
	case filter.Junk:
		return reputation.Junked
	case filter.Quarantined, filter.Discard, filter.Reject:
		return reputation.Quarantined
	}
	return reputation.Accepted
}

// Disowned remembers a letter that was refused because its author's domain disowns it. Who
// brought it may be an honest forwarder: nothing is held against him.
func (k *Keeper) Disowned(e *filter.Evidence) {
	if k.active() != nil {
		k.known.Fared(k.known.ClassOf(origin(e)), reputation.Refused)
	}
}

// Greylisted remembers that a client was told to come again with a letter, for the first time.
func (k *Keeper) Greylisted(client netip.Addr) {
	if k.active() != nil {
		k.known.Fared(k.known.ClassOf(reputation.Origin{Client: client}), reputation.Greylisted)
	}
}

// IsReputable tells that much good mail came from a client, or from one of the domains that
// a letter is proven to be from, and little else.
func (k *Keeper) IsReputable(client netip.Addr, proven []string) bool {
	if k.active() == nil {
		return false
	}
	return isStranger(client) && k.known.IsWellKnown(reputation.Client(client)) ||
		slices.ContainsFunc(proven, func(d string) bool { return k.known.IsWellKnown(reputation.Proven(dkim.Organisation(d))) })
}

// Taught remembers what a user says of a letter: domains are those that were proven.
func (k *Keeper) Taught(client netip.Addr, sender address.Address, domains []string, spam bool) {
	if k.active() == nil {
		return
	}
	k.known.Taught(taughtOrigin(client, sender, domains), spam)
}
