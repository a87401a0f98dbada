package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	wire "github.com/miekg/dns"

	"facteur/internal/base/lookup"
)

// BlockList is a list of hosts or domains that is asked by DNS (RFC 5782).
type BlockList struct {
	// Zone is the list's name, "zen.example.net".
	Zone string
	// Key is what a subscriber has to put before the zone in each question. It is a
	// secret, and stands in no error and no Reason. "" for lists that serve everybody.
	Key string
	// Codes are the answers that count. Empty: all of 127.0.0.0/8 that can mean
	// anything. Answers that do not count are as good as none.
	Codes []netip.Prefix
}

// Listing is what a list says of somebody.
type Listing struct {
	// Codes are the list's answers that count, each once, in order.
	Codes []netip.Addr
	// Reason is the list's text: printable ASCII, at most 300 octets, from a stranger;
	// "" without one.
	Reason string
}

// Why a list can't be used; each of the others is an ErrBlockList. No mail may suffer from
// a list that can't be used.
var (
	ErrBlockList = errors.New("the block list cannot be used")
	// ErrListsAll: it has what none may have.
	ErrListsAll = fmt.Errorf("%w: it lists everybody", ErrBlockList)
	// ErrListEmpty: it lacks what every list has, and is empty or has ended.
	ErrListEmpty = fmt.Errorf("%w: it lacks the entry that every list has", ErrBlockList)
)

// NotServed is the ErrBlockList about a list that answers, but not as a list does: it
// refuses us, or somebody else answers in its place.
type NotServed struct {
	Zone   string
	Answer netip.Addr
}

// Error implements error.
func (e *NotServed) Error() string {
	return fmt.Sprintf("%v: %s answers %s, which is no answer of a list to us", ErrBlockList, e.Zone, e.Answer)
}

// Is makes it an ErrBlockList.
func (e *NotServed) Is(target error) bool { return target == ErrBlockList }

// Listed asks a list for an address. Found: it is listed; NotFound: it is not; TryAgain:
// the DNS or the list could not tell (NotServed).
func (r *Resolver) Listed(ctx context.Context, list BlockList, addr netip.Addr) lookup.Answer[Listing] {
	return r.listed(ctx, list, reversed(addr)+list.zone())
}

// ListedDomain is Listed for a list of domains.
func (r *Resolver) ListedDomain(ctx context.Context, list BlockList, domain string) lookup.Answer[Listing] {
	return r.listed(ctx, list, strings.TrimSuffix(domain, ".")+"."+list.zone())
}

// zone is what every question ends in.
func (l BlockList) zone() string {
	if l.Key == "" {
		return l.Zone
	}
	return l.Key + "." + l.Zone
}

// unanswered is the error about a question of a subscriber, without his key.
type unanswered struct {
	zone string
	err  error
}

// Error implements error.
func (e *unanswered) Error() string { return e.zone + ": no answer that can be used" }

// Unwrap lets errors.Is find out why.
func (e *unanswered) Unwrap() error { return e.err }

// conceal keeps the key out of an error.
func (l BlockList) conceal(err error) error {
	if l.Key == "" {
		return err
	}
	return &unanswered{l.Zone, err}
}

func (r *Resolver) listed(ctx context.Context, list BlockList, name string) lookup.Answer[Listing] {
	answer := r.ask(ctx, name, wire.TypeA)
	switch answer.State() {
	case lookup.NotFound:
		return lookup.No[Listing](list.conceal(answer.Err()))
	case lookup.TryAgain:
		return lookup.Later[Listing](list.conceal(answer.Err()))
	}
	return convert(answer, func(found records) lookup.Answer[Listing] {
		codes, err := list.read(addresses(found).Value())
		switch {
		case err != nil:
			return lookup.Later[Listing](err)
		case len(codes) == 0:
			return lookup.No[Listing](fmt.Errorf("%s: the answer is none of those that count", list.Zone))
		}
		return lookup.Yes(Listing{Codes: codes, Reason: r.reason(ctx, name, list.Key)})
	})
}

