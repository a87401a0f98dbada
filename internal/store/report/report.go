// Package report keeps what the house reports to others and what others report to it: what
// was seen of the mail of other domains (for DMARC aggregate reports), how far the sending
// of each report has come, the reports about our own domains, and complaints.
//
// # On disk
//
// Tables in DATA/facteur.db, with a version of their own. Days are those of UTC.
//
//	report_seen, report_published   KeepSeen days; the sums of a day by domain and record
//	report_sending                  KeepSending days; one row for each report and destination
//	report_received, report_row     as long as the settings say; one row a report, and its rows
//	report_complaint                the same
//
// # Invariants
//
// See adds to a sum in memory and never waits for the disk; Run writes the sums each minute
// and at the end. Memory holds MaxPending sums; a domain has MaxOfDomain rows a day, and a
// day MaxOfDay: what is beyond is counted in Missed alone.
//
// A report of one author about one domain is kept once, whatever comes again under its id.
// What nobody vouches for has a room of its own, and never takes the place of what was
// verified; no single author has more than a quarter of a room. What is full gives up what
// came first.
//
// A crash loses the sums of the last minute, and nothing else: Take and Complain return
// when what they were given is on the disk.
package report

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/report"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "report", Migrations: migrations} }

const (
	// KeepSeen is how many days are kept, beside today, of what was seen of others.
	KeepSeen = 3
	// KeepSending is how many days it is known what was sent.
	KeepSending = 14
	// MaxPending is how many different sums wait in memory to be written.
	MaxPending = 10_000
	// MaxOfDomain is how many rows one domain has a day, MaxOfDay all of them.
	MaxOfDomain, MaxOfDay = 2000, 100_000

	writeEvery = time.Minute
	recordMax  = 8 << 10 // bytes of a record in JSON
)

// Store keeps reports. Its methods may be called from any goroutine.
type Store struct {
	db     *db.DB
	events event.Sink
	now    func() time.Time
	limits limits

	mu        sync.Mutex
	pending   map[sumKey]int64
	published map[dayDomain]string
	missed    int64
}

// limits are the bounds; tests have smaller ones.
type limits struct {
	pending, ofDomain, ofDay int
	rows, doubtful           int64 // of verified reports, and of the others
	ofReport                 int
	complaints               int64
}

type dayDomain struct{ day, domain string }

type sumKey struct {
	dayDomain
	record string
}

// New works on a database that was opened with Tables.
func New(d *db.DB, events event.Sink) *Store {
	return &Store{db: d, events: events, now: time.Now,
		limits:  limits{MaxPending, MaxOfDomain, MaxOfDay, MaxRows, MaxDoubtful, MaxOfReport, MaxComplaints},
		pending: make(map[sumKey]int64), published: make(map[dayDomain]string)}
}

// Seen is a letter of somebody else's domain, and what we did with it.
type Seen struct {
	// Published is the policy, with the policy domain.
	Published report.Published
	// Record is the letter as a report tells of it; its count is 1 whatever it says.
	Record report.Record
}

// See counts a letter.
func (s *Store) See(l Seen) {
	l.Record.Count = 0
	record, err := json.Marshal(l.Record)
	published, err2 := json.Marshal(l.Published)
	k := dayDomain{day(s.now()), l.Published.Domain}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sumKey{k, string(record)}
	_, known := s.pending[key]
	if err != nil || err2 != nil || k.domain == "" || len(record)+len(published) > recordMax || !known && len(s.pending) >= s.limits.pending {
		s.missed++
		return
	}
	s.pending[key]++
	s.published[k] = string(published)
}

// Missed is how many letters were not counted because there was no room.
func (s *Store) Missed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed
}

// day is a day of UTC, as the tables have it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Run writes the sums until ctx ends, and once more then.
func (s *Store) Run(ctx context.Context) {
	behind.Loop{Write: s.Write, Every: writeEvery, Events: s.events, Program: "facteur/report",
		What: "what was seen of the mail of others can't be written down"}.Run(ctx)
}

// about says in an error what could not be done.
func about(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("reports: %s: %w", what, err)
}
