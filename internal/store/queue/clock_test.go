package queue

import (
	"testing"
	"time"

	"facteur/internal/store/queue/queuetest"
)

// FLT-014, INV-26: a clock that was set back does not keep mail waiting for a time
// that it has to reach again, neither in this process nor after a restart; and what
// waits as it should, or as its sender asked, waits on. That nothing is put off by more
// than can be is seen to by the wrong clock too, before the first search or after it.
func TestClockSetBack(t *testing.T) {
	for name, first := range map[string]func(q *Queue, wrong time.Time, except Except){
		"restart":  nil,
		"set back": func(*Queue, time.Time, Except) {},
		"set back, hastened before": func(q *Queue, wrong time.Time, except Except) {
			q.watchClock(wrong, except.Longest)
			q.background.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ahead := time.Now().Add(10 * 24 * time.Hour)
			fill(t, dir, queuetest.Mail{Items: 300, Due: ahead, Attempts: 2})
			fill(t, dir, queuetest.Mail{Items: 300, Due: ahead, Arrived: ahead})
			const waits = 1 // attempts
			fill(t, dir, queuetest.Mail{Items: 5, Due: time.Now().Add(time.Hour), Attempts: waits, Arrived: ahead.Add(time.Hour)})
			q := openTest(t, dir)
			released := draft(q, 1, "released")
			released.Item.Release = ahead.Add(24 * time.Hour)
			commit(t, q, released)
			except := Except{Longest: 2 * time.Hour}
			found := make(map[ID]bool)
			claim := func(now time.Time, limit int) (some bool) {
				items, _, err := q.Claim(ctx, now, limit, except)
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range items {
					if found[it.ID] {
						t.Errorf("%s was claimed twice", it.ID)
					}
					if it.Recipients[0].Attempts != waits || now.Before(ahead.Add(-2*time.Hour)) {
						found[it.ID] = true
					}
				}
				return len(items) > 0
			}
			if first != nil {
				wrong := ahead.Add(-time.Hour)
				first(q, wrong, except)
				claim(wrong, 1)
			}
			for deadline := time.Now().Add(time.Minute); len(found) < 600 && time.Now().Before(deadline); {
				if !claim(time.Now(), 100) {
					time.Sleep(time.Millisecond)
				}
			}
			q.background.Wait()
			if claim(time.Now(), 100); len(found) != 600 {
				t.Errorf("FLT-014: %d found of 600", len(found))
			}
		})
	}
}

// FLT-014: an attempt that began before the clock was set back, and is put off by the
// old clock when all others have been made due, does not wait for that time either.
func TestClockSetBackDuringAttempt(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, draft(q, 1, "a"))
	base := time.Now()
	ahead := base.Add(10 * 24 * time.Hour)
	at := func(now time.Time) []*Item {
		t.Helper()
		items, _, err := q.Claim(ctx, now, 100, Except{Longest: 2 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		q.background.Wait()
		return items
	}
	under := at(ahead)
	at(base)
	settled(t, q, Settlement{Item: under[0].ID, Outcomes: []Outcome{{N: 1, Due: ahead.Add(time.Minute)}}})
	if items := at(base.Add(time.Minute)); len(items) != 0 {
		t.Fatal("claimed before it was due")
	}
	// The search may come before what makes it due, or after.
	if n := len(at(base.Add(renewal+time.Minute))) + len(at(base.Add(renewal+2*time.Minute))); n != 1 {
		t.Errorf("FLT-014: %d items", n)
	}
}

// A clock that went back a little makes a search begin anew, and nothing is forgotten.
func TestClockSteppedBack(t *testing.T) {
	q := openTest(t, t.TempDir())
	commit(t, q, draft(q, 1, "a"))
	base := time.Now()
	for _, it := range claim(t, q, base) {
		settled(t, q, Settlement{Item: it.ID, Outcomes: []Outcome{{N: 1, Due: base.Add(time.Minute)}}})
	}
	q.Park(claim(t, q, base.Add(2*time.Minute))...)
	if early := claim(t, q, base); len(early) != 0 {
		t.Error("FLT-014: claimed before it was due")
	}
	if items := claim(t, q, base.Add(61*time.Second)); len(items) != 1 {
		t.Errorf("FLT-014: %d items", len(items))
	}
}
