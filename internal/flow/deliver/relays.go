package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/refusal"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

const (
	// relayRest is how long a relay that could not be reached, or would not let us in, is
	// tried after the others; blockedRest the same for one that refuses our address.
	relayRest   = 5 * time.Minute
	blockedRest = time.Hour
)

// A relay rests for one of two reasons: it does not let us in, which is over with the
// next connection that it takes; or it refuses what we send, which it may do politely on
// every connection.
func shut(h host) string    { return "shut " + h.place() }
func refuses(h host) string { return "refuses " + h.place() }

func (f *finder) asleep(h host, now time.Time) bool {
	return f.rests.resting(shut(h), now) || f.rests.resting(refuses(h), now)
}

// awake are the hosts of a site in the order in which they are tried: relays that did
// not work lately come last.
func (f *finder) awake(s site) []host {
	if len(s.hosts) < 2 || s.hosts[0].relay == nil {
		return s.hosts
	}
	now := time.Now()
	var first, last []host
	for _, h := range s.hosts {
		if f.asleep(h, now) {
			last = append(last, h)
			continue
		}
		first = append(first, h)
	}
	return append(first, last...)
}

// relayFailed notes that a relay did not take us. When our own time is over, that says
// nothing about it.
func (f *finder) relayFailed(ctx context.Context, h host, r *smtp.Reply, why string) {
	if h.relay == nil || ctx.Err() != nil {
		return
	}
	d := relayRest
	if reading, known := refusal.ReadReason(why); known && reading.Blocked {
		d = blockedRest
	}
	f.restRelay(h, shut(h), d, why)
}

func (f *finder) restRelay(h host, name string, d time.Duration, why string) {
	if f.rests.rest(name, time.Now(), d) {
		f.tell(fmt.Sprintf("relay %s does not take our mail; others are tried before it for %v: %s", h.place(), d, why))
	}
}

// relayWorks notes that a relay let us in.
func (f *finder) relayWorks(h host) {
	if h.relay != nil && f.rests.wake(shut(h)) {
		f.note(slog.LevelInfo, fmt.Sprintf("relay %s lets us in again", h.place()))
	}
}

// blocked is for a reply to a message: where a relay says with it that it takes nothing
// from our address, whatever the message, and there is another relay, that one is tried
// before it from now on, and again is true: the message has been refused by nobody yet.
func (f *finder) blocked(s site, name string, r *smtp.Reply) (again bool) {
	if len(s.hosts) < 2 || s.hosts[0].relay == nil || r == nil || r.Code/100 < 4 {
		return false
	}
	reading, known := refusal.Read(name, r.Code, r.Enhanced, r.Text())
	if !known || !reading.Blocked {
		return false
	}
	now := time.Now()
	for _, h := range s.hosts {
		if h.String() == name {
			f.restRelay(h, refuses(h), blockedRest, r.Error())
			continue
		}
		again = again || !f.asleep(h, now)
	}
	return again
}

// sendAround hands the message over, and those recipients to the next relay whom one
// refused for our address and not for theirs.
func (w *worker) sendAround(ctx context.Context, a *attempt) ([]result, error) {
	results, err := w.send(ctx, a)
	s := w.remote.siteNow(w.line)
	for range s.hosts {
		var again []int
		var to []queue.Recipient
		for i, r := range results {
			if r.kind != queue.Delivered && r.host != "" && w.remote.finder.blocked(s, r.host, r.reply) {
				again, to = append(again, i), append(to, r.recipient)
			}
		}
		if err != nil || len(again) == 0 {
			break
		}
		w.hangUp(ctx)
		var more []result
		if more, err = w.send(ctx, a.only(to...)); err != nil {
			break
		}
		for n, i := range again {
			results[i] = more[n]
		}
	}
	return results, err
}

func (f *finder) tell(text string) { f.note(slog.LevelWarn, text) }

func (f *finder) note(level slog.Level, text string) {
	if f.events != nil {
		f.events.Emit(event.Note{Severity: level, Program: "postfix/smtp", Text: text})
	}
}
