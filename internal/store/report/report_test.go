package report

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/report"
	"facteur/internal/store/db"
)

// others is the room that had the file first.
var others = fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}

// place is a database file and its clock.
type place struct {
	t    *testing.T
	path string
	time time.Time
	db   *db.DB
}

func newPlace(t *testing.T) *place {
	return &place{t: t, path: filepath.Join(t.TempDir(), "facteur.db"), time: time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC)}
}

func (p *place) open() *Store {
	p.t.Helper()
	var err error
	if p.db, err = db.Open(p.path, others, Tables()); err != nil {
		p.t.Fatal(err)
	}
	d := p.db
	p.t.Cleanup(func() { d.Close() })
	s := New(p.db, event.Discard)
	s.now = func() time.Time { return p.time }
	return s
}

// must gives a value, and ends the test where there is an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func letter(domain, source string) Seen {
	return Seen{Published: report.Published{Domain: domain, P: "reject"},
		Record: report.Record{Source: netip.MustParseAddr(source), Disposition: "none", DKIM: "pass", SPF: "fail", HeaderFrom: domain}}
}

func TestSeen(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for range 3 {
		s.See(letter("a.test", "192.0.2.1"))
	}
	s.See(letter("a.test", "2001:db8::1"))
	s.See(letter("b.test", "192.0.2.1"))
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer := letter("a.test", "192.0.2.1")
	newer.Published.P = "none"
	s.See(newer)
	today := p.time
	p.time = p.time.Add(2 * time.Minute) // midnight is over
	s.See(letter("c.test", "192.0.2.1"))
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.See(letter("c.test", "192.0.2.1")) // lost with the crash
	p.db.Close()
	s = p.open()
	if got := must[[]string](t)(s.SeenDomains(t.Context(), today)); !slices.Equal(got, []string{"a.test", "b.test"}) {
		t.Errorf("%q", got)
	}
	policy, records, err := s.SeenOf(t.Context(), today, "a.test")
	if err != nil || policy.P != "none" || len(records) != 2 || records[0].Count != 4 || records[0].Source != netip.MustParseAddr("192.0.2.1") || records[1].Count != 1 {
		t.Errorf("%+v, %+v, %v", policy, records, err)
	}
	p.time = p.time.AddDate(0, 0, KeepSeen)
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := must[[]string](t)(s.SeenDomains(t.Context(), today)); len(got) != 0 {
		t.Errorf("after %d days there is still %q", KeepSeen, got)
	}
}

