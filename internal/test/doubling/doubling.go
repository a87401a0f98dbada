// Package doubling shows that work grows in proportion to its input (INV-16): twice
// the input takes about twice the time, where squared work takes four times.
//
// A machine that does other things only ever adds time. So the best of many runs
// counts, on both sides, taken in turns and repeated while in doubt.
package doubling

import (
	"testing"
	"time"
)

const (
	least, most = 4, 60 // rounds
	factor      = 3     // between twice and four times
)

// Check fails when prepare(2n) takes three times as long as prepare(n), or longer.
// prepare makes the input and returns the work, which alone is measured. Nothing is
// measured in short mode.
func Check(t testing.TB, name string, n int, prepare func(n int) (work func())) {
	t.Helper()
	if testing.Short() {
		t.Skip("measures time")
	}
	one, two := prepare(n), prepare(2*n)
	a, b := time.Hour, time.Hour
	for round := range most {
		a, b = min(a, took(one)), min(b, took(two))
		if round >= least && b < factor*a {
			return
		}
	}
	t.Errorf("INV-16: %s: time grows faster than the input: %v, then %v", name, a, b)
}

func took(work func()) time.Duration {
	begun := time.Now()
	work()
	return time.Since(begun)
}
