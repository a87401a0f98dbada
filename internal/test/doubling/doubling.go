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
	tries       = 3     // from the beginning, when a machine was busy elsewhere
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
	var a, b, c time.Duration
	for try := range tries {
		time.Sleep(time.Duration(try) * time.Second)
		if a, b, c = measure(n, prepare); b < factor*a || c < factor*b {
			return
		}
	}
	t.Errorf("INV-16: %s: time grows faster than the input: %v, then %v, then %v", name, a, b, c)
}

// measure takes the best times of n, 2n and, while in doubt, 4n.
func measure(n int, prepare func(n int) (work func())) (a, b, c time.Duration) {
	one, two := prepare(n), prepare(2*n)
	a, b, c = time.Hour, time.Hour, time.Hour
	for round := range most {
		a, b = min(a, took(one)), min(b, took(two))
		if round >= least && b < factor*a {
			return a, b, c
		}
	}
	four := prepare(4 * n)
	for range most / 4 {
		if c = min(c, took(four)); c < factor*b {
			break
		}
	}
	return a, b, c
}

func took(work func()) time.Duration {
	begun := time.Now()
	work()
	return time.Since(begun)
}
