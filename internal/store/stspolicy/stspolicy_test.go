package stspolicy

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"testing/fstest"
	"time"

	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/db"
)

func TestStore(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "facteur.db"), time.Unix(1_800_000_000, 0)
	open := func() (*Store, *db.DB) {
		d, err := db.Open(path, fstest.MapFS{"migrations/1_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k);\n")}}, Tables())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		s := New(d)
		s.now, s.most = func() time.Time { return now }, 5
		return s, d
	}
	s, d := open()
	var want []tlspolicy.Cached
	for i := range 8 {
		c := tlspolicy.Cached{Domain: fmt.Sprintf("d%d.test", i), ID: "1", Fetched: now, Used: now.Add(time.Duration(i) * time.Second),
			Policy: tlspolicy.Policy{Mode: tlspolicy.Enforce, MX: []string{"mx.d.test", "*.d.test"}, MaxAge: time.Duration(i+1) * time.Hour}}
		if err := s.Save(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want = append([]tlspolicy.Cached{c}, want...)
	}
	d.Close()
	s, _ = open()
	check := func(when string, want []tlspolicy.Cached) {
		t.Helper()
		if got, err := s.Load(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", when, err, got, want)
		}
	}
	check("OUT-011 after a restart, those that were used last", want[:5])
	now = now.Add(6 * time.Hour)
	check("what is over does not count", want[:2])
	changed := want[1]
	changed.ID, changed.Policy.Mode = "2", tlspolicy.NoMode
	if err := s.Save(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	check("a new one takes the place", []tlspolicy.Cached{want[0], changed})
	var rows int
	if err := s.db.Reader().QueryRow(`SELECT count(*) FROM sts_policy`).Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows (%v)", rows, err)
	}
}
