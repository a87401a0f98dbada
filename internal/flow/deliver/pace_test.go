package deliver

import (
	"testing"
	"time"

	"facteur/internal/flow/transport"
	"facteur/internal/store/queue"
)

// busy takes messages with all the connections that are allowed.
func busy(p *pace, k transport.Pace, messages int, now time.Time) {
	for range messages {
		p.open = p.allowed(k, now)
		p.took(k, now)
	}
}

// Row 102: concurrency that begins at the initial one, and grows to its limit.
func TestPaceGrowsWithSuccess(t *testing.T) {
	k, now := transport.Pace{}.WithDefaults(), time.Unix(1e9, 0)
	p := newPace(k)
	if got := p.allowed(k, now); got != 5 {
		t.Fatalf("starts with %d connections, Postfix with 5", got)
	}
	busy(&p, k, 5, now)
	if got := p.allowed(k, now); got != 5 && got != 6 {
		t.Errorf("%d connections after as many messages as there are connections", got)
	}
	busy(&p, k, 1000, now)
	if got := p.allowed(k, now); got != 20 {
		t.Errorf("%d connections in the end, want 20", got)
	}
	for range 7 {
		p.failed()
	}
	if got := p.allowed(k, now); got != 13 {
		t.Errorf("%d connections after 7 failures, want 13", got)
	}
	for range 100 {
		p.failed()
	}
	if got := p.allowed(k, now); got != 1 {
		t.Errorf("%d connections after many failures", got)
	}
}

func TestPaceDoesNotGrowUnused(t *testing.T) {
	k, now := transport.Pace{}.WithDefaults(), time.Unix(1e9, 0)
	p := newPace(k)
	p.open = 1
	for range 1000 {
		p.took(k, now)
	}
	if got := p.allowed(k, now); got > 1+k.InitialConcurrency {
		t.Errorf("%d connections are allowed, one was ever used", got)
	}
}

// OUT-015: a host that says "slow down" gets half, and one more each minute later.
func TestPaceSlowsDownAndRecovers(t *testing.T) {
	k, now := transport.Pace{}.WithDefaults(), time.Unix(1e9, 0)
	p := newPace(k)
	busy(&p, k, 1000, now)
	p.slowDown(k, tooFast, now)
	p.slowDown(k, tooFast, now.Add(time.Second)) // another connection of the same moment
	if got := p.allowed(k, now); got != 10 {
		t.Fatalf("OUT-015: %d connections, want half of 20", got)
	}
	for minute := range 10 {
		at := now.Add(time.Duration(minute) * time.Minute)
		busy(&p, k, 1000, at)
		if got := p.allowed(k, at); got != 10+minute {
			t.Errorf("OUT-015: %d connections after %d minutes", got, minute)
		}
	}
	now = now.Add(time.Hour)
	busy(&p, k, 1000, now)
	if got := p.allowed(k, now); got != 20 || p.ceiling != 0 {
		t.Errorf("OUT-015: %d connections after an hour, ceiling %v", got, p.ceiling)
	}
}

// A host that finds one connection too fast gets time between the messages, twice as
// much each time, up to a minute; that is forgotten again.
//
// Row 134: one connection to a destination.
func TestPaceOfOneConnection(t *testing.T) {
	k, now := transport.Pace{Concurrency: 1}.WithDefaults(), time.Unix(1e9, 0)
	p := newPace(k)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		p.slowDown(k, tooFast, now)
		if got := p.delay(k, now); got != want*time.Second {
			t.Errorf("OUT-015: %v between messages, want %ds", got, want)
		}
		now = now.Add(hearOnce)
	}
	p.ended(k, now)
	if got := p.wait(now.Add(10 * time.Second)); got != 50*time.Second {
		t.Errorf("the next message waits %v", got)
	}
	now = now.Add(10 * time.Minute)
	p.took(k, now)
	if p.pause != 0 || p.delay(k, now) != 0 || !p.idle(k, now) {
		t.Errorf("OUT-015: never forgotten: %+v", p)
	}
}

// Row 133: a delay between deliveries.
func TestRateDelayMeansOneConnection(t *testing.T) {
	k, now := transport.Pace{RateDelay: 3 * time.Second, Concurrency: 10}.WithDefaults(), time.Unix(1e9, 0)
	p := newPace(k)
	busy(&p, k, 100, now)
	if got := p.allowed(k, now); got != 1 {
		t.Errorf("%d connections with a delay between messages", got)
	}
	p.ended(k, now)
	if got := p.wait(now); got != 3*time.Second {
		t.Errorf("the next message waits %v", got)
	}
}

func TestTooFast(t *testing.T) {
	for text, want := range map[string]bool{
		"host mx.x.test[192.0.2.1] said: 421 4.7.0 Too many connections (in reply to greeting command)":             true,
		"host mx.x.test[192.0.2.1] said: 421 4.7.0 Try again later (in reply to greeting command)":                  true,
		"host mx.x.test[192.0.2.1] said: 554 5.7.1 Go away (in reply to greeting command)":                          false,
		"connect to mx.x.test[192.0.2.1]: Connection refused":                                                       false,
		"host mx.x.test[192.0.2.1] said: 450 4.7.1 Client host rejected: rate limit exceeded (in reply to RCPT TO)": true,
	} {
		if got := saysTooFast(text); got != want {
			t.Errorf("OUT-015: %q: %v", text, got)
		}
	}
	for _, x := range []struct {
		code           int
		enhanced, text string
		want           haste
	}{
		{421, "4.7.0", "Temporary System Problem. Try again later", tooFast},
		{450, "4.2.1", "The user you are trying to contact is receiving mail too quickly", busyMailbox},
		{451, "4.7.1", "Greylisted, please try again in 5 minutes", fine},
		{450, "4.7.1", "Recipient address rejected: Greylisted", fine},
		{452, "4.2.2", "Mailbox full", fine},
		{451, "4.3.0", "Throttled, come back later", tooFast},
	} {
		r := []result{{reply: reply(x.code, x.enhanced, x.text), host: "mx.x.test"}}
		if got := hasteOf(r); got != x.want {
			t.Errorf("OUT-015: %d %s %s: %d", x.code, x.enhanced, x.text, got)
		}
	}
}

// A mailbox that gets too much halves the connections to its host, and there it ends:
// the others behind that host need not wait for minutes.
func TestPaceOfABusyMailbox(t *testing.T) {
	k, now := transport.Pace{}.WithDefaults(), time.Unix(1e9, 0)
	p := newPace(k)
	for range 100 {
		p.slowDown(k, busyMailbox, now)
		now = now.Add(hearOnce)
	}
	if got := p.delay(k, now); got != 0 || p.allowed(k, now) > 2 {
		t.Errorf("OUT-015: %v between messages on %d connections", got, p.allowed(k, now))
	}
	busy := result{reply: reply(450, "4.2.1", "The user is receiving mail too quickly"), host: "mx.x.test"}
	taken := result{kind: queue.Delivered, reply: reply(250, "2.0.0", "Ok"), host: "mx.x.test"}
	if got := hasteOf([]result{busy, taken}); got != fine {
		t.Errorf("OUT-015: a host that takes the message for another recipient finds us too fast: %d", got)
	}
}
