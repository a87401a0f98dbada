package reputation

import (
	"fmt"
	"testing"
	"time"
)

// Who brings the letters of others is known after a restart, and forgotten when its time is
// over.
func TestDomains(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for i := range 40 {
		s.NoteDomain("list.example", fmt.Sprintf("author%d.example", i%12), true)
	}
	s.NoteDomain("list.example", "author.example", false)
	s.NoteDomain("", "author.example", true)
	p.write(s)
	p.time = p.time.Add(20 * 24 * time.Hour)
	s = p.open()
	got := s.Domain("list.example")
	if got.Good != 40 || got.Bad != 1 || got.Authors < 8 || got.Authors > 12 || p.time.Sub(got.Since) != 20*24*time.Hour {
		t.Errorf("%+v", got)
	}
	if other := s.Domain("other.example"); other != (Domain{}) {
		t.Errorf("a stranger: %+v", other)
	}
	p.time = p.time.Add(domainHolds)
	if old := s.Domain("list.example"); old != (Domain{}) {
		t.Errorf("after its time: %+v", old)
	}
	s.NoteDomain("list.example", "author.example", true)
	if again := s.Domain("list.example"); again.Good != 1 || !again.Since.Equal(p.time) {
		t.Errorf("it begins anew: %+v", again)
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The table of domains has a bound, and new ones do not push out who is known for long.
func TestDomainsAreBounded(t *testing.T) {
	p := newPlace(t)
	s := p.open()
	for range 100 {
		s.NoteDomain("list.example", "author.example", true)
	}
	for i := range 3 * most {
		s.NoteDomain(fmt.Sprintf("d%d.example", i), "author.example", true)
	}
	if n := len(s.domains.known); n > most {
		t.Errorf("%d domains", n)
	}
	if s.Domain("list.example").Good != 100 {
		t.Error("a known list was forgotten for strangers")
	}
	p.write(s)
	var n int
	if err := p.db.Reader().QueryRow(`SELECT count(*) FROM reputation_domain`).Scan(&n); err != nil || n > most {
		t.Errorf("%d rows, %v", n, err)
	}
}
