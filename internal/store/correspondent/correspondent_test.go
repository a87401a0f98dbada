package correspondent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

type fixture struct {
	*testing.T
	*Store
	path  string
	db    *db.DB
	clock time.Time
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "facteur.db"), clock: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	f.again()
	return f
}

// again opens the store as after a restart.
func (f *fixture) again() {
	f.Helper()
	if f.db != nil {
		f.db.Close()
	}
	d, err := db.Open(f.path, fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}, Tables())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { d.Close() })
	f.db = d
	if f.Store, err = Open(f.Context(), d, event.Discard); err != nil {
		f.Fatal(err)
	}
	f.Store.now = func() time.Time { return f.clock }
}

func at(text string) address.Address {
	a, err := address.Parse(text)
	if err != nil {
		panic(err)
	}
	return a
}

func (f *fixture) expect(account, peer string, knows, anybody bool) {
	f.Helper()
	if got := f.Knows(f.Context(), account, at(peer)); got != knows {
		f.Errorf("Knows(%s, %s) = %v", account, peer, got)
	}
	if got := f.KnownToAnybody(f.Context(), at(peer)); got != anybody {
		f.Errorf("KnownToAnybody(%s) = %v", peer, got)
	}
}

func (f *fixture) write() {
	f.Helper()
	if err := f.Write(f.Context()); err != nil {
		f.Fatal(err)
	}
}

const anna, ben = "anna@a.test", "ben@a.test"

func TestKnows(t *testing.T) {
	f := newFixture(t)
	f.Note(anna, []address.Address{at("Bob@Shop.Test"), at("eve@b.test"), {}})
	for _, when := range []string{"noted", "written", "after a restart"} {
		f.Log(when)
		f.expect(anna, "bob@shop.test", true, true)
		f.expect(ben, "bob@shop.test", false, true)
		f.expect(anna, "bob@other.test", false, false)
		f.write()
		if when == "written" {
			f.again()
		}
	}
	f.clock = f.clock.AddDate(1, 0, 0)
	f.Note(ben, []address.Address{at("eve@b.test")})
	f.write()
	f.clock = f.clock.AddDate(1, 0, 30)
	f.expect(anna, "bob@shop.test", false, false)
	f.expect(anna, "eve@b.test", false, true)
	if err := f.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.rows(); n != 1 {
		t.Errorf("%d rows", n)
	}
	f.expect(ben, "eve@b.test", true, true)
	if err := f.Forget(t.Context(), ben); err != nil {
		t.Fatal(err)
	}
	f.expect(ben, "eve@b.test", false, false)
}

func (f *fixture) rows() (n int) {
	f.Helper()
	if err := f.db.Reader().QueryRow(`SELECT count(*) FROM correspondent`).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

// No account takes the room of others, and all of them have a bound.
func TestBounds(t *testing.T) {
	f := newFixture(t)
	f.peers, f.pairs = 20, 25
	f.Note(ben, []address.Address{at("friend@b.test")})
	f.write()
	f.clock = f.clock.AddDate(0, 0, 1)
	f.Note(anna, []address.Address{at("first@b.test")})
	f.write()
	f.clock = f.clock.AddDate(0, 0, 1)
	for i := range 40 {
		f.Note(anna, []address.Address{at(fmt.Sprintf("n%d@b.test", i))})
		f.write()
	}
	if n := f.rows(); n > 21 {
		t.Errorf("%d rows", n)
	}
	f.expect(anna, "first@b.test", false, false)
	f.expect(anna, "n39@b.test", true, true)
	f.expect(ben, "friend@b.test", true, true)
	f.pairs = 5
	if err := f.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.rows(); n != 5 {
		t.Errorf("%d rows", n)
	}
	var many []address.Address
	for i := range MaxRecipients + 1 {
		many = append(many, at(fmt.Sprintf("m%d@b.test", i)))
	}
	f.Note(anna, many)
	f.expect(anna, "m0@b.test", false, false)
}

// The file names nobody.
func TestNoNamesOnDisk(t *testing.T) {
	f := newFixture(t)
	f.Note(anna, []address.Address{at("bob@shop.test")})
	f.write()
	f.db.Close()
	data, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"anna", "bob", "shop.test"} {
		if bytes.Contains(data, []byte(name)) {
			t.Errorf("%s stands in the file", name)
		}
	}
}

// heard collects what was told.
type heard struct{ lines []string }

func (h *heard) Emit(e event.Event) {
	_, line := e.Line()
	h.lines = append(h.lines, line)
}

// What there was no room for the log tells, once.
func TestMissedIsTold(t *testing.T) {
	f, h := newFixture(t), &heard{}
	f.events = h
	for i := range maxPending + 2 {
		f.Note("anna@a.test", []address.Address{{Local: fmt.Sprint("u", i), Domain: "b.test"}})
	}
	f.tellMissed()
	f.Note("anna@a.test", []address.Address{{Local: "late", Domain: "b.test"}})
	f.tellMissed()
	if len(h.lines) != 1 || !strings.Contains(h.lines[0], ": 2 recipients") || f.Missed() != 3 {
		t.Errorf("%q, %d missed", h.lines, f.Missed())
	}
	f.clock = f.clock.Add(tellEvery)
	f.tellMissed()
	f.tellMissed()
	if len(h.lines) != 2 || !strings.Contains(h.lines[1], ": 1 recipients") {
		t.Errorf("%q", h.lines)
	}
}

// A domain that only looks like one that somebody wrote to is found, for him and nobody else.
func TestResembles(t *testing.T) {
	f := newFixture(t)
	f.Note("anna@a.test", []address.Address{at("x@boulangerie.example"), at("y@mail.friendly.example"), at("z@dl.example"), at("p@paypal.com")})
	for range 2 { // and after a restart
		for domain, want := range map[string]bool{
			"boulangerle.example":      true,
			"www.boulanger1e.example":  true,
			"b0ulangerie.other":        true,
			"xn--pypal-4ve.com":        true,  // a Cyrillic "a"
			"boulangerie.example":      false, // itself
			"shop.boulangerie.example": false,
			"boulangerie.other":        false, // the same name: it does not only look like it
			"bakery.example":           false,
			"di.example":               false, // short names look alike by chance
			"example":                  false,
			"":                         false,
		} {
			if got := f.Resembles(t.Context(), "anna@a.test", domain); got != want {
				t.Errorf("%q: %v", domain, got)
			}
			if f.Resembles(t.Context(), "ben@a.test", domain) {
				t.Errorf("%q for ben", domain)
			}
		}
		if err := f.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.again()
	}
	// Who writes to it knows it.
	f.Note("anna@a.test", []address.Address{at("x@boulangerle.example")})
	if f.Resembles(t.Context(), "anna@a.test", "boulangerle.example") {
		t.Error("a domain that she wrote to")
	}
	if err := f.Forget(t.Context(), "anna@a.test"); err != nil {
		t.Fatal(err)
	}
	if f.Resembles(t.Context(), "anna@a.test", "paypa1.com") {
		t.Error("what was forgotten")
	}
}
