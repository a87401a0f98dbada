// Package doubling shows that work grows in proportion to its input (INV-16): twice
// the input takes about twice the time, where squared work takes four times.
//
// A machine that does other things only ever adds time. So the best of many runs
// counts, on both sides, taken in turns and repeated while in doubt. A single step in
// the curve (a cache that is full, a collection of garbage that begins) is no squared
// work: what looks so has to look so at four times the input as well.
package doubling

import (
	"testing"
	"time"
)

const (
	least, most = 4, 60 // rounds
	factor      = 3     // between twice and four times
)

// Check fails when prepare(2n) takes three times as long as prepare(n), or longer, and
// prepare(4n) three times as long as that.
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
	four, c := prepare(4*n), time.Hour
	for range most / 4 {
		if c = min(c, took(four)); c < factor*b {
			return
		}
	}
	t.Errorf("INV-16: %s: time grows faster than the input: %v, then %v, then %v", name, a, b, c)
}

func took(work func()) time.Duration {
	begun := time.Now()
	work()
	return time.Since(begun)
}
