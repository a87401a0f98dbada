package anatomy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How far clocks and hosts may be off before it is worth a word.
const (
	clockError = 2 * time.Second
	slow       = 10 * time.Minute
	farOff     = 24 * time.Hour
)

// warn says what does not fit together.
func (l *Letter) warn() {
	if l.Author.Problem != "" {
		l.warning("From: " + l.Author.Problem)
	}
	for _, d := range l.Author.Disguised {
		l.warning("From: a careless reader could take " + d + " for the author's domain")
	}
	l.warnOfPath()
	l.warnOfReply()
	for _, k := range l.Links {
		if strings.HasPrefix(k.Doubt, "the text shows") || k.Doubt == "runs code" {
			l.warning("a link deceives: " + k.Doubt)
			break
		}
	}
}

func (l *Letter) warnOfPath() {
	unproven := 0
	for i, h := range l.Hops {
		switch {
		case h.Delay < -clockError:
			l.warning(fmt.Sprintf("hop %d is dated %v before the one that came earlier: a clock is wrong, or a line is invented", i+1, (-h.Delay).Round(time.Second)))
		case h.Delay > slow:
			l.warning(fmt.Sprintf("it took %v to hop %d", h.Delay.Round(time.Second), i+1))
		}
		if h.Belief == Unproven {
			unproven++
		}
	}
	if unproven > 0 {
		l.warning(fmt.Sprintf("%d of %d Received lines may be invented", unproven, len(l.Hops)))
	}
	if h := l.Handover(); h != nil && !l.Date.IsZero() && !h.Time.IsZero() {
		if off := l.Date.Sub(h.Time); off > farOff || off < -30*farOff {
			l.warning("its date is far from the time when it came")
		}
	}
}

// warnOfReply compares the domains that answers go to with the author's.
func (l *Letter) warnOfReply() {
	for _, to := range l.replies {
		ofAuthor := func(d string) bool { return to == d || sameHouse(to, d) }
		if len(l.Author.Domains) > 0 && !slices.ContainsFunc(l.Author.Domains, ofAuthor) {
			l.warning("answers go to another domain than the author's: " + to)
			return
		}
	}
}