func TestBoundsOfSeen(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.limits.pending, s.limits.ofDomain, s.limits.ofDay = 700, 400, 500
	many := func(domain string, n int) {
		for i := range n {
			s.See(letter(domain, fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
		}
	}
	many("a.test", 800)
	if s.Missed() != 100 {
		t.Errorf("%d missed of 800 with room for 700", s.Missed())
	}
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	many("b.test", 300)
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	many("c.test", 1)
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := must[[]string](t)(s.SeenDomains(t.Context(), p.time)); !slices.Equal(got, []string{"a.test", "b.test"}) {
		t.Errorf("%q: a domain without rows costs room, and has no bound", got)
	}
	_, a, _ := s.SeenOf(t.Context(), p.time, "a.test")
	_, b, _ := s.SeenOf(t.Context(), p.time, "b.test")
	if len(a) != 400 || len(b) != 100 || s.Missed() != 601 {
		t.Errorf("%d and %d rows, %d missed", len(a), len(b), s.Missed())
	}
}

// What the disk does not take costs nobody anything: it stays in memory, which has a bound,
// and is written when it can be.
func TestDiskTroubles(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.limits.pending = 700
	p.exec("ALTER TABLE report_seen RENAME TO away")
	for round := range 5 {
		for i := range 1000 {
			s.See(letter("a.test", fmt.Sprintf("10.%d.%d.%d", round, i/250, i%250)))
		}
		if s.Write(t.Context()) == nil {
			t.Fatal("the disk fails, and nobody is told")
		}
		if len(s.pending) != 700 || len(s.published) != 1 {
			t.Fatalf("%d sums and %d policies wait", len(s.pending), len(s.published))
		}
	}
	p.exec("ALTER TABLE away RENAME TO report_seen")
	if err := s.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, records, err := s.SeenOf(t.Context(), p.time, "a.test"); err != nil || len(records) != 700 || s.Missed() != 4300 {
		t.Errorf("%d rows, %d missed, %v", len(records), s.Missed(), err)
	}
	if len(s.pending)+len(s.published) != 0 {
		t.Error("what is written is still in memory")
	}
}

func (p *place) exec(stmt string) {
	p.t.Helper()
	if err := p.db.Write(p.t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(stmt); return err }); err != nil {
		p.t.Fatal(err)
	}
}

func TestSending(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	r := Sending{DMARC, p.time, "a.test", "mailto:x@a.test"}
	if got := must[Progress](t)(s.Progress(t.Context(), r)); got != (Progress{}) {
		t.Errorf("%+v", got)
	}
	for _, want := range []Progress{{Begun, 7, ""}, {Sent, 7, "as 7"}} {
		if err := s.Mark(t.Context(), r, want); err != nil {
			t.Fatal(err)
		}
		if got := must[Progress](t)(s.Progress(t.Context(), r)); got != want {
			t.Errorf("%+v", got)
		}
		open, _, err := s.Unfinished(t.Context())
		if err != nil || (len(open) == 1) != (want.Stage == Begun) {
			t.Errorf("%+v, %v", open, err)
		}
	}
	r.URI = "https://web.a.test:8443/x"
	if err := s.Mark(t.Context(), r, Progress{Stage: Begun}); err != nil {
		t.Fatal(err)
	}
	if hosts := must[map[string]int](t)(s.SentHosts(t.Context(), p.time)); hosts["a.test"] != 1 || hosts["web.a.test"] != 1 {
		t.Errorf("%v", hosts)
	}
}

func aggregate(domain, id string, rows int) *report.Aggregate {
	a := &report.Aggregate{Reporter: report.Reporter{Org: "google.com", ID: id}, Published: report.Published{Domain: domain, P: "none"}}
	for i := range rows {
		a.Records = append(a.Records, report.Record{Source: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Count: 2, DKIM: "fail", SPF: "fail", HeaderFrom: domain})
	}
	return a
}

func TestDuplicatesAndForgeries(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	take := func(by Author, id string) bool {
		return must[bool](t)(s.TakeAggregate(t.Context(), aggregate("a.test", id, 1), by, 30))
	}
	if !take(Author{"google.com", false}, "1") {
		t.Error("a forged report is refused")
	}
	if !take(Author{"google.com", true}, "1") {
		t.Error("a forged report took the place of the true one")
	}
	if take(Author{"google.com", true}, "1") || !take(Author{"google.com", true}, "2") || !take(Author{"yahoo.test", true}, "1") {
		t.Error("what is a duplicate?")
	}
	sure := must[[]Source](t)(s.Sources(t.Context(), Query{Domain: "a.test"}))
	apart := must[[]Source](t)(s.Sources(t.Context(), Query{Doubtful: true}))
	if n := must[int64](t)(s.Unverified(t.Context(), Query{Kind: DMARC})); len(sure) != 1 || sure[0].Letters != 6 || len(apart) != 1 || apart[0].Letters != 2 || n != 1 {
		t.Errorf("%+v\n%+v, %d", sure, apart, n)
	}
	// Those who give no ids are known by their periods.
	monday, tuesday := aggregate("b.test", "", 1), aggregate("b.test", "", 1)
	tuesday.Reporter.Begin = p.time
	for i, a := range []*report.Aggregate{monday, tuesday, monday} {
		if fresh := must[bool](t)(s.TakeAggregate(t.Context(), a, Author{"careless.test", true}, 30)); fresh != (i < 2) {
			t.Errorf("%d: fresh %v", i, fresh)
		}
	}
}

func TestRoomForReceived(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.limits.rows, s.limits.doubtful, s.limits.ofReport = 400, 40, 30
	honest, liar := Author{"google.com", true}, Author{"liar.test", false}
	must[bool](t)(s.TakeAggregate(t.Context(), aggregate("a.test", "1", 50), honest, 30))
	for i := range 20 {
		must[bool](t)(s.TakeAggregate(t.Context(), aggregate("a.test", fmt.Sprint(i), 5), liar, 30))
	}
	list := append(must[[]Received](t)(s.List(t.Context(), Query{Kind: DMARC, Doubtful: true})), must[[]Received](t)(s.List(t.Context(), Query{Kind: DMARC}))...)
	if n := len(list); n != 2 || list[0].ReportID != "19" || list[1].Author != "google.com" || list[1].LeftOut != 20 || list[1].Total != 100 {
		t.Errorf("%d: %+v", n, list)
	}
	for i := range 20 { // a quarter of the room for one author
		must[bool](t)(s.TakeAggregate(t.Context(), aggregate("a.test", fmt.Sprint(i), 19), Author{"chatty.test", true}, 30))
	}
	if list = must[[]Received](t)(s.List(t.Context(), Query{Kind: DMARC})); len(list) != 6 {
		t.Errorf("%d reports", len(list))
	}
	p.time = p.time.AddDate(0, 0, 31)
	if err := s.Expire(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := p.db.Reader().QueryRow(`SELECT count(*) FROM report_row`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}

func TestSources(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	a := aggregate("a.test", "1", 0)
	shop, list := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.9")
	a.Records = []report.Record{
		{Source: shop, Count: 1204, DKIM: "fail", SPF: "fail", Disposition: "none", HeaderFrom: "a.test", SPFChecks: []report.SPFCheck{{Domain: "shop.test", Result: "pass"}}},
		{Source: list, Count: 5, DKIM: "pass", SPF: "fail", HeaderFrom: "a.test", Signatures: []report.Signature{{Domain: "a.test", Result: "pass"}}},
		{Source: list, Count: 2, DKIM: "fail", SPF: "fail", Disposition: "none", Reasons: []report.Reason{{Type: "mailing_list"}}, HeaderFrom: "a.test",
			Signatures: []report.Signature{{Domain: "a.test", Result: "fail"}}},
		{Source: list, Count: 1, DKIM: "fail", SPF: "fail", Disposition: "reject", HeaderFrom: "a.test", EnvelopeFrom: "a.test"},
	}
	must[bool](t)(s.TakeAggregate(t.Context(), a, Author{"google.com", true}, 30))
	got := must[[]Source](t)(s.Sources(t.Context(), Query{Domain: "a.test"}))
	want := []Source{
		{Domain: "a.test", Address: shop, Policy: "none", Letters: 1204, Others: []string{"shop.test"}, Reporters: []string{"google.com"}},
		{Domain: "a.test", Address: list, Policy: "none", Letters: 8, DKIM: 5, Passed: 5, Rejected: 1, Forwarded: 2, Broken: 2, Returning: 1, Reporters: []string{"google.com"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTLSSums(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	failed := report.TLSFailure{Result: "certificate-expired", Host: "mx.a.test", Sessions: 3}
	r := &report.TLS{Organization: "Google", ID: "1", Policies: []report.TLSPolicy{
		{Policy: report.TLSPolicyFound{Type: "sts", Domain: "a.test"}, Summary: report.TLSSummary{Success: 10, Failure: 3}, Failures: []report.TLSFailure{failed}},
		{Policy: report.TLSPolicyFound{Type: "sts", Domain: "other.test"}, Summary: report.TLSSummary{Success: 99}}}}
	if !must[bool](t)(s.TakeTLS(t.Context(), r, "a.test", Author{"google.com", true}, 30)) || must[bool](t)(s.TakeTLS(t.Context(), r, "a.test", Author{"google.com", true}, 30)) {
		t.Error("a report is taken once")
	}
	got := must[[]TLSSum](t)(s.TLSSums(t.Context(), Query{}))
	want := []TLSSum{{Domain: "a.test", Type: "sts", Success: 10, Failure: 3, Failures: []TLSFailures{{"certificate-expired", "mx.a.test", 3, ""}}, Reporters: []string{"google.com"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestComplaints(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.limits.complaints = 50
	c := Complaint{Key: "1", Author: "hotmail.com", Verified: true, Type: "abuse", Source: netip.MustParseAddr("192.0.2.42"), Account: "alice@a.test", How: "by its Message-Id", Incidents: 2}
	if !must[bool](t)(s.Complain(t.Context(), c)) || must[bool](t)(s.Complain(t.Context(), c)) {
		t.Error("a complaint is counted once")
	}
	for i := range 60 {
		forged := c
		forged.Key, forged.Verified = fmt.Sprint("f", i), false
		must[bool](t)(s.Complain(t.Context(), forged))
	}
	if n := must[int64](t)(s.Complaints(t.Context(), "alice@a.test", p.time.Add(-time.Hour))); n != 1 {
		t.Errorf("%d complaints: forged ones cost nothing", n)
	}
	if list := must[[]Complaint](t)(s.ListComplaints(t.Context(), Query{Domain: "a.test", Doubtful: true})); len(list) != 50 {
		t.Errorf("%d complaints", len(list))
	}
	if list := must[[]Complaint](t)(s.ListComplaints(t.Context(), Query{Domain: "test"})); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
