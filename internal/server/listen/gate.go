package listen

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/limit"
)

// Rules are what one client may do. A Rules is not changed once it is in use.
type Rules struct {
	// PerClient is the most connections of one client to one service at a time;
	// Postfix's client_connection_count_limit. Wider networks have a multiple of it
	// (limit.Networks).
	PerClient int
	// PerAccount is the most connections of one account to one service at a time, from
	// wherever; Dovecot's mail_max_userip_connections, but for its address.
	PerAccount int
	// Rate is the most connections of one client to one service in RateTime;
	// Postfix's client_connection_rate_limit and anvil_rate_time_unit.
	Rate     int
	RateTime time.Duration
	// Home tells of a client from which people log in to a service. It, and the networks
	// around it, may have homeFactor times as many connections: after an outage a whole
	// office comes back at once, behind one address, and is not known yet. nil: nobody.
	Home func(service string, client netip.Addr) bool
	// Exempt networks are spared all three.
	Exempt []netip.Prefix
	// Favoured networks, and who comes by a Unix socket, find room in the reserve
	// when everybody else is turned away.
	Favoured []netip.Prefix
}

// Default rules: the first is Postfix's; it has no limit of the rate.
const (
	DefaultPerClient  = 50
	DefaultPerAccount = 100
	DefaultRate       = 300
	DefaultRateTime   = time.Minute
)

// homeFactor is how much more a home may have.
const homeFactor = 10

// DefaultRules spare and favour this machine.
func DefaultRules() Rules {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	return Rules{
		PerClient: DefaultPerClient, PerAccount: DefaultPerAccount, Rate: DefaultRate, RateTime: DefaultRateTime,
		Exempt: here, Favoured: here,
	}
}

// Gate is what all listeners of the house share: who may come in, how many at a
// time, and how many handshakes are computed at once.
type Gate struct {
	budget   *limit.Budget
	rules    atomic.Pointer[Rules]
	rate     atomic.Pointer[limit.Counter[visitor]]
	present  limit.Present[visitor]
	accounts limit.Present[holder]
	stats    statistics
	room     roomMaker
	// turns is held while a handshake is computed, and not while it waits for the
	// client.
	turns chan struct{}
}

// visitor is a client, or a network of clients, at one service.
type visitor struct {
	service string
	net     netip.Prefix
}

// holder is who has an account, at one service.
type holder struct{ service, account string }

// NewGate makes a gate that draws on budget.
func NewGate(budget *limit.Budget, r Rules) *Gate {
	g := &Gate{budget: budget, room: roomMaker{servers: map[*Server]struct{}{}}, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	g.Configure(r)
	return g
}

// Configure replaces the rules; zeros mean the defaults. Whoever is inside stays.
func (g *Gate) Configure(r Rules) {
	r.PerClient = or(r.PerClient, DefaultPerClient)
	r.PerAccount = or(r.PerAccount, DefaultPerAccount)
	r.Rate = or(r.Rate, DefaultRate)
	if r.RateTime <= 0 {
		r.RateTime = DefaultRateTime
	}
	if c := g.rate.Load(); c == nil || c.Window() != r.RateTime {
		g.rate.Store(limit.NewCounter[visitor](r.RateTime, limit.DefaultSlots))
	}
	g.rules.Store(&r)
}

func or(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// newDefaultGate is the gate of a Server that was given none.
func newDefaultGate() *Gate {
	return NewGate(limit.NewBudget(limit.Ceilings{Connections: DefaultMaxConns, LoggedIn: DefaultMaxConns, Memory: 1 << 40}, nil), DefaultRules())
}

// Watch keeps an eye on the memory, and tells statistics every ten minutes and at
// the end of ctx.
func (g *Gate) Watch(ctx context.Context, events event.Sink) {
	go g.budget.Watch(ctx)
	tick := time.NewTicker(statisticsTime)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.stats.tell(events)
		case <-ctx.Done():
			g.stats.tell(events)
			return
		}
	}
}

// favours tells who may use the reserve. A Unix socket has no address.
func (r *Rules) favours(a netip.Addr) bool { return !a.IsValid() || limit.Contains(r.Favoured, a) }

