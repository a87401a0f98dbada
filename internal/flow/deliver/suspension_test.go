package deliver

import (
	"testing"
	"time"

	"facteur/internal/mail/smtp"
)

func reply(code int, enhanced, text string) *smtp.Reply { return smtp.NewReply(code, enhanced, text) }

// A site is dead after as many failures in a row as connections may be open, and one
// attempt is made when its time is over: OUT-013.
func TestSuspension(t *testing.T) {
	now := time.Unix(1e9, 0)
	refused := reply(451, "4.4.1", "connection refused")
	var s suspension
	fail := func(window int) bool { return s.failed(1, window, usual, now, 0, refused, "refused") }
	for range 4 {
		if fail(5) || s.health(now) != alive {
			t.Fatal("dead before five of five connections have failed")
		}
	}
	s.succeeded()
	for range 4 {
		fail(5)
	}
	if s.health(now) != alive {
		t.Fatal("a success in between did not count")
	}
	if !fail(5) || s.health(now) != dead || s.why() != "delivery temporarily suspended: refused" {
		t.Fatalf("%+v", s)
	}
	for i, wait := range []time.Duration{300, 600, 1200, 2400, 4000, 4000} {
		fail(5) // a straggler changes nothing
		end := now.Add(wait * time.Second)
		if got := s.until; !got.Equal(end) {
			t.Errorf("time %d: suspended for %v, want %v", i, got.Sub(now), wait*time.Second)
		}
		now = end.Add(-time.Second)
		if s.health(now) != dead {
			t.Error("suspended for too short")
		}
		now = end
		if s.health(now) != onTrial {
			t.Error("no trial")
		}
		if !fail(5) {
			t.Error("the trial failed, and it is not dead")
		}
	}
	s.lift()
	if s.health(now) != onTrial {
		t.Error("a lifted suspension is no trial")
	}
	s.succeeded()
	if s.health(now) != alive || !s.forgettable(now, usual.MaximalBackoff) {
		t.Errorf("%+v", s)
	}
}

// FailedCohort: a hundred failures in a row for the slow transport of the how-tos, and
// never with a negative number.
//
// Row 135: so many failures, and a destination is left alone.
func TestSuspensionLimits(t *testing.T) {
	now := time.Unix(1e9, 0)
	for limit, want := range map[int]int{1: 1, 100: 100, -1: 0} {
		var s suspension
		n := 0
		for i := 1; i <= 1000 && n == 0; i++ {
			if s.failed(limit, 1, usual, now, 0, nil, "") {
				n = i
			}
		}
		if n != want {
			t.Errorf("limit %d: dead after %d failures, want %d", limit, n, want)
		}
	}
}
