package limit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Logins counts failed log-ins, at all doors together: by client, by the networks
// around it, and by account. Beyond a limit nobody's password is looked at, right
// or wrong.
//
// The limit is asked twice, before a password is looked at and before anybody is
// told what came of it. Many who begin at the same time, before the first of them has
// failed, learn no more than if they had come one after another; and whoever begins
// and does not end takes nothing from others.
//
// An account has an owner, who must not be locked out by others who guess. So a
// client from which an account was logged in to before is an acquaintance of that
// account: it has a counter of its own with it, and neither the guesses of the
// world nor those from its own network matter to it. And a secret that was wrong
// before is not counted again for the same client and account: a telephone with an
// old password tries it all day.
//
// Secrets are remembered as a MAC under a key of this process, four for each client
// and account, and fifty acquaintances for each account. Everything fades by itself.
type Logins struct {
	clients  *Counter[netip.Prefix]
	accounts *Counter[uint64]
	friends  *Counter[friend]
	key      [32]byte

	mu      sync.Mutex
	known   map[acquaintance]time.Time // when it was last told of
	homes   map[netip.Prefix]int       // how many accounts a client is known to
	circles map[uint64][]netip.Prefix  // the clients that an account knows, the latest last
	repeats map[acquaintance]*[4]uint64
}

// acquaintance is an account, hashed, and a client.
type acquaintance struct {
	account uint64
	client  netip.Prefix
}

// friend is a client that is counted on its own with an account. Whether secrets are
// seen makes two of it: where they are not, a program with an old password is a failure
// each time that it asks, which shall not shut out those beside it who send theirs.
type friend struct {
	acquaintance
	blind bool
}

// The bounds of the tables of Logins: some 10 MB when all are full.
const (
	loginSlots  = 1 << 14
	loginKnown  = 1 << 16
	loginCircle = 50 // for an account
	loginRepeat = 1 << 14
)

// LoginRules are the limits, in failures within the window.
type LoginRules struct {
	// PerClient is for one client; the networks around it have it several times
	// over. PerAccount is for one account, from strangers.
	PerClient, PerAccount int
	// Exempt are networks that are not counted.
	Exempt []netip.Prefix
}

// NewLogins counts over a window.
func NewLogins(window time.Duration) *Logins {
	l := &Logins{
		clients: NewCounter[netip.Prefix](window, loginSlots), accounts: NewCounter[uint64](window, loginSlots),
		friends: NewCounter[friend](window, loginSlots),
		homes:   make(map[netip.Prefix]int), circles: make(map[uint64][]netip.Prefix), known: make(map[acquaintance]time.Time), repeats: make(map[acquaintance]*[4]uint64),
	}
	rand.Read(l.key[:]) // never fails (crypto/rand)
	return l
}

// Try begins a log-in to an account, named in one form always, known here or not;
// "" when the client did not say. blind tells that the secret itself will not be seen. A
// reason is why it is not to be tried, for people. Else the attempt may be ended by
// Failed or Passed.
func (l *Logins) Try(r LoginRules, client netip.Addr, account string, blind bool) (try LoginTry, reason string) {
	try = LoginTry{logins: l, rules: r, addr: client, pair: acquaintance{l.hash(account), Client(client)}, named: account != "", blind: blind}
	if !try.pair.client.IsValid() || Contains(r.Exempt, client) {
		return LoginTry{}, ""
	}
	if reason = try.Over(); reason != "" {
		return LoginTry{}, reason
	}
	return try, ""
}

// Know makes a client an acquaintance of an account, as after a log-in.
func (l *Logins) Know(account string, client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.know(acquaintance{l.hash(account), client}, time.Time{})
}

// toldAgain is how long an acquaintance is no news.
const toldAgain = 24 * time.Hour

// know says whether it is news. In a full table somebody else is forgotten; of an
// account that logs in from everywhere, the one that is longest no news. l.mu is held.
func (l *Logins) know(pair acquaintance, now time.Time) (fresh bool) {
	told, ok := l.known[pair]
	if ok && now.Sub(told) < toldAgain {
		return false
	}
	if ok {
		l.forget(pair)
	}
	if circle := l.circles[pair.account]; len(circle) >= loginCircle {
		l.forget(acquaintance{pair.account, circle[0]})
	}
	makeRoom(l.known, loginKnown, l.forget)
	l.moved(pair.client, 1)
	l.circles[pair.account] = append(l.circles[pair.account], pair.client)
	l.known[pair] = now
	return true
}

