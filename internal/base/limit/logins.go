package limit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Logins counts failed log-ins, at all doors together: by client, by the networks
// around it, and by account. Beyond a limit nobody's password is looked at, right
// or wrong.
//
// An account has an owner, who must not be locked out by others who guess. So a
// client from which an account was logged in to before is an acquaintance of that
// account: it has a counter of its own with it, and neither the guesses of the
// world nor those from its own network matter to it. And a secret that was wrong
// before is not counted again for the same client and account: a telephone with an
// old password tries it all day.
//
// Secrets are remembered as a MAC under a key of this process, four for each client
// and account. Everything fades by itself.
type Logins struct {
	clients  *Counter[netip.Prefix]
	accounts *Counter[uint64]
	friends  *Counter[acquaintance]
	key      [32]byte

	mu      sync.Mutex
	known   map[acquaintance]time.Time // when it was last told of
	repeats map[acquaintance]*[4]uint64
	trying  map[uint64]int // strangers' attempts under way, by account
}

// acquaintance is an account, hashed, and a client.
type acquaintance struct {
	account uint64
	client  netip.Prefix
}

// The bounds of the tables of Logins: some 10 MB when all are full.
const (
	loginSlots  = 1 << 14
	loginKnown  = 1 << 16
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
		friends: NewCounter[acquaintance](window, loginSlots),
		known:   make(map[acquaintance]time.Time), repeats: make(map[acquaintance]*[4]uint64), trying: make(map[uint64]int),
	}
	rand.Read(l.key[:]) // never fails (crypto/rand)
	return l
}

// Try begins a log-in to an account, named in one form always, known here or not;
// "" when the client did not say. A reason is why it is not to be tried, for people.
// Else the attempt is to be ended by Failed, Passed or Drop.
func (l *Logins) Try(r LoginRules, client netip.Addr, account string) (try LoginTry, reason string) {
	try = LoginTry{logins: l, addr: client, pair: acquaintance{l.hash(account), Client(client)}, named: account != ""}
	if !try.pair.client.IsValid() || Contains(r.Exempt, client) {
		return LoginTry{}, ""
	}
	l.mu.Lock()
	_, try.known = l.known[try.pair]
	trying := l.trying[try.pair.account]
	l.mu.Unlock()
	if try.known {
		if l.friends.Sum(try.pair) >= r.PerClient {
			return LoginTry{}, fmt.Sprintf("too many failed log-ins to this account from %s", try.pair.client)
		}
		return try, ""
	}
	for _, n := range Networks(client) {
		if l.clients.Sum(n.Prefix) >= r.PerClient*n.Factor {
			return LoginTry{}, fmt.Sprintf("too many failed log-ins from %s", n.Prefix)
		}
	}
	if !try.named {
		return try, ""
	}
	if l.accounts.Sum(try.pair.account)+trying >= r.PerAccount {
		return LoginTry{}, "too many failed log-ins to this account from strangers"
	}
	l.begin(try.pair.account, 1)
	return try, ""
}

// begin counts what is under way, so that many attempts at once can not all pass
// below the limit.
func (l *Logins) begin(account uint64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trying[account] += n; l.trying[account] <= 0 {
		delete(l.trying, account)
	}
}

// Know makes a client an acquaintance of an account, as after a log-in.
func (l *Logins) Know(account string, client netip.Prefix) {
	l.know(acquaintance{l.hash(account), client}, time.Time{})
}

// toldAgain is how long an acquaintance is no news.
const toldAgain = 24 * time.Hour

// know says whether it is news. In a full table somebody else is forgotten.
func (l *Logins) know(pair acquaintance, now time.Time) (fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told, ok := l.known[pair]
	if ok && now.Sub(told) < toldAgain {
		return false
	}
	if !ok {
		makeRoom(l.known, loginKnown)
	}
	l.known[pair] = now
	return true
}

// makeRoom throws somebody out of a full table: anybody, as the order of a map is
// nobody's to choose.
func makeRoom[K comparable, V any](table map[K]V, most int) {
	for k := range table {
		if len(table) < most {
			return
		}
		delete(table, k)
	}
}

// again says whether a secret was wrong before, and remembers it.
func (l *Logins) again(pair acquaintance, secret string) bool {
	mark := l.hash(secret)
	l.mu.Lock()
	defer l.mu.Unlock()
	marks := l.repeats[pair]
	if marks == nil {
		makeRoom(l.repeats, loginRepeat)
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
	addr   netip.Addr
	pair   acquaintance
	named  bool
	known  bool
}

// Failed counts an attempt whose secret was wrong; "" where the secret itself was
// not seen.
func (t LoginTry) Failed(secret string) {
	if t.logins == nil {
		return
	}
	defer t.Drop()
	if secret != "" && t.logins.again(t.pair, secret) {
		return
	}
	if t.known {
		t.logins.friends.Add(t.pair, 1)
		return
	}
	for _, n := range Networks(t.addr) {
		t.logins.clients.Add(n.Prefix, 1)
	}
	if t.named {
		t.logins.accounts.Add(t.pair.account, 1)
	}
}

// Passed ends a log-in that succeeded, and says whether the acquaintance is worth
// keeping: a new one, or one that was not told of for a day. It forgives what the client failed at this account
// before, and nothing else: an account of one's own is no way to guess at others.
func (t LoginTry) Passed() (network netip.Prefix, fresh bool) {
	if t.logins == nil {
		return netip.Prefix{}, false
	}
	t.Drop()
	t.logins.friends.Forget(t.pair)
	return t.pair.client, t.logins.know(t.pair, time.Now())
}

// Drop ends an attempt of which nobody knows whether it was right.
func (t LoginTry) Drop() {
	if t.logins != nil && t.named && !t.known {
		t.logins.begin(t.pair.account, -1)
	}
}
