package deliver

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"facteur/internal/mail/smtp"
)

// relieveEvery is how often is looked for what has been in line for too long.
const relieveEvery = time.Minute

// relieve puts off who has been in line for so long that he should have been tried by
// now, as if he had been, and ends what had to be delivered by a time that is over. A
// place that takes one message a minute then holds nobody's delay notice up, nor his
// return: it need not find the time to refuse him.
func (m *remote) relieve(now time.Time) {
	if now.Sub(m.relieved) < relieveEvery {
		return
	}
	m.relieved = now
	patience := max(m.schedule().MaximalBackoff/4, relieveEvery) // see Schedule.fewest
	for _, l := range m.lines {
		late := func(a *attempt) bool {
			return now.Sub(a.claimed) > patience || m.clerk.overdue(a, now) != nil
		}
		for _, a := range l.waiting.takeOut(late) {
			m.desk.passOver(a, l, now)
		}
	}
}

// passOver defers an attempt that did not get its turn. It is in line again soon.
func (d *desk) passOver(a *attempt, l *line, now time.Time) {
	if late := d.clerk.overdue(a, now); late != nil {
		d.conclude(a, late)
		return
	}
	// X.4.5 is congestion (RFC 3463 §3.5).
	results := a.all(smtp.NewReply(451, "4.4.5", "too much mail waits for this destination"), "")
	for i := range results {
		r := &results[i]
		r.text = noTurnFor(l.site.nexthop, now.Sub(a.claimed), r.recipient.LastReply)
		r.again = now.Add(time.Duration(rand.Int64N(int64(afterTrial))))
		r.agent = agentError
	}
	d.conclude(a, results)
}

// noTurnFor says why, and what the host had to say the last time.
func noTurnFor(nexthop string, waited time.Duration, last string) string {
	if strings.HasPrefix(last, suspended) {
		return last
	}
	text := fmt.Sprintf("%s%s takes mail slowly; no turn came in %v", suspended, nexthop, waited.Round(time.Minute))
	if last != "" {
		text += "; the last attempt: " + last
	}
	return text
}