// forget ends an acquaintance. l.mu is held.
func (l *Logins) forget(pair acquaintance) {
	delete(l.known, pair)
	l.moved(pair.client, -1)
	same := func(c netip.Prefix) bool { return c == pair.client }
	if circle := slices.DeleteFunc(l.circles[pair.account], same); len(circle) > 0 {
		l.circles[pair.account] = circle
	} else {
		delete(l.circles, pair.account)
	}
}

// moved counts the accounts that a client is known to. l.mu is held.
func (l *Logins) moved(client netip.Prefix, n int) {
	if l.homes[client] += n; l.homes[client] <= 0 {
		delete(l.homes, client)
	}
}

// Home tells of a client that somebody logged in from there before.
func (l *Logins) Home(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.homes[Client(client)] > 0
}

// makeRoom throws somebody out of a full table: anybody, as the order of a map is
// nobody's to choose.
func makeRoom[K comparable, V any](table map[K]V, most int, gone func(K)) {
	for k := range table {
		if len(table) < most {
			return
		}
		delete(table, k)
		gone(k)
	}
}

// again says whether a secret was wrong before, and remembers it. l.mu is held.
func (l *Logins) again(pair acquaintance, secret string) bool {
	mark := l.hash(secret)
	marks := l.repeats[pair]
	if marks == nil {
		makeRoom(l.repeats, loginRepeat, func(acquaintance) {})
		marks = new([4]uint64)
		l.repeats[pair] = marks
	}
	for _, m := range marks {
		if m == mark {
			return true
		}
	}
	copy(marks[1:], marks[:])
	marks[0] = mark
	return false
}

func (l *Logins) hash(text string) uint64 {
	m := hmac.New(sha256.New, l.key[:])
	m.Write([]byte(text))
	return binary.BigEndian.Uint64(m.Sum(nil))
}

// LoginTry is one attempt. The zero LoginTry counts nothing.
type LoginTry struct {
	logins *Logins
	rules  LoginRules
	addr   netip.Addr
	pair   acquaintance
	named  bool
	blind  bool
}

func (t LoginTry) friend() friend { return friend{t.pair, t.blind} }

// Over says why the attempt may not go on, as others have failed since it began; ""
// when it may.
func (t LoginTry) Over() (reason string) {
	if t.logins == nil {
		return ""
	}
	t.logins.mu.Lock()
	defer t.logins.mu.Unlock()
	return t.over()
}

// over is Over. l.mu is held.
func (t LoginTry) over() (reason string) {
	l := t.logins
	if _, known := l.known[t.pair]; known {
		if l.friends.Sum(t.friend()) >= t.rules.PerClient {
			return fmt.Sprintf("too many failed log-ins to this account from %s", t.pair.client)
		}
		return ""
	}
	for _, n := range Networks(t.addr) {
		if l.clients.Sum(n.Prefix) >= t.rules.PerClient*n.Factor {
			return fmt.Sprintf("too many failed log-ins from %s", n.Prefix)
		}
	}
	if t.named && l.accounts.Sum(t.pair.account) >= t.rules.PerAccount {
		return "too many failed log-ins to this account from strangers"
	}
	return ""
}

// Failed counts an attempt whose secret was wrong; "" where the secret itself was
// not seen. A reason is why the client must not learn that it was wrong.
func (t LoginTry) Failed(secret string) (reason string) {
	l := t.logins
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason = t.over(); reason != "" || secret != "" && l.again(t.pair, secret) {
		return reason
	}
	if _, known := l.known[t.pair]; known {
		l.friends.Add(t.friend(), 1)
		return ""
	}
	for _, n := range Networks(t.addr) {
		l.clients.Add(n.Prefix, 1)
	}
	if t.named {
		l.accounts.Add(t.pair.account, 1)
	}
	return ""
}

// Passed ends a log-in that succeeded, and says whether the acquaintance is worth
// keeping: a new one, or one that was not told of for a day. It forgives what the
// client failed at this account before, and nothing else: an account of one's own is
// no way to guess at others. A reason is why the client must not be let in, nor
// learn that it was right.
func (t LoginTry) Passed() (network netip.Prefix, fresh bool, reason string) {
	l := t.logins
	if l == nil {
		return netip.Prefix{}, false, ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if reason = t.over(); reason != "" {
		return netip.Prefix{}, false, reason
	}
	l.friends.Forget(t.friend())
	return t.pair.client, l.know(t.pair, time.Now()), ""
}
