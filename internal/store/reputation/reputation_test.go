package reputation

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/db"
)

// others is the room that had the file first.
var others = fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}

// most is how many clients the tests have room for.
const most = 2000

// place is a database file, its clock, and what was opened over it last.
type place struct {
	t    *testing.T
	path string
	time time.Time
	db   *db.DB
}

func newPlace(t *testing.T) *place {
	return &place{t: t, path: filepath.Join(t.TempDir(), "facteur.db"), time: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
}

// open is a start of the server.
func (p *place) open() *Store {
	p.t.Helper()
	var err error
	if p.db, err = db.Open(p.path, others, Tables()); err != nil {
		p.t.Fatal(err)
	}
	s, err := open(p.t.Context(), p.db, event.Discard, func() time.Time { return p.time }, most)
	if err != nil {
		p.t.Fatal(err)
	}
	d := p.db
	p.t.Cleanup(func() { d.Close() })
	return s
}

func (p *place) write(s *Store) {
	p.t.Helper()
	if err := s.Write(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) rows() (n int) {
	p.t.Helper()
	if err := p.db.Reader().QueryRow(`SELECT (SELECT count(*) FROM reputation_passed) + (SELECT count(*) FROM reputation_remark)`).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestPassedIsRememberedOverARestart(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.Pass(addr("192.0.2.1"), PreGreet)
	s.Pass(addr("2001:db8::1"), BareNewline)
	s.Remark(addr("192.0.2.2"), "pregreet")
	s.Remark(addr("192.0.2.2"), "pregreet")
	s.Pass(netip.Addr{}, PreGreet) // over a Unix socket
	p.write(s)
	s.Remark(addr("192.0.2.2"), "pregreet") // lost with the crash
	p.db.Close()
	s = p.open()
	for _, test := range []struct {
		addr string
		test Test
		want bool
	}{
		{"192.0.2.1", PreGreet, true},
		{"::ffff:192.0.2.1", PreGreet, true},
		{"192.0.2.1", BareNewline, false},
		{"192.0.2.3", PreGreet, false},
		{"2001:db8::ffff", BareNewline, true},
		{"2001:db8:0:1::1", BareNewline, false},
	} {
		if got := s.Passed(addr(test.addr), test.test); got != test.want {
			t.Errorf("%s passed %s: %v", test.addr, test.test, got)
		}
	}
	if got := s.Remarks(addr("192.0.2.2")); len(got) != 1 || got["pregreet"] != 2 {
		t.Errorf("remarks: %v", got)
	}
	if s.Passed(netip.Addr{}, PreGreet) {
		t.Error("nobody passed")
	}
}

func TestEverythingExpires(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	a := addr("192.0.2.1")
	s.Pass(a, PreGreet)
	s.Pass(a, Pipelining)
	s.Remark(a, "pipelining")
	p.write(s)
	p.time = p.time.Add(24 * time.Hour)
	if s.Passed(a, PreGreet) || !s.Passed(a, Pipelining) {
		t.Error("after a day")
	}
	if err := s.sweep(t.Context()); err != nil || p.rows() != 2 {
		t.Errorf("%v, %d rows", err, p.rows())
	}
	p.time = p.time.Add(29 * 24 * time.Hour)
	if s.Passed(a, Pipelining) || len(s.Remarks(a)) != 0 {
		t.Error("after thirty days")
	}
	if err := s.sweep(t.Context()); err != nil || p.rows() != 0 || len(s.clients) != 0 {
		t.Errorf("%v, %d rows, %d clients", err, p.rows(), len(s.clients))
	}
}

func TestTablesAreBounded(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	odd := addr("192.0.2.1")
	s.Remark(odd, "pregreet") // expires after all the others
	for i := range most + 1000 {
		s.Pass(addr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)), PreGreet)
	}
	p.write(s)
	if len(s.clients) != most || p.rows() != most || s.changed.Len() != 0 {
		t.Errorf("ABU-008: %d clients, %d rows", len(s.clients), p.rows())
	}
	if s.Remarks(odd)["pregreet"] != 1 {
		t.Error("ABU-008: what was odd was washed away")
	}
	for i := range 100 {
		s.Remark(odd, fmt.Sprint(i))
		s.Pass(odd, Test(fmt.Sprint(i)))
	}
	if r := s.clients[netip.MustParsePrefix("192.0.2.1/32")]; len(r.remarks) > namesMax || len(r.passed) > namesMax {
		t.Errorf("one client has %d remarks and %d tests", len(r.remarks), len(r.passed))
	}
	if s = p.open(); len(s.clients) != most {
		t.Errorf("%d clients after a restart", len(s.clients))
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	s.Pass(addr("192.0.2.1"), PreGreet)
	p.db.Close()
	if err := s.Write(t.Context()); err == nil {
		t.Fatal("a closed database took it")
	}
	if s.changed.Len() != 1 {
		t.Error("the change is forgotten")
	}
	var err error
	if s.db, err = db.Open(p.path, others, Tables()); err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	p.write(s)
	p.db = s.db
	if p.rows() != 1 {
		t.Errorf("%d rows", p.rows())
	}
}
