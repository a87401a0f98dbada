package deliver

import (
	"testing"
	"time"

	"facteur/internal/store/queue"
)

// FLT-014, OUT-024: nothing expires for an hour after the clock was set, to whichever
// side; a slow clock and summer time that nobody sees in UTC change nothing.
func TestClock(t *testing.T) {
	const hour = time.Hour
	for name, jump := range map[string]time.Duration{"OUT-024 ten days ahead": 240 * hour, "FLT-014 a day back": -24 * hour,
		"FLT-014 from 1970": 56 * 365 * 24 * hour, "FLT-014 ten years ahead": 3650 * 24 * hour} {
		t.Run(name, func(t *testing.T) {
			wall := time.Unix(1e9, 0)
			c := newClock(wall)
			for since := time.Duration(0); since < 48*hour; since += time.Minute {
				if c.look(wall.Add(since), since) {
					t.Fatalf("in doubt after %v", since)
				}
			}
			for since := 48 * hour; since < 49*hour; since += time.Minute {
				if !c.look(wall.Add(since+jump), since) {
					t.Fatalf("not in doubt %v after the jump", since-48*hour)
				}
			}
			if c.look(wall.Add(49*hour+jump), 49*hour) {
				t.Error("in doubt for ever")
			}
		})
	}
	wall, c := time.Unix(1e9, 0), newClock(time.Unix(1e9, 0))
	for since := time.Duration(0); since < 1000*hour; since += hour {
		if c.look(wall.Add(since+since/100), since) {
			t.Fatal("a clock that is a little fast is in doubt")
		}
	}
}

// INV-26: while the clock is in doubt nothing is given up, neither for its lifetime nor
// for what the sender asked with BY.
func TestNothingExpiresInDoubt(t *testing.T) {
	s := usual
	arrived := time.Unix(1e9, 0)
	late := arrived.Add(30 * 24 * time.Hour)
	if !s.Expired(false, arrived, late, 1000) {
		t.Fatal("it never expires")
	}
	s.Doubtful = true
	if s.Expired(false, arrived, late, 1000) {
		t.Error("INV-26: given up while the clock is in doubt")
	}
	c := newCorridor(t)
	d := c.dispatcher()
	a := attemptFor("d.test", 2)
	a.item.By = queue.Deadline{At: arrived, Return: true}
	if d.clerk.overdue(a, late) == nil {
		t.Fatal("BY does nothing")
	}
	d.clerk.schedule = func() Schedule { return s }
	if d.clerk.overdue(a, late) != nil {
		t.Error("INV-26: returned while the clock is in doubt")
	}
	if o := d.clerk.outcome(s, a, &result{recipient: a.item.Recipients[0], reply: ours("x")}, late); o.Result != queue.Deferred {
		t.Errorf("INV-26: %v", o.Result)
	}
}
