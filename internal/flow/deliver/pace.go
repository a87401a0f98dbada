package deliver

import (
	"math"
	"time"

	"facteur/internal/flow/transport"
)

// pace is how fast mail goes over one transport to the hosts of one operator: how many
// connections may be open, and how long is waited between two messages. It is a value
// that is told what happened, and when.
//
// The window grows by 1/window with each message that the other side takes, as long as
// it is used, and shrinks by one with each connection that fails (Postfix's feedback). A
// host that calls us too fast halves it, and for some minutes it does not grow past that
// but by one each minute: what was too much a moment ago is too much still. One that
// finds a single connection too fast is given time between the messages.
type pace struct {
	window float64
	// ceiling bounds the window since slowed, when a host asked for less; 0: none did.
	ceiling float64
	// pause is waited between messages since then.
	pause  time.Duration
	slowed time.Time
	// free is when the next message may begin, where there is time between them.
	free time.Time
	// open is how many connections there are, or are being made.
	open int
}

const (
	// hearOnce is how long further complaints count as one with the first: all the
	// connections that were open then hear the same.
	hearOnce = 5 * time.Second
	// recovery is how long a ceiling takes to rise by one.
	recovery = time.Minute
	// pauseFirst and pauseMax bound the time between messages that complaints make.
	pauseFirst, pauseMax = time.Second, time.Minute
)

// newPace is that of an operator who is not known yet. Here and below, k has its
// defaults (see transport.Pace.WithDefaults).
func newPace(k transport.Pace) pace {
	return pace{window: float64(min(k.InitialConcurrency, mostOf(k)))}
}

// mostOf is the most connections that a destination gets.
func mostOf(k transport.Pace) int {
	if k.RateDelay > 0 {
		return 1 // with several, there would be no time between messages
	}
	return k.Concurrency
}

// allowed is how many connections there may be now.
func (p *pace) allowed(k transport.Pace, now time.Time) int {
	most := float64(mostOf(k))
	if c, slow := p.limit(now); slow {
		most = min(most, c)
	}
	p.window = max(1, min(p.window, most))
	return int(p.window)
}

// limit is what the window may not pass after a complaint, as long as that counts.
func (p *pace) limit(now time.Time) (float64, bool) {
	if p.ceiling == 0 {
		return 0, false
	}
	return p.ceiling + math.Floor(float64(now.Sub(p.slowed))/float64(recovery)), true
}

// delay is what is waited now between two messages.
func (p *pace) delay(k transport.Pace, now time.Time) time.Duration {
	pause := p.pause
	for since := now.Sub(p.slowed); pause > 0 && since >= recovery; since -= recovery {
		if pause /= 2; pause < pauseFirst {
			pause = 0
		}
	}
	return max(k.RateDelay, pause)
}

// wait is how long the next message has to wait.
func (p *pace) wait(now time.Time) time.Duration { return max(0, p.free.Sub(now)) }

// took notes that a message was taken.
func (p *pace) took(k transport.Pace, now time.Time) {
	// A window that nobody fills says nothing about what the host would bear.
	if p.window < float64(p.open+k.InitialConcurrency) {
		p.window += 1 / p.window
	}
	if c, slow := p.limit(now); slow && c >= float64(mostOf(k)) && p.delay(k, now) == k.RateDelay {
		p.ceiling, p.pause = 0, 0 // forgotten
	}
	p.allowed(k, now)
}

// ended notes that an attempt is over: the time until the next begins.
func (p *pace) ended(k transport.Pace, now time.Time) {
	if d := p.delay(k, now); d > 0 {
		p.free = now.Add(d)
	}
}

// failed notes that a connection could not be made, or the host would not talk.
func (p *pace) failed() { p.window = max(1, p.window-1) }

// slowDown notes that a host wants less. What the connections of one moment hear counts
// once. A mailbox that gets too much is no reason for time between the messages: there are
// others behind the same host, and the schedule spaces the attempts for this one.
func (p *pace) slowDown(k transport.Pace, h haste, now time.Time) {
	window := p.allowed(k, now)
	if p.ceiling > 0 && now.Sub(p.slowed) < hearOnce || h == busyMailbox && window == 1 {
		return
	}
	if window == 1 {
		p.pause = min(max(pauseFirst, 2*p.delay(transport.Pace{}, now)), pauseMax)
	} else {
		p.pause = p.delay(transport.Pace{}, now)
	}
	p.window = max(1, math.Floor(p.window/2))
	p.ceiling, p.slowed = p.window, now
}

// idle tells that nothing is lost by forgetting it.
func (p *pace) idle(k transport.Pace, now time.Time) bool {
	c, slow := p.limit(now)
	return p.open == 0 && p.wait(now) == 0 && (!slow || c >= float64(mostOf(k)))
}
