package deliver

import "time"

// Schedule is when mail is tried again and when it is given up. Its methods are
// pure functions of their arguments.
//
// Waiting grows with the attempts, not with the age on the wall: a clock that
// jumps ahead, or a server that was off for a week, neither skips the retries of
// a letter nor gives it up untried.
type Schedule struct {
	MinimalBackoff, MaximalBackoff time.Duration // Postfix's *_backoff_time
	Lifetime                       time.Duration // maximal_queue_lifetime
	BounceLifetime                 time.Duration // bounce_queue_lifetime, for the null sender
	DelayWarning                   time.Duration // delay_warning_time; 0: never
	// SoftBounce: what failed for good is tried again all the same, until the lifetime
	// is over (soft_bounce).
	SoftBounce bool
	// Doubtful: the clock on the wall may be wrong now, so nothing expires (FLT-014).
	Doubtful bool
}

// Next is when to try again after an attempt that failed at now and was the
// attempts-th (from 1). spread in [0, 1) moves it by up to a tenth, so that what
// failed together is not tried together.
func (s Schedule) Next(now time.Time, attempts int, spread float64) time.Time {
	wait := s.MinimalBackoff
	for i := 1; i < attempts && wait < s.MaximalBackoff; i++ {
		wait *= 2
	}
	wait = min(wait, s.MaximalBackoff)
	return now.Add(wait + time.Duration(spread*float64(wait)/10))
}

// Longest is the longest that Next lets wait: what waits longer was put off by a clock
// that has since been set back (FLT-014).
func (s Schedule) Longest() time.Duration { return s.MaximalBackoff + s.MaximalBackoff/10 }

// Expired tells whether to give up after an attempt that failed at now and was the
// attempts-th: the message has been here for its lifetime, and has been tried at
// least a quarter as often as the schedule has room for in it.
func (s Schedule) Expired(nullSender bool, arrived, now time.Time, attempts int) bool {
	life := s.Lifetime
	if nullSender {
		life = s.BounceLifetime
	}
	return !s.Doubtful && now.Sub(arrived) >= life && attempts >= s.fewest(life)
}

// fewest is the least number of attempts before a message may expire.
func (s Schedule) fewest(life time.Duration) int {
	if s.MaximalBackoff <= 0 {
		return 1
	}
	return max(1, int(life/s.MaximalBackoff)/4)
}

// Warn tells whether the sender is to hear now that his message is late.
func (s Schedule) Warn(arrived, now time.Time, delayed bool) bool {
	return !delayed && s.DelayWarning > 0 && now.Sub(arrived) >= s.DelayWarning
}
