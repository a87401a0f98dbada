// Package reputation remembers clients from one connection to the next: which tests
// they passed, so that the clean wait only once, and what was odd about them, which
// is evidence for the filter and no verdict.
//
// A client is an IPv4 address or an IPv6 /64. A test that was passed holds a day
// (PreGreet) or thirty, as in Postfix's postscreen; a remark holds thirty days after
// the last of its kind. Everything expires.
//
// It remembers as well which domains bring the letters of others, and prove that they are
// themselves: mailing lists and forwarders. That holds ninety days after the last one.
//
// And it remembers who sends good mail and who does not (Sent, Taught): clients, networks,
// domains that are proven, senders in them. Good and bad letters count half after thirty
// days. What is hard evidence against a client (Offend: spam traps, decoys, guessing,
// viruses) adds up to a ban, each of which lasts longer than the one before, ten minutes to
// a week, and makes the next one come sooner; two clean weeks take one back. A client whose
// good letters are ten times the bad is not banned: it stands for many people. Of a network,
// its hosts are counted and not their letters: it is not blamed for one of them. Only the
// admin bans it, or for some hours its machines themselves, if nothing good came from any of
// them and they take turns at guessing addresses.
//
// # On disk
//
// Tables in DATA/facteur.db, reputation_passed, reputation_remark, reputation_domain,
// reputation_subject and reputation_fare, with a version of their own.
//
// # Invariants
//
// Questions are answered from memory and never wait for the disk. What is known is
// read at the start, and changes are written every few seconds, many in one
// transaction. Memory and tables hold MaxClients at most: of a few that are looked at
// by chance, the one that expires first makes room. A client who is forgotten waits
// once more; nobody is let in by it. Of subjects, each kind has MaxSubjects; the one of
// whom least is known makes room, and one with a penalty only for others with one.
//
// A crash loses the changes of the last seconds, and nothing else.
package reputation

import (
	"context"
	"embed"
	"net/netip"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/limit"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "reputation", Migrations: migrations} }

// Test is something that a client can pass, by Postfix's name.
type Test string

// The tests.
const (
	PreGreet    Test = "pregreet"         // silent until the banner
	NonSMTP     Test = "non_smtp_command" // no HTTP
	BareNewline Test = "bare_newline"     // CRLF ends lines
	Pipelining  Test = "pipelining"       // waits where it has to
)

// holds is how long a test that was passed counts (postscreen_greet_ttl, and
// postscreen_bare_newline_ttl and its like).
func (t Test) holds() time.Duration {
	if t == PreGreet {
		return 24 * time.Hour
	}
	return remarkHolds
}

const (
	// MaxClients bounds memory and tables; some 20 MB when all have both.
	MaxClients = 1 << 16

	remarkHolds = 30 * 24 * time.Hour
	namesMax    = 8 // tests, and kinds of remarks, of one client
	writeEvery  = 5 * time.Second
	sweepEvery  = time.Hour
)

// Store is what is known of clients. Its methods may be called from any goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	now    func() time.Time
	most   int // clients

	mu      sync.Mutex
	clients map[netip.Prefix]*record
	changed *behind.Rows[netip.Prefix]

	domains   *domains
	standings standings
}

// record is one client.
type record struct {
	passed  map[Test]int64 // until when, Unix seconds
	remarks map[string]count
}

// count is remarks of one kind.
type count struct {
	n       int
	expires int64
}

// Open reads what is known from a database that was opened with Tables.
func Open(ctx context.Context, d *db.DB, events event.Sink) (*Store, error) {
	return open(ctx, d, events, time.Now, MaxClients)
}

func open(ctx context.Context, d *db.DB, events event.Sink, now func() time.Time, most int) (*Store, error) {
	s := &Store{db: d, events: events, now: now, most: most,
		clients: make(map[netip.Prefix]*record), domains: newDomains(min(most, MaxDomains)), standings: newStandings(min(most, MaxSubjects))}
	s.changed = behind.NewRows(&s.mu, 2*most, s.row)
	return s, s.read(ctx)
}

// Passed tells whether a client passed a test that still counts.
func (s *Store) Passed(a netip.Addr, t Test) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.clients[limit.Client(a)]
	return r != nil && r.passed[t] > s.now().Unix()
}

// Pass remembers that a client passed a test.
func (s *Store) Pass(a netip.Addr, t Test) {
	s.change(a, func(r *record) {
		if _, known := r.passed[t]; known || len(r.passed) < namesMax {
			r.pass(t, s.now().Add(t.holds()).Unix())
		}
	})
}

// Remark counts something odd that a client did. The name is one of a few constants.
func (s *Store) Remark(a netip.Addr, name string) {
	s.change(a, func(r *record) {
		c, known := r.remarks[name]
		if known || len(r.remarks) < namesMax {
			r.remark(name, count{c.n + 1, s.now().Add(remarkHolds).Unix()})
		}
	})
}

// Remarks are how often a client did which odd thing.
func (s *Store) Remarks(a netip.Addr) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.clients[limit.Client(a)]
	if r == nil {
		return nil
	}
	out := make(map[string]int, len(r.remarks))
	for name, c := range r.remarks {
		if c.expires > s.now().Unix() {
			out[name] = c.n
		}
	}
	return out
}

// change changes the record of a client. Who has no address has none.
func (s *Store) change(a netip.Addr, fn func(*record)) {
	client := limit.Client(a)
	if !client.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s.record(client))
	s.changed.Touch(client)
}

func (s *Store) record(client netip.Prefix) *record {
	r := s.clients[client]
	if r == nil {
		if len(s.clients) >= s.most {
			first := limit.Spare(s.clients, (*record).expires)
			delete(s.clients, first)
			s.changed.Touch(first)
		}
		r = &record{}
		s.clients[client] = r
	}
	return r
}

func (r *record) pass(t Test, until int64) {
	if r.passed == nil {
		r.passed = make(map[Test]int64, 1)
	}
	r.passed[t] = until
}

func (r *record) remark(name string, c count) {
	if r.remarks == nil {
		r.remarks = make(map[string]count, 1)
	}
	r.remarks[name] = c
}

// expires is when nothing of a record counts any more.
func (r *record) expires() (last int64) {
	for _, until := range r.passed {
		last = max(last, until)
	}
	for _, c := range r.remarks {
		last = max(last, c.expires)
	}
	return last
}

// forget drops what is over, and tells whether anything is left.
func (r *record) forget(now int64) (left bool) {
	for t, until := range r.passed {
		if until <= now {
			delete(r.passed, t)
		}
	}
	for name, c := range r.remarks {
		if c.expires <= now {
			delete(r.remarks, name)
		}
	}
	return len(r.passed)+len(r.remarks) > 0
}

// Run writes what changes until ctx ends, and once more then.
func (s *Store) Run(ctx context.Context) {
	behind.Loop{Write: s.Write, Every: writeEvery, Sweep: s.sweep, SweepEvery: sweepEvery,
		Events: s.events, Program: "facteur/reputation", What: "what was learnt of clients can't be written"}.Run(ctx)
}
