package tlsreport

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/net/tlspolicy"
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

func (p *place) write(s *Store) {
	p.t.Helper()
	if err := s.Write(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) report(s *Store, day time.Time) []Policy {
	p.t.Helper()
	r, err := s.Report(p.t.Context(), day)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

var (
	ours   = netip.MustParseAddr("::ffff:192.0.2.1")
	theirs = netip.MustParseAddr("198.51.100.7")
	good   = tlspolicy.Result{Domain: "a.test", Policy: tlspolicy.PolicySTS, Lines: []string{"version: STSv1", "mode: enforce"}, MX: []string{"*.a.test"},
		Local: ours, Remote: theirs, Host: "mx.a.test"}
)

func bad(t tlspolicy.ResultType) tlspolicy.Result {
	r := good
	r.Type, r.Reason = t, "some reason"
	return r
}

func TestReport(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for range 3 {
		s.Note(good)
	}
	s.Note(bad(tlspolicy.CertificateExpired))
	p.write(s)
	s.Note(bad(tlspolicy.CertificateExpired))
	s.Note(bad(tlspolicy.HostMismatch))
	s.Note(tlspolicy.Result{Domain: "a.test", Policy: tlspolicy.PolicyNone, Type: tlspolicy.StartTLSMissing, Reason: "no\x1b[2J", Host: "m\r\nx", Remote: theirs})
	today := p.time
	p.time = p.time.Add(2 * time.Minute) // midnight is over
	s.Note(good)
	p.write(s)
	s.Note(good) // lost with the crash
	p.db.Close()
	s = p.open()
	failure := func(r tlspolicy.ResultType, n int) Failure {
		return Failure{Result: r, Sender: "192.0.2.1", Host: "mx.a.test", Receiver: "198.51.100.7", Sessions: n, Reason: "some reason"}
	}
	want := []Policy{
		{Domain: "a.test", Type: "no-policy-found", MX: []string{}, Failure: 1, Details: []Failure{{Result: tlspolicy.StartTLSMissing, Host: "m??x", Receiver: "198.51.100.7", Sessions: 1, Reason: "no?[2J"}}},
		{Domain: "a.test", Type: "sts", Lines: good.Lines, MX: good.MX, Success: 3, Failure: 3,
			Details: []Failure{failure(tlspolicy.CertificateExpired, 2), failure(tlspolicy.HostMismatch, 1)}},
	}
	if got := p.report(s, today); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := p.report(s, p.time); len(got) != 1 || got[0].Success != 1 || got[0].Failure != 0 || len(got[0].Details) != 0 {
		t.Errorf("the next day: %+v", got)
	}
	p.time = p.time.AddDate(0, 0, KeepDays)
	p.write(s)
	if got := p.report(s, today); len(got) != 0 {
		t.Errorf("after %d days there is still %+v", KeepDays, got)
	}
}

func TestBounds(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.most, s.mostBy = 700, 600
	strange := func(from, to int) {
		for i := range to - from {
			r := bad(tlspolicy.NotTrusted)
			r.Domain, r.Reason, r.Lines = fmt.Sprintf("d%d.test", from+i), strings.Repeat("é", 1000), []string{strings.Repeat("x", 10000)}
			s.Note(r)
		}
	}
	strange(0, 1000)
	if len(s.pending) != 700 || s.Missed() != 300 {
		t.Errorf("%d wait, %d missed", len(s.pending), s.Missed())
	}
	p.write(s)
	strange(1000, 1010)
	p.write(s)
	got := p.report(s, p.time)
	if len(got) != 600 || s.Missed() != 410 || len(got[0].Lines[0]) != textMax || len(got[0].Details[0].Reason) != reasonMax {
		t.Errorf("%d rows, %d missed", len(got), s.Missed())
	}
	strange(0, 700) // those that are known are still counted
	p.write(s)
	n := 0
	for _, p := range p.report(s, p.time) {
		n += p.Failure
	}
	if n+s.Missed() != 1710 {
		t.Errorf("%d counted, %d missed", n, s.Missed())
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.Note(good)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.db.Close()
	if s.Write(ctx) == nil {
		t.Fatal("written into a closed database")
	}
	var err error
	if p.db, err = db.Open(p.path, others, Tables()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close() })
	s.db = p.db
	s.Note(good)
	p.write(s)
	if got := p.report(s, p.time); len(got) != 1 || got[0].Success != 2 {
		t.Errorf("%+v", got)
	}
}

// Run writes each minute, and what is left when it ends.
func TestRun(t *testing.T) {
	p := newPlace(t)
	d, err := db.Open(p.path, others, Tables())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s := New(d, event.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	s.Note(good)
	cancel()
	s.Run(ctx)
	if got := p.report(s, time.Now()); len(got) != 1 || got[0].Success != 1 {
		t.Errorf("at the end: %+v", got)
	}
}
