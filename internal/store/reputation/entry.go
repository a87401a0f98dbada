package reputation

import (
	"math/bits"
	"time"
)

// entry is the record of one subject. Times are in Unix seconds. The amounts that fade
// are as they were at the time at.
type entry struct {
	since, last, at int64
	good, bad       float64 // letters
	letters, spam   uint32  // the same, as they came since
	// What leads to a ban: points since the last, how many bans there were, when the
	// step last changed or something was offended, until when the present one lasts.
	points     float64
	step       uint8
	offended   int64
	until      int64
	why        Offence
	told       tally
	goodHosts  hosts // of a network
	badHosts   hosts
	goodBefore hosts // in the month before
	badBefore  hosts
	month      int64
}

// hosts is a set of hosts in a network, by class: 64 of them are enough to tell one from
// several.
type hosts uint64

func (h hosts) count() int { return bits.OnesCount64(uint64(h)) }

const monthSeconds = 30 * 24 * 60 * 60

// fade brings an entry up to now.
func (e *entry) fade(now int64) {
	if e.since == 0 {
		e.since, e.at, e.month = now, now, now
	}
	if gone := now - e.at; gone > 0 {
		e.good, e.bad = faded(e.good, gone, lettersHalf), faded(e.bad, gone, lettersHalf)
		e.points = faded(e.points, gone, offencesHalf)
	}
	e.at = max(e.at, now) // a clock that is set back gives nothing back
	if e.month == 0 || now-e.month >= 2*monthSeconds {
		e.goodBefore, e.badBefore, e.goodHosts, e.badHosts, e.month = 0, 0, 0, 0, now
	} else if now-e.month >= monthSeconds {
		e.goodBefore, e.badBefore, e.goodHosts, e.badHosts = e.goodHosts, e.badHosts, 0, 0
		e.month += monthSeconds
	}
	e.climbDown(now)
}

// climbDown lowers the step of somebody who was clean for long.
func (e *entry) climbDown(now int64) {
	hold := int64(stepHolds / time.Second)
	for clean := max(e.offended, e.until); e.step > 0 && now-clean >= hold; clean += hold {
		e.step--
		e.offended = clean + hold
	}
}

// letter counts one letter.
func (e *entry) letter(spam bool, weight float64, now int64) {
	e.last = max(e.last, now)
	e.letters = min(e.letters+1, lettersMax)
	if spam {
		e.bad += weight
		e.spam = min(e.spam+1, lettersMax)
		return
	}
	e.good += weight
}

// turn takes back what a letter counted for, and counts it as the opposite.
func (e *entry) turn(spam bool) {
	if spam {
		e.good, e.bad = max(e.good-1, 0), e.bad+1
		e.spam = min(e.spam+1, e.letters)
		return
	}
	e.good, e.bad = e.good+1, max(e.bad-1, 0)
	e.spam -= min(e.spam, 1)
	if e.told[Kill] > 0 { // the letter may have been one of them; in doubt, it was
		e.told[Kill]--
		e.bad, e.points = max(e.bad-weights[Kill], 0), max(e.points-weights[Kill], 0)
	}
}

// wellKnown is how many good letters, faded, make a client one whose users write to ours;
// of so many letters one may be bad.
const (
	wellKnown    = 10
	wellKnownBad = 10
)

// isWellKnown tells a client that brings much good mail, and little else: a provider's
// host, on which some thousand people do not know the one among them who sends spam.
func (e *entry) isWellKnown() bool { return e.good >= wellKnown && e.bad*wellKnownBad <= e.good }

// banAt is what makes a ban: 1, less what fades between two halves of it within an hour.
const banAt = 0.95

// offend counts an offence, and tells whether it made a ban of its own. Each ban before
// doubles what it costs. spared: there is no ban, whatever comes.
func (e *entry) offend(o Offence, weight float64, spared bool, now int64) (banned bool) {
	known := e.isWellKnown()
	e.bad += weight
	e.told[o]++
	e.last, e.offended = max(e.last, now), max(e.offended, now)
	if spared || known || o == Hasty || e.until > now {
		return false
	}
	e.points += weight * float64(uint(1)<<min(e.step, uint8(len(ladder))))
	if e.points < banAt {
		return false
	}
	e.ban(o, ladder[min(int(e.step), len(ladder)-1)], now)
	return true
}

// ban bans, one step higher than the last time.
func (e *entry) ban(why Offence, length time.Duration, now int64) {
	e.until, e.why, e.points = now+int64(length/time.Second), why, 0
	e.offended = max(e.offended, now)
	e.step = min(e.step+1, uint8(len(ladder)))
}

// isSpent tells that nothing of an entry counts any more.
func (e *entry) isSpent(now int64) bool {
	return e.until <= now && e.step == 0 && e.points < 0.05 && e.good+e.bad < 0.1 &&
		(e.goodHosts|e.badHosts|e.goodBefore|e.badBefore) == 0
}

// worth is how much would be lost with an entry: penalties before all, then how much is
// known. A flood of new ones does not push out either.
func (e *entry) worth(now int64) float64 {
	w := faded(e.good+e.bad, now-e.at, lettersHalf) + faded(e.points, now-e.at, offencesHalf)
	w += 1000 * float64(e.step)
	if e.until > now {
		w += 1e6 + float64(e.until-now)
	}
	return w
}
