package brake

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/brake"
	"facteur/internal/store/queue"
)

// Who is a sender.
type Who struct {
	// Name is under which it is counted: a canonical address, or "uid:1000".
	Name string
	// Shown is the name for people; "" is Name.
	Shown string
	// Addr is the client's, Host its confirmed name or "unknown".
	Addr netip.Addr
	Host string
}

func (w *Who) String() string {
	if w.Shown != "" {
		return w.Shown
	}
	return w.Name
}

// Letter is what is to be sent.
type Letter struct {
	Who Who
	ID  queue.ID // 0 where it is not ours
	// Recipients are whom the sender named; Count is their number, at least 1.
	Recipients []address.Address
	Count      int
	// Text stands for what it says; zero where nobody knows.
	Text [16]byte
}

// Decision is what becomes of a letter. The zero Decision lets it pass.
type Decision struct {
	// Later is what the client is told that is to come later.
	Later string
	// Hold is why the letter is held.
	Hold string
}

// House is what a Gate stands in.
type House struct {
	Rules func() *Rules
	Kept  *brake.Store
	// Knows says whether an account wrote to an address before; nil: nobody knows, and
	// nobody is new.
	Knows func(ctx context.Context, account string, peer address.Address) bool
	// Expel is called when an account was braked, from a goroutine of its own: it ends the
	// sessions. nil: there are none.
	Expel func(ctx context.Context, account string)
	// Post tells people of it.
	Post   *Post
	Queue  *queue.Queue
	Events event.Sink
}

// Gate is asked by all sessions, from any goroutine.
type Gate struct {
	House
	mu      sync.Mutex // a letter is counted and judged in one step
	watches watches
	told    map[string]time.Time // when the postmaster heard that a quota was exceeded
	telling sync.Mutex           // one goroutine tells of brakes, one lets go
	letting sync.Mutex
}

// New makes a Gate.
func New(h House) *Gate {
	return &Gate{House: h, watches: newWatches(), told: map[string]time.Time{}}
}

// answered is after what time the sessions of a braked account are cut: the one whose letter
// it was has heard by then that it was taken, and does not send it again.
const answered = 3 * time.Second

// Reason is how the reason begins for which letters of a braked account are held.
func Reason(name string) string { return "braked: " + name + ":" }

// Braked tells that an account is braked.
func (g *Gate) Braked(account string) bool {
	if g == nil {
		return false
	}
	a, _ := g.Kept.Account(keyOf(account))
	return a.Braked()
}

func keyOf(account string) string {
	if a, err := address.Parse(account); err == nil {
		return a.Key()
	}
	return account
}

// SuspendsApps tells that the app passwords of an account do not count now, RefusesLogin
// that it is not let in to send.
func (g *Gate) SuspendsApps(account string) bool { return g.Rules().SuspendApps && g.Braked(account) }

// RefusesLogin says why an account is not let in to send; "" where it is.
func (g *Gate) RefusesLogin(account string) string {
	if r := g.Rules(); r.RefuseLogins && g.Braked(account) {
		return reply(r.Text)
	}
	return ""
}

// Early is what a client is told that names one recipient more, the count-th, and is to come
// later; "" where it may go on.
func (g *Gate) Early(who Who, count int) string {
	r := g.Rules()
	own, _ := g.Kept.Account(who.Name)
	if own.Braked() && !r.TestOnly {
		return g.full(r, who, count)
	}
	if q, _ := g.beyond(r, own, who, count, brake.Sums{brake.Recipients: count}, true); q != nil {
		return reply(q.Text)
	}
	return ""
}

// full is what a braked account is told of which enough is held.
func (g *Gate) full(r *Rules, who Who, count int) string {
	if r.Refuse || g.Kept.Within(who.Name, 24*time.Hour)[brake.Held]+count > r.HeldMost {
		return reply(r.Text)
	}
	return ""
}

// beyond finds the first quota that a letter goes beyond, with what it counted; early finds
// those only by which it is to come later.
func (g *Gate) beyond(r *Rules, own brake.Account, who Who, count int, more brake.Sums, early bool) (found *Quota, sent int) {
	for i := range r.Quotas {
		q := &r.Quotas[i]
		name := q.tracked(who.Name)
		if name == "" || !q.matches(who.Name) {
			continue
		}
		n, most := g.Kept.Within(name, q.Period)[q.Count]+more[q.Count], q.most(own)
		switch {
		case n <= most || more[q.Count] == 0:
		case q.Verdict == Defer, q.Verdict == Hold && n > 2*most:
			return later(q), n
		case found == nil && !early:
			found, sent = q, n
		}
	}
	return found, sent
}

// later is a quota whose letters are to come later.
func later(q *Quota) *Quota {
	x := *q
	x.Verdict = Defer
	return &x
}

// Ask counts a letter, and says what becomes of it. What is to come later is not counted.
func (g *Gate) Ask(ctx context.Context, l Letter) Decision {
	r := g.Rules()
	own, _ := g.Kept.Account(l.Who.Name)
	if own.Braked() && !r.TestOnly {
		return g.held(r, own, l)
	}
	first := g.first(ctx, l)
	d, why, signs := g.judge(r, own, l, first)
	if why == "" {
		if d.Hold != "" {
			g.tellOver(ctx, r, l.Who, d.Hold)
		}
		return d
	}
	if r.TestOnly {
		g.Events.Emit(Stopped{ID: l.ID, Account: l.Who.Name, Why: why, Signs: signs, Test: true})
		return Decision{}
	}
	return g.brake(ctx, r, l, why, signs)
}

