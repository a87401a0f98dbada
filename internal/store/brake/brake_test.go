package brake

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/db"
)

func open(t *testing.T, path string) (*Store, *db.DB) {
	t.Helper()
	d, err := db.Open(path, Tables().Migrations)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), d, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

// TestCountsSlide: an hour forgets after an hour, a day after a day.
func TestCountsSlide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(nil, event.Discard, MaxNames)
		for _, step := range []struct {
			wait      time.Duration
			add       int
			hour, day int
		}{{0, 5, 5, 5}, {30 * time.Minute, 2, 7, 7}, {45 * time.Minute, 1, 3, 8}, {22 * time.Hour, 1, 1, 9}, {3 * time.Hour, 0, 0, 1}} {
			time.Sleep(step.wait)
			s.Add("a", Sums{Recipients: step.add})
			if h, d := s.Within("a", time.Hour)[Recipients], s.Within("a", 24*time.Hour)[Recipients]; h != step.hour || d != step.day {
				t.Errorf("after %v: %d, %d, want %d, %d", step.wait, h, d, step.hour, step.day)
			}
		}
	})
}

// TestARestart: counts and accounts are there again; who has nothing is not.
func TestARestart(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "facteur.db")
	s, d := open(t, path)
	s.Add("a@example.org", Sums{Recipients: 7, Held: 2})
	since := time.Unix(time.Now().Unix(), 0)
	for _, name := range []string{"a@example.org", "b@example.org"} {
		if _, err := s.Change(ctx, name, func(a *Account) bool {
			a.Since, a.Why, a.Signs, a.Hour = since, "too much", []string{"one", "two"}, 9
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Change(ctx, "b@example.org", func(a *Account) bool { *a = Account{Name: a.Name}; return true }); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx); err != nil {
		t.Fatal(err)
	}
	d.Close()
	s, d = open(t, path)
	defer d.Close()
	all := s.Accounts()
	if len(all) != 1 || fmt.Sprint(all[0]) != fmt.Sprint(Account{Name: "a@example.org", Since: since, Why: "too much", Signs: []string{"one", "two"}, Hour: 9}) {
		t.Errorf("%+v", all)
	}
	if got := s.Within("a@example.org", time.Hour); got[Recipients] != 7 || got[Held] != 2 {
		t.Errorf("%v", got)
	}
}

// TestRoom: names that come make room, and a flood of them stays bounded.
func TestRoom(t *testing.T) {
	s := newStore(nil, event.Discard, 10)
	for i := range 1000 {
		s.Add(fmt.Sprint(i), Sums{Recipients: 1})
	}
	if len(s.counts) > 10 || s.changed.Len() > 20 {
		t.Errorf("%d counted, %d to be written", len(s.counts), s.changed.Len())
	}
}
