package greylist

import (
	"math"
	"slices"
	"strings"
	"time"
)

// keepDays is for how many days counts are kept.
const keepDays = 90

// Day is what greylisting did to the strangers of a day. Who came back or never did is
// counted: of the former on the day on which they did, of the latter on that on which they
// came first.
type Day struct {
	// Day is "2026-11-22", by UTC.
	Day string `json:"day"`
	// Delayed is how many strangers were told to come again, Early how often one came
	// before his time.
	Delayed int `json:"delayed"`
	Early   int `json:"early"`
	// Back is how many came back and were let in, Gone how many never came, Junk how many
	// of those who came back brought junk all the same.
	Back int `json:"back"`
	Gone int `json:"gone"`
	Junk int `json:"junk"`
	// Crowded is how many shared one entry with the others of their network, or did not
	// wait for want of room.
	Crowded int `json:"crowded"`
	// Bytes is the size of the letters that never came.
	Bytes int64 `json:"bytes"`
	// Median is after what time half of those who came back were in, Late the same for 95
	// in 100; rounded up by a fifth at most, in seconds.
	Median int64 `json:"median_seconds"`
	Late   int64 `json:"p95_seconds"`

	delays [delayClasses]int
}

// delayClasses bounds the classes of delays: each is longer by a quarter power of two, from
// 30 s to five days.
const delayClasses = 56

const shortestClass = 30 // seconds

func classOf(d time.Duration) int {
	s := d.Seconds()
	if s <= shortestClass {
		return 0
	}
	return min(int(math.Ceil(4*math.Log2(s/shortestClass))), delayClasses-1)
}

func (d *Day) cameBack(after time.Duration, junk bool) {
	d.Back++
	if junk {
		d.Junk++
	}
	d.delays[classOf(after)]++
}

// quantile is the time within which a part of those who came back did.
func (d *Day) quantile(part float64) int64 {
	all := 0
	for _, n := range d.delays {
		all += n
	}
	if all == 0 {
		return 0
	}
	need, so := int(math.Ceil(part*float64(all))), 0
	for i, n := range d.delays {
		if so += n; so >= need {
			return int64(math.Round(shortestClass * math.Pow(2, float64(i)/4)))
		}
	}
	return 0
}

// tell is a Day for people.
func (d *Day) tell() Day {
	out := *d
	out.Median, out.Late = d.quantile(0.5), d.quantile(0.95)
	return out
}

// Add is the sum of two days, under the name of the first.
func (d Day) Add(o Day) Day {
	d.Delayed, d.Early, d.Back, d.Gone, d.Junk = d.Delayed+o.Delayed, d.Early+o.Early, d.Back+o.Back, d.Gone+o.Gone, d.Junk+o.Junk
	d.Crowded, d.Bytes = d.Crowded+o.Crowded, d.Bytes+o.Bytes
	for i, n := range o.delays {
		d.delays[i] += n
	}
	return d.tell()
}

// Days are the counts, the oldest first.
func (s *Store) Days() []Day {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Day, 0, len(s.days))
	for _, d := range s.days {
		out = append(out, d.tell())
	}
	slices.SortFunc(out, func(a, b Day) int { return strings.Compare(a.Day, b.Day) })
	return out
}

func (s *Store) today() *Day { return s.day(s.dayOf(s.clock.now())) }

// dayOf is the day of a time of the process.
func (s *Store) dayOf(t int64) string {
	return time.Unix(t+s.clock.shift(), 0).UTC().Format(time.DateOnly)
}

// day is a count that is about to change.
func (s *Store) day(name string) *Day {
	d := s.days[name]
	if d == nil {
		d = &Day{Day: name}
		s.days[name] = d
		s.dropDays()
	}
	s.changedDays.Touch(name)
	return d
}

// dropDays forgets the oldest counts. A clock that is set to and fro makes no more of them.
func (s *Store) dropDays() {
	for len(s.days) > keepDays {
		oldest := ""
		for name := range s.days {
			if oldest == "" || name < oldest {
				oldest = name
			}
		}
		delete(s.days, oldest)
		s.changedDays.Touch(oldest)
	}
}