// first are those recipients to whom the account never wrote.
func (g *Gate) first(ctx context.Context, l Letter) (list []address.Address) {
	if g.Knows == nil || !strings.Contains(l.Who.Name, "@") {
		return nil
	}
	for _, a := range l.Recipients {
		if !g.Knows(ctx, l.Who.Name, a) {
			list = append(list, a)
		}
	}
	return list
}

// held is what becomes of a letter of a braked account.
func (g *Gate) held(r *Rules, own brake.Account, l Letter) Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	if text := g.full(r, l.Who, l.Count); text != "" {
		return Decision{Later: text}
	}
	g.count(l.Who.Name, brake.Sums{brake.Recipients: l.Count, brake.Held: l.Count})
	d := Decision{Hold: Reason(l.Who.Name) + " " + own.Why}
	g.Events.Emit(Kept{ID: l.ID, Account: l.Who.Name, Shown: l.Who.String(), Why: own.Why, Braked: true})
	return d
}

// judge counts a letter and weighs it. why says for what the account is to be braked.
func (g *Gate) judge(r *Rules, own brake.Account, l Letter, first []address.Address) (d Decision, why string, signs []Sign) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	x := g.watches.get(l.Who.Name, now)
	more := brake.Sums{brake.Recipients: l.Count}
	q, sent := g.beyond(r, own, l.Who, l.Count, more, false)
	if q != nil && q.Verdict == Defer {
		return Decision{Later: reply(q.Text)}, "", nil
	}
	news := g.watches.news(x, first, now)
	more[brake.First], more[brake.FirstDomains] = news[brake.First], news[brake.FirstDomains]
	if q == nil {
		if q, sent = g.beyond(r, own, l.Who, l.Count, more, false); q != nil && q.Verdict == Defer {
			return Decision{Later: reply(q.Text)}, "", nil
		}
	}
	x.from(&l, r, now)
	g.count(l.Who.Name, more)
	same := x.sameText(l.Text, l.Count, now)
	signs = x.signs(r, g.Kept.Within(l.Who.Name, time.Hour), same, now)
	switch {
	case q != nil && q.Verdict == Brake:
		return d, q.sentence(l.Who, sent, own), signs
	case q != nil:
		d.Hold = q.sentence(l.Who, sent, own)
		g.Events.Emit(Kept{ID: l.ID, Account: l.Who.Name, Shown: l.Who.String(), Why: d.Hold})
		return d, "", signs
	case sum(signs) >= r.Level:
		return d, fmt.Sprintf("%s is not used as by its owner: %.1f points, from %.1f on it is braked", l.Who.String(), sum(signs), r.Level), signs
	}
	return d, "", signs
}

// count counts for the account, and for its domain.
func (g *Gate) count(name string, n brake.Sums) {
	g.Kept.Add(name, n)
	if _, domain, ok := strings.Cut(name, "@"); ok {
		g.Kept.Add("@"+domain, n)
	}
}

// units are what kinds are called.
var units = map[brake.Kind]string{brake.Recipients: "recipients", brake.First: "recipients to whom it never wrote before",
	brake.FirstDomains: "domains to which it never wrote before", brake.Unknown: "recipients who do not exist", brake.Failed: "recipients whose mail came back"}

// sentence says what is beyond a quota.
func (q *Quota) sentence(who Who, sent int, own brake.Account) string {
	subject := who.String()
	if q.Track == Domain {
		subject = q.tracked(who.Name)
	}
	return fmt.Sprintf("%s has sent to %d %s in %s, more than %d (%s)", subject, sent, units[q.Count], period(q.Period), q.most(own), q.Name)
}

func period(d time.Duration) string {
	switch d {
	case time.Hour:
		return "an hour"
	case 24 * time.Hour:
		return "a day"
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// brake brakes the account of a letter, and holds that. Only the first of several letters at
// the same time changes anything.
func (g *Gate) brake(ctx context.Context, r *Rules, l Letter, why string, signs []Sign) Decision {
	ctx = context.WithoutCancel(ctx) // the client may be gone
	fresh := false
	a, err := g.Kept.Change(ctx, l.Who.Name, func(a *brake.Account) bool {
		if fresh = !a.Braked(); fresh {
			a.Since, a.Why, a.Told, a.Letting, a.Signs = time.Now(), why, false, time.Time{}, nil
			for _, s := range signs {
				a.Signs = append(a.Signs, s.String())
			}
		}
		return fresh
	})
	if err != nil {
		g.Events.Emit(event.Note{Severity: slog.LevelError, Program: "facteur/brake", Text: "it can't be written down that " + l.Who.Name + " is braked: " + err.Error()})
	}
	if a.Why == "" {
		a.Why = why
	}
	if fresh && err == nil {
		g.Events.Emit(Stopped{ID: l.ID, Account: l.Who.Name, Why: why, Signs: signs})
		if r.Cut && g.Expel != nil {
			time.AfterFunc(answered, func() { g.Expel(ctx, l.Who.Name) })
		}
		g.tell(ctx)
	}
	g.mu.Lock()
	g.count(l.Who.Name, brake.Sums{brake.Held: l.Count}) // its recipients were counted
	g.mu.Unlock()
	g.Events.Emit(Kept{ID: l.ID, Account: l.Who.Name, Shown: l.Who.String(), Why: a.Why, Braked: true})
	return Decision{Hold: Reason(l.Who.Name) + " " + a.Why}
}

// Failed counts a letter that did not reach a recipient; unknown: there is no such one.
func (g *Gate) Failed(account string, unknown bool) {
	if account == "" {
		return
	}
	n := brake.Sums{brake.Failed: 1}
	if unknown {
		n[brake.Unknown] = 1
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count(keyOf(account), n)
}