func (r *Resolver) reason(ctx context.Context, name, key string) string {
	const most = 300
	printable := func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}
	texts := r.LookupTXT(ctx, name).Value()
	if len(texts) == 0 {
		return ""
	}
	text := texts[0]
	if key != "" { // some feeds repeat the question
		text = strings.ReplaceAll(text, key, "*")
	}
	text = strings.Map(printable, text[:min(len(text), most)])
	return strings.TrimSpace(text)
}

// read tells answers that count from those that say something of the list itself.
// RFC 5782 §2.1: an answer is in 127.0.0.0/8, anything else is a name server that lies,
// or a domain that somebody has bought after the list's end. 127.0.0.1 is never listed,
// and by convention 127.255.255.0/24 is how lists say that they do not want us.
func (l BlockList) read(answers []netip.Addr) ([]netip.Addr, error) {
	var codes []netip.Addr
	for _, a := range answers {
		if b := a.As16(); !a.Is4() || b[12] != 127 || b[13] == 255 && b[14] == 255 || a == localhost {
			return nil, &NotServed{l.Zone, a}
		}
		if l.counts(a) && !slices.Contains(codes, a) {
			codes = append(codes, a)
		}
	}
	slices.SortFunc(codes, netip.Addr.Compare)
	return codes, nil
}

func (l BlockList) counts(a netip.Addr) bool {
	return len(l.Codes) == 0 || slices.ContainsFunc(l.Codes, func(p netip.Prefix) bool { return p.Contains(a) })
}

var (
	localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	// What a list of addresses must have, and must not have (RFC 5782 §5).
	always4, never4 = netip.AddrFrom4([4]byte{127, 0, 0, 2}), localhost
	always6, never6 = mapped(2), mapped(1)
)

// mapped is ::ffff:127.0.0.n, not as the IPv4 address that it means.
func mapped(n byte) netip.Addr {
	return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 127, 15: n})
}

// Health tells whether a list works: it has the entry that every list has, and has not
// the one that none may have (RFC 5782 §5). Many lists of IPv6 addresses lack their
// entry, so ask for IPv6 only where it counts. Found: it works; NotFound: it does not, as
// the error says; TryAgain: that could not be told.
func (r *Resolver) Health(ctx context.Context, list BlockList, six bool) lookup.Answer[struct{}] {
	always, never := reversed(always4), reversed(never4)
	if six {
		always, never = nibbles(always6), nibbles(never6)
	}
	return r.health(ctx, list, always+list.zone(), never+list.zone())
}

// HealthOfDomains is Health for a list of domains.
func (r *Resolver) HealthOfDomains(ctx context.Context, list BlockList) lookup.Answer[struct{}] {
	return r.HealthOfEntry(ctx, list, "test")
}

// HealthOfEntry is HealthOfDomains for a list that has another entry for tests than the
// standard wants.
func (r *Resolver) HealthOfEntry(ctx context.Context, list BlockList, entry string) lookup.Answer[struct{}] {
	return r.health(ctx, list, strings.TrimSuffix(entry, ".")+"."+list.zone(), "invalid."+list.zone())
}

func (r *Resolver) health(ctx context.Context, list BlockList, always, never string) lookup.Answer[struct{}] {
	// Any answer is one here: which of them count is for real entries.
	list.Codes = nil
	has, hasNot := r.listed(ctx, list, always), r.listed(ctx, list, never)
	switch {
	case errors.Is(has.Err(), ErrBlockList):
		return lookup.No[struct{}](has.Err())
	case errors.Is(hasNot.Err(), ErrBlockList):
		return lookup.No[struct{}](hasNot.Err())
	case hasNot.State() == lookup.Found:
		return lookup.No[struct{}](fmt.Errorf("%s: %w", list.Zone, ErrListsAll))
	case has.State() == lookup.NotFound:
		return lookup.No[struct{}](fmt.Errorf("%s: %w", list.Zone, ErrListEmpty))
	case has.State() == lookup.TryAgain:
		return lookup.Later[struct{}](has.Err())
	case hasNot.State() == lookup.TryAgain:
		return lookup.Later[struct{}](hasNot.Err())
	}
	return lookup.Yes(struct{}{})
}
