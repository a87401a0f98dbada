package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/transport"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
)

// source is where connections of a transport come from.
func (o *Outbound) source(t *transport.Transport) transport.Source {
	from := t.Source
	if from.Helo == "" {
		from.Helo = o.Helo
	}
	if len(from.Bind) == 0 {
		from.Bind = o.Bind
	}
	if !from.IPv4 && !from.IPv6 {
		from.IPv4, from.IPv6 = o.IPv4, o.IPv6
	}
	return from
}

// usable are the addresses of a host that mail may go to, those first that are likely
// to answer: of an enabled family, not our own, and from an address of ours that has a
// name. A reply says why there is none, and without why IPv6 was left out beside IPv4.
func (f *finder) usable(ctx context.Context, out *Outbound, from transport.Source, h host, all []netip.Addr) (addrs []netip.Addr, without string, reply *smtp.Reply) {
	four, six := families(all, func(a netip.Addr) bool { return !out.Self.IsAddr(a) })
	switch {
	case len(four)+len(six) == 0:
		return nil, "", nil // the client says so
	case !from.IPv6 && len(four) == 0:
		return nil, "", noFamily(h, "IPv6", "IPv4")
	case !from.IPv4 && len(six) == 0:
		return nil, "", noFamily(h, "IPv4", "IPv6")
	case !from.IPv4:
		four = nil
	case !from.IPv6:
		six = nil
	}
	if without = f.nameless(ctx, out, from, h, six, len(four) > 0); without != "" {
		if six = nil; len(four) == 0 {
			return nil, "", smtp.NewReply(450, "4.4.1", fmt.Sprintf("host %s has only IPv6 addresses, and %s", h.name, without))
		}
	}
	return f.order(all, from, four, six), without, nil
}

func noFamily(h host, has, used string) *smtp.Reply {
	return smtp.NewReply(450, "4.4.1", fmt.Sprintf("host %s has only %s addresses, and only %s is used (inet_protocols)", h.name, has, used))
}

// families parts addresses.
func families(all []netip.Addr, wanted func(netip.Addr) bool) (four, six []netip.Addr) {
	for _, a := range all {
		switch a = a.Unmap(); {
		case !wanted(a):
		case a.Is4():
			four = append(four, a)
		default:
			six = append(six, a)
		}
	}
	return four, six
}

const (
	// familyRest is how long a family of addresses that led nowhere, while the other
	// worked, is tried after it; addressRest the same for an address.
	familyRest  = 5 * time.Minute
	addressRest = 5 * time.Minute
)

// familyName is a family as it is reached from here.
func familyName(from transport.Source, a netip.Addr) string {
	name := "IPv6"
	if a.Unmap().Is4() {
		name = "IPv4"
	}
	for _, b := range from.Bind {
		if b.Unmap().Is4() == a.Unmap().Is4() {
			name += " from " + b.String()
		}
	}
	return name
}

// order puts addresses in the order in which they are tried: as the name service has
// them, one family first if that is wanted, and last what did not answer lately.
func (f *finder) order(all []netip.Addr, from transport.Source, four, six []netip.Addr) []netip.Addr {
	list := make([]netip.Addr, 0, len(all))
	for _, a := range all {
		if a = a.Unmap(); slices.Contains(four, a) || slices.Contains(six, a) {
			list = append(list, a)
		}
	}
	switch {
	case from.PreferIPv4:
		list = append(four, six...)
	case from.PreferIPv6:
		list = append(six, four...)
	}
	if len(list) < 2 {
		return list
	}
	now := time.Now()
	tired := func(a netip.Addr) int {
		switch {
		case f.rests.resting(familyName(from, a), now):
			return 2
		case f.rests.resting(a.String(), now):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return tired(a) - tired(b) })
	return list
}

// learn notes which addresses did not answer before one that did, and tells of those
// that could not be reached as Postfix does. Where one family led nowhere and the other
// somewhere, it is the family.
func (f *finder) learn(s site, from transport.Source, tried []netip.Addr, conn *smtpc.Conn, err error) {
	attempts := attemptsOf(conn, err)
	for _, a := range attempts {
		if a.Err.Stage == smtpc.StageConnect && (conn != nil || len(attempts) > 1) {
			f.emit(Unreachable{Transport: s.transport, Text: a.Err.Reply.Text()})
		}
	}
	if conn == nil {
		return
	}
	at, parsed := netip.ParseAddrPort(conn.Addr().String())
	if parsed != nil {
		return // a Unix socket
	}
	now, answered := time.Now(), at.Addr().Unmap()
	f.rests.wake(answered.String())
	f.rests.wake(familyName(from, answered))
	for _, a := range tried[:max(0, slices.Index(tried, answered))] {
		if talked(attempts, a) {
			continue
		}
		name, d := a.String(), addressRest
		if a.Is4() != answered.Is4() {
			name, d = familyName(from, a), familyRest
		}
		if f.rests.rest(name, now, d) {
			f.note(s.logger(), slog.LevelInfo, fmt.Sprintf("%s does not answer where %s does; it is tried after others for %v", name, answered, d))
		}
	}
}

