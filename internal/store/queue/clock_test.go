package queue

import (
	"testing"
	"time"

	"facteur/internal/store/queue/queuetest"
)

// FLT-014, INV-26: a clock that was set back does not keep mail waiting for a time
// that it has to reach again, neither in this process nor after a restart; and what
// waits as it should, or as its sender asked, waits on.
func TestClockSetBack(t *testing.T) {
	for _, restart := range []bool{false, true} {
		dir := t.TempDir()
		ahead := time.Now().Add(10 * 24 * time.Hour)
		fill(t, dir, queuetest.Mail{Items: 300, Due: ahead, Attempts: 2})
		fill(t, dir, queuetest.Mail{Items: 300, Due: ahead, Arrived: ahead})
		fill(t, dir, queuetest.Mail{Items: 5, Due: time.Now().Add(time.Hour), Attempts: 1, Arrived: ahead.Add(time.Hour)})
		q := openTest(t, dir)
		released := draft(q, 1, "released")
		released.Item.Release = ahead.Add(24 * time.Hour)
		commit(t, q, released)
		except := Except{Longest: 2 * time.Hour}
		if !restart {
			if _, _, err := q.Claim(ctx, ahead.Add(-time.Hour), 1, except); err != nil {
				t.Fatal(err)
			}
		}
		found := 0
		for deadline := time.Now().Add(time.Minute); found < 600 && time.Now().Before(deadline); {
			items, _, err := q.Claim(ctx, time.Now(), 100, except)
			if err != nil {
				t.Fatal(err)
			}
			if found += len(items); len(items) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		q.background.Wait()
		if items := claim(t, q, time.Now()); found != 600 || len(items) != 0 {
			t.Errorf("FLT-014 restart=%v: %d found of 600, then %d", restart, found, len(items))
		}
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
