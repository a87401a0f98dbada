package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/refusal"
	"facteur/internal/net/smtpc"
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
func (f *finder) relayFailed(ctx context.Context, s site, h host, why string) {
	if h.relay == nil || ctx.Err() != nil {
		return
	}
	d := relayRest
	if reading, known := refusal.ReadReason(why); known && reading.Blocked {
		d = blockedRest
	}
	f.restRelay(s, h, shut(h), d, why)
}

func (f *finder) restRelay(s site, h host, name string, d time.Duration, why string) {
	if f.rests.rest(name, time.Now(), d) {
		after := ""
		if len(s.hosts) > 1 {
			after = fmt.Sprintf("; others are tried before it for %v", d)
		}
		f.note(s.logger(), slog.LevelWarn, fmt.Sprintf("relay %s does not take our mail%s: %s", h.place(), after, why))
	}
}

// relayWorks notes that a relay let us in.
func (f *finder) relayWorks(s site, h host) {
	if h.relay != nil && f.rests.wake(shut(h)) {
		f.note(s.logger(), slog.LevelInfo, fmt.Sprintf("relay %s lets us in again", h.place()))
	}
}

// relayTakes notes that a relay took a message, for which we were let in before.
func (f *finder) relayTakes(s site, h host) {
	if f.rests.wake(refuses(h)) {
		f.note(s.logger(), slog.LevelInfo, fmt.Sprintf("relay %s takes our mail again", h.place()))
	}
}

// refusesUs tells that a host said with a reply to a message that it takes nothing from
// our address, whatever the message.
func (r result) refusesUs() bool {
	if r.kind == queue.Delivered || r.host == "" || r.reply == nil || r.reply.Code/100 < 4 {
		return false
	}
	reading, known := refusal.Read(r.host, r.reply.Code, r.reply.Enhanced, r.reply.Text())
	return known && reading.Blocked
}

// sendAround hands the message over, and those recipients to the next relay whom one
// refused for our address and not for theirs: nobody has refused the message yet. Each
// relay is asked, those too that rest, for as long as one may take it, it is not returned.
// What all of them refuse for good is refused, as it is where there is one.
func (w *worker) sendAround(ctx context.Context, a *attempt) ([]result, error) {
	s := w.remote.siteNow(w.line)
	results, err := w.send(ctx, a, s)
	if err != nil || len(s.hosts) < 2 || s.hosts[0].relay == nil {
		return a.undiverted(results), err
	}
	for part, last := indices(results), results; ; {
		var again []int
		var to []queue.Recipient
		s, again = w.others(s, last)
		if len(again) == 0 {
			break
		}
		for n, i := range again {
			again[n], to = part[i], append(to, last[i].recipient)
		}
		w.hangUp(ctx)
		if last, err = w.send(ctx, a.only(to...), s); err != nil {
			last = a.only(to...).all(ours("message can't be read"), err.Error())
		}
		part = again
		for n, i := range part {
			if !last[n].refusesUs() || last[n].kind != queue.Failed || results[i].kind == queue.Failed {
				results[i] = last[n]
			}
		}
	}
	return a.undiverted(results), nil
}

func indices(results []result) []int {
	all := make([]int, len(results))
	for i := range all {
		all[i] = i
	}
	return all
}

// others is the site without the relay that results came from, and the indices of those
// that refuse our address; none where there is no other relay.
func (w *worker) others(s site, results []result) (rest site, again []int) {
	if w.conn == nil || !slices.ContainsFunc(results, result.refusesUs) && !w.remote.finder.rests.any() {
		return s, nil
	}
	at := slices.IndexFunc(s.hosts, func(h host) bool { return h.isAt(w.conn) })
	if at < 0 {
		return s, nil
	}
	for i, r := range results {
		switch {
		case r.refusesUs():
			again = append(again, i)
			w.remote.finder.restRelay(s, s.hosts[at], refuses(s.hosts[at]), blockedRest, r.reply.Error())
		case r.kind == queue.Delivered:
			w.remote.finder.relayTakes(s, s.hosts[at])
		}
	}
	if len(s.hosts) == 1 {
		return s, nil
	}
	s.hosts = slices.Concat(s.hosts[:at], s.hosts[at+1:])
	return s, again
}

// isAt tells whether a connection is to the host.
func (h host) isAt(c *smtpc.Conn) bool {
	if h.socket != "" {
		return c.Addr().String() == h.socket
	}
	at, err := netip.ParseAddrPort(c.Addr().String())
	return err == nil && at.Port() == h.port && c.Host() == h.String()
}

// undiverted lets what was diverted wait for the usual way where a host refuses the
// address of the other one, which is new.
func (a *attempt) undiverted(results []result) []result {
	for i := range results {
		if r := &results[i]; a.choice.Diverted && r.kind == queue.Failed && r.refusesUs() {
			r.kind = queue.Deferred
		}
	}
	return results
}

// logger is what lines of the log about the site begin with.
func (s site) logger() string { return logger(s.transport.LogName, s.transport.Kind.String()) }

func (f *finder) note(program string, level slog.Level, text string) {
	if f.events != nil {
		f.events.Emit(event.Note{Severity: level, Program: program, Text: text})
	}
}