// attemptsOf are the addresses that did not take us.
func attemptsOf(conn *smtpc.Conn, err error) []smtpc.Attempt {
	var failure *smtpc.Failure
	if conn != nil {
		return conn.Attempts()
	}
	if errors.As(err, &failure) {
		return failure.Attempts
	}
	return nil
}

// talked tells that an address was reached, whatever it said then.
func talked(attempts []smtpc.Attempt, addr netip.Addr) bool {
	return slices.ContainsFunc(attempts, func(a smtpc.Attempt) bool {
		return a.Addr.Unmap() == addr && a.Err.Stage != smtpc.StageConnect
	})
}

func (f *finder) emit(e event.Event) {
	if f.events != nil {
		f.events.Emit(e)
	}
}

// ownNames is what is known of the names of our own addresses. The zero value is ready.
type ownNames struct {
	mu    sync.Mutex
	known map[netip.Addr]ownName
}

// ownName is what the name service said about an address of ours.
type ownName struct {
	state  lookup.State
	until  time.Time
	warned time.Time
}

const (
	// nameFor is how long it is known that an address has a name, namelessFor that it
	// has none, and askAgain when the name service is asked again that did not answer.
	nameFor     = time.Hour
	namelessFor = 10 * time.Minute
	askAgain    = time.Minute
	// warnEvery is how often the admin hears of it.
	warnEvery = 24 * time.Hour
)

// nameless tells why IPv6 is not used for a host: our address there has no name that
// leads back to it, and is refused by many for that. Where the name service does not
// answer, another family is used if there is one.
func (f *finder) nameless(ctx context.Context, out *Outbound, from transport.Source, h host, six []netip.Addr, other bool) string {
	if !out.RequireIPv6Name || h.trusted || len(six) == 0 || !dns.Public(six[0]) {
		return ""
	}
	own, found := out.ownAddr(from, six[0])
	if !found || !dns.Public(own) {
		return ""
	}
	switch state := f.ownName(ctx, own); {
	case state == lookup.Found, state == lookup.TryAgain && !other:
		return ""
	case state == lookup.TryAgain:
		return fmt.Sprintf("whether our own, %s, has a name in the DNS that leads back to it (PTR) can't be told now; see require_ipv6_name", own)
	}
	return fmt.Sprintf("our own, %s, has no name in the DNS that leads back to it (PTR), so that mail from it is refused by many; see require_ipv6_name", own)
}

// ownAddr is our address that a host would see. The system tells it without sending
// anything.
func (o *Outbound) ownAddr(from transport.Source, to netip.Addr) (netip.Addr, bool) {
	for _, b := range from.Bind {
		if b.Unmap().Is4() == to.Is4() {
			return b.Unmap(), true
		}
	}
	if o.Dial != nil {
		return netip.Addr{}, false // another network than the system's
	}
	conn, err := net.Dial("udp", netip.AddrPortFrom(to, 25).String())
	if err != nil {
		return netip.Addr{}, false // there is no way, as the attempt will find
	}
	defer conn.Close()
	own, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return own.Addr().Unmap(), err == nil
}

// ownName tells whether an address of ours has a name.
func (f *finder) ownName(ctx context.Context, own netip.Addr) lookup.State {
	now := time.Now()
	if known := f.names.of(own); now.Before(known.until) {
		return known.state
	}
	answer := f.resolver.ClientName(ctx, own)
	if f.names.learn(own, answer.State(), now) {
		f.note(logger("", ""), slog.LevelWarn, fmt.Sprintf("our address %s has no name in the DNS that leads back to it (%v): mail to strangers goes over IPv4 only; give the address a PTR record, or set require_ipv6_name = false", own, answer.Err()))
	}
	return answer.State()
}

func (n *ownNames) of(own netip.Addr) ownName {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[own]
}

// learn notes what was found out; warn tells that the admin is to hear of it.
func (n *ownNames) learn(own netip.Addr, state lookup.State, now time.Time) (warn bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[netip.Addr]ownName)
	}
	known := n.known[own]
	known.state = state
	switch state {
	case lookup.Found:
		known.until = now.Add(nameFor)
	case lookup.NotFound:
		known.until = now.Add(namelessFor)
		if warn = now.Sub(known.warned) >= warnEvery; warn {
			known.warned = now
		}
	case lookup.TryAgain:
		known.until = now.Add(askAgain)
	}
	n.known[own] = known
	return warn
}
