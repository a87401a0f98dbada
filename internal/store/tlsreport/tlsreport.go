// Package tlsreport counts how our sessions with other mail servers came to their TLS,
// by day and policy, as the reports of RFC 8460 want it.
//
// # On disk
//
// Two tables in DATA/facteur.db, tlsreport_policy and tlsreport_failure, with a version of
// their own. Days are those of UTC; KeepDays of them are kept.
//
// # Invariants
//
// Note adds to a sum in memory and never waits for the disk; Run writes the sums each
// minute and at the end, many in one transaction. Between two writes memory holds
// MaxPending sums at most, and a day MaxDay rows of each table: what is beyond that is
// counted nowhere but in Missed. Texts of strangers are printable and short.
//
// A crash loses the counts of the last minute, and nothing else.
package tlsreport

import (
	"context"
	"embed"
	"net/netip"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "tlsreport", Migrations: migrations} }

const (
	// KeepDays is how many days are kept beside today.
	KeepDays = 14
	// MaxPending is how many different sums wait in memory to be written.
	MaxPending = 10_000
	// MaxDay is how many rows a day has in each table.
	MaxDay = 50_000

	writeEvery = time.Minute
	textMax    = 2048 // bytes of a policy
	reasonMax  = 200
)

// Store counts. Its methods may be called from any goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	now    func() time.Time
	most   int // pending
	mostBy int // rows of a day

	mu      sync.Mutex
	pending map[key]*sum
	missed  int
}

// key is what is counted together.
type key struct {
	day, domain, policy, mx string
	kind                    tlspolicy.PolicyType
	result                  tlspolicy.ResultType
	sender, receiver        netip.Addr
	host                    string
}

// sum is sessions of one key.
type sum struct {
	n      int
	reason string
}

// New counts into a database that was opened with Tables.
func New(d *db.DB, events event.Sink) *Store {
	return &Store{db: d, events: events, now: time.Now, most: MaxPending, mostBy: MaxDay, pending: make(map[key]*sum)}
}

// Note counts a session.
func (s *Store) Note(r tlspolicy.Result) {
	k := key{day: s.now().UTC().Format(time.DateOnly), domain: clip(r.Domain, 255), kind: r.Policy, result: r.Type,
		policy: lines(r.Lines), mx: clip(strings.Join(r.MX, " "), textMax)}
	if r.Type != tlspolicy.Success { // of what went well nobody wants to know where
		k.sender, k.receiver, k.host = r.Local.Unmap(), r.Remote.Unmap(), clip(r.Host, 255)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.pending[k]; known != nil {
		known.n++
		return
	}
	if len(s.pending) >= s.most {
		s.missed++
		return
	}
	s.pending[k] = &sum{1, clip(r.Reason, reasonMax)}
}

// Missed is how many sessions were not counted because there was no room.
func (s *Store) Missed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed
}

// lines are those of a policy, in one text.
func lines(all []string) string {
	out := make([]string, len(all))
	for i, l := range all {
		out[i] = clip(l, textMax)
	}
	text := strings.Join(out, "\n")
	return text[:min(len(text), textMax)]
}

// clip makes a text printable, and short.
func clip(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), most)]
}

// Run writes the sums until ctx ends, and once more then.
func (s *Store) Run(ctx context.Context) {
	behind.Loop{Write: s.Write, Every: writeEvery, Events: s.events, Program: "facteur/tlsreport",
		What: "how sessions came to their TLS can't be written down"}.Run(ctx)
}