// spares tells who is not counted as a client.
func (r *Rules) spares(a netip.Addr) bool { return !a.IsValid() || limit.Contains(r.Exempt, a) }

// enter counts a client in under its networks, or says what it is over. counted
// tells whether it has to be counted out.
func (g *Gate) enter(service string, a netip.Addr) (counted bool, err error) {
	r := g.rules.Load()
	if r.spares(a) {
		return false, nil
	}
	nets := limit.Networks(a)
	if err := g.crowded(r, service, a, nets); err != nil {
		return false, err
	}
	if err := g.hasty(r, service, a, nets); err != nil {
		g.leave(service, a)
		return false, err
	}
	return true, nil
}

// over tells that a count of a client, or of its network, is more than it may be.
func (r *Rules) over(service string, a netip.Addr, count, most int) bool {
	return count > most && (count > most*homeFactor || r.Home == nil || !r.Home(service, a))
}

// enterAccount counts a connection in under its account, unless too many of that are
// inside. Who logged in is never put out to make room, so that without this one account
// could take every place there is.
func (g *Gate) enterAccount(service, account string, a netip.Addr) (counted bool, err error) {
	r := g.rules.Load()
	if r.spares(a) {
		return false, nil
	}
	h := holder{service, account}
	if g.accounts.Enter(h) > r.PerAccount {
		g.accounts.Leave(h)
		return false, fmt.Errorf("too many connections of this account: at most %d at a time", r.PerAccount)
	}
	return true, nil
}

// crowded counts a client in, unless too many are inside.
func (g *Gate) crowded(r *Rules, service string, a netip.Addr, nets []limit.Network) error {
	for i, n := range nets {
		count := g.present.Enter(visitor{service, n.Prefix})
		if i == 0 {
			g.stats.count.see(service, n.Addr(), count, 0)
		}
		if most := r.PerClient * n.Factor; r.over(service, a, count, most) {
			for _, entered := range nets[:i+1] {
				g.present.Leave(visitor{service, entered.Prefix})
			}
			return &overError{"concurrency", n.Prefix, count, most, 0}
		}
	}
	return nil
}

// hasty counts a connection for the rate. What a network refuses does not count
// for the wider ones: one client in a hurry does not shut out its neighbours.
func (g *Gate) hasty(r *Rules, service string, a netip.Addr, nets []limit.Network) error {
	rate := g.rate.Load()
	for i, n := range nets {
		count := rate.Add(visitor{service, n.Prefix}, 1)
		if i == 0 {
			g.stats.rate.see(service, n.Addr(), count, rate.Window())
		}
		if most := r.Rate * n.Factor; r.over(service, a, count, most) {
			return &overError{"rate", n.Prefix, count, most, rate.Window()}
		}
	}
	return nil
}

// leave counts a client out.
func (g *Gate) leave(service string, a netip.Addr) {
	for _, n := range limit.Networks(a) {
		g.present.Leave(visitor{service, n.Prefix})
	}
}

// faultWeight is how many connections a failed handshake counts as: it cost us one
// and brought nothing.
const faultWeight = 4

// blame counts a failed handshake against a client.
func (g *Gate) blame(service string, a netip.Addr) {
	if g.rules.Load().spares(a) {
		return
	}
	rate := g.rate.Load()
	for _, n := range limit.Networks(a) {
		rate.Add(visitor{service, n.Prefix}, faultWeight)
	}
}

// What keeps a connection out, beside an overError and the errors of limit.Budget.
var (
	errDraining = errors.New("shutting down")
	errNoProxy  = errors.New("not one of the proxies that this listener is for")
)

// overError says that a client, or its network, does too much.
type overError struct {
	what        string // "concurrency", "rate": Postfix's words
	net         netip.Prefix
	count, most int
	window      time.Duration
}

// Error is what the client is told.
func (e *overError) Error() string {
	who := e.net.String()
	if e.net.IsSingleIP() {
		who = e.net.Addr().String()
	}
	if e.window > 0 {
		return fmt.Sprintf("too many connections from %s: at most %d in %v", who, e.most, e.window)
	}
	return fmt.Sprintf("too many connections from %s: at most %d at a time", who, e.most)
}
