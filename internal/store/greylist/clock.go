package greylist

import "time"

// clock is the time of the process: it begins with the wall's and runs on by itself,
// whatever is done to that.
type clock struct {
	wall  func() time.Time
	since func() time.Duration // since the start
	start int64                // Unix seconds
}

func newClock(wall func() time.Time) clock {
	began := wall()
	return clock{wall: wall, since: func() time.Duration { return wall().Sub(began) }, start: began.Unix()}
}

// now is in seconds; they are Unix seconds while nobody sets the wall's clock.
func (c clock) now() int64 { return c.start + seconds(c.since()) }

// shift is what has to be added to be the wall's time.
func (c clock) shift() int64 {
	d := c.wall().Unix() - c.now()
	if d >= -1 && d <= 1 { // of cut seconds
		return 0
	}
	return d
}
