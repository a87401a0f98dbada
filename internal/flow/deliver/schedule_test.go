package deliver

import (
	"testing"
	"time"
)

var usual = Schedule{
	MinimalBackoff: 300 * time.Second, MaximalBackoff: 4000 * time.Second,
	Lifetime: 5 * 24 * time.Hour, BounceLifetime: 24 * time.Hour, DelayWarning: 4 * time.Hour,
}

// Row 100: minimal and maximal backoff.
func TestBackoffDoublesUpToItsCap(t *testing.T) {
	now := time.Unix(1e9, 0)
	for attempts, want := range map[int]time.Duration{
		1: 300 * time.Second, 2: 600 * time.Second, 3: 1200 * time.Second, 4: 2400 * time.Second,
		5: 4000 * time.Second, 6: 4000 * time.Second, 1 << 40: 4000 * time.Second,
	} {
		if got := usual.Next(now, attempts, 0).Sub(now); got != want {
			t.Errorf("attempt %d: %v, want %v", attempts, got, want)
		}
		if got := usual.Next(now, attempts, 0.999).Sub(now); got < want || got > want+want/10 {
			t.Errorf("attempt %d spread: %v", attempts, got)
		}
	}
}

// TestFiveDays walks a message that is deferred for ever: OUT-004.
//
// Row 99: the lifetimes of messages and of notices.
func TestFiveDays(t *testing.T) {
	arrived := time.Unix(1e9, 0)
	now, attempts, warned := arrived, 0, time.Duration(-1)
	for {
		attempts++
		if usual.Expired(false, arrived, now, attempts) {
			break
		}
		if usual.Warn(arrived, now, warned >= 0) {
			warned = now.Sub(arrived)
		}
		now = usual.Next(now, attempts, 0.5)
	}
	if age := now.Sub(arrived); age < usual.Lifetime || age > usual.Lifetime+2*usual.MaximalBackoff {
		t.Errorf("OUT-004: given up after %v", age)
	}
	if warned < 4*time.Hour || warned > 6*time.Hour {
		t.Errorf("OUT-004: warned after %v", warned)
	}
	if attempts < 90 || attempts > 130 {
		t.Errorf("OUT-004: %d attempts", attempts)
	}
}

func TestClockJumpBouncesNothing(t *testing.T) {
	arrived := time.Unix(1e9, 0)
	if usual.Expired(false, arrived, arrived.Add(10*24*time.Hour), 3) {
		t.Error("OUT-024: given up after three attempts because the clock jumped")
	}
	if usual.Expired(false, arrived, arrived.Add(-24*time.Hour), 1000) {
		t.Error("OUT-024: given up before it arrived")
	}
	if !usual.Expired(true, arrived, arrived.Add(25*time.Hour), 10) {
		t.Error("a notice outlived bounce_queue_lifetime")
	}
}
