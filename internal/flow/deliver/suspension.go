package deliver

import (
	"time"

	"facteur/internal/mail/smtp"
)

// suspension is what is known of a place that may be dead: a site whose hosts do not
// answer, or a domain that the name service knows nothing of now. What is for it is put
// off without a connection, until its time is over and one attempt has tried again.
//
//	alive --so many failures as a cohort--> dead --its time is over--> on trial
//	dead, on trial --success--> alive      on trial --failure--> dead, for longer
type suspension struct {
	// cohorts is how many times as many connections as there may be have failed in
	// a row.
	cohorts float64
	// times is how often in a row it was taken for dead.
	times int
	// since is when it was taken for dead last, until for how long.
	since, until time.Time
	// reply and text are why.
	reply *smtp.Reply
	text  string
}

// health is what a suspension tells at a moment.
type health uint8

const (
	alive health = iota
	dead
	onTrial
)

func (s *suspension) health(now time.Time) health {
	switch {
	case s.times == 0:
		return alive
	case now.Before(s.until):
		return dead
	}
	return onTrial
}

// failed notes a failure where window connections may be open, and tells whether the
// place is dead now: after limit cohorts, never if that is negative. spread in [0, 1) is that of Schedule.Next.
func (s *suspension) failed(limit, window int, schedule Schedule, now time.Time, spread float64, reply *smtp.Reply, text string) bool {
	if s.health(now) == dead {
		return true // others began before it died, and hear the same
	}
	s.cohorts += 1 / float64(max(window, 1))
	s.reply, s.text = reply, text
	if limit < 0 || s.times == 0 && s.cohorts+rounding < float64(limit) {
		return false
	}
	s.times++
	s.since, s.until = now, schedule.Next(now, s.times, spread)
	return true
}

// rounding is what sums of fractions may be off.
const rounding = 1e-6

// succeeded makes the place alive.
func (s *suspension) succeeded() { *s = suspension{} }

// lift lets the next attempt through now.
func (s *suspension) lift() { s.until = time.Time{} }

// why is the text of what is put off meanwhile, in Postfix's words.
func (s *suspension) why() string { return suspended + s.text }

// suspended is how the reasons begin of what was put off without an attempt.
const suspended = "delivery temporarily suspended: "

// forgettable tells that what is known is of no use any more: alive without a failure,
// or dead for so long that its time would begin anew.
func (s *suspension) forgettable(now time.Time, backoff time.Duration) bool {
	return s.times == 0 && s.cohorts == 0 || now.Sub(s.until) > 2*backoff
}
