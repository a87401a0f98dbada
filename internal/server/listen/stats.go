package listen

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"facteur/internal/base/event"
)

// statisticsTime is how often the extremes are told (Postfix's
// anvil_status_update_time).
const statisticsTime = 10 * time.Minute

// statistics are the extremes since they were last told.
type statistics struct{ rate, count extreme }

// extreme is the most of something that one client did.
type extreme struct {
	mu sync.Mutex
	Statistic
}

// see takes a value into account.
func (x *extreme) see(service string, a netip.Addr, value int, window time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if value > x.Value {
		x.Statistic = Statistic{Service: service, Client: a, Value: value, Window: window, At: time.Now()}
	}
}

// tell reports both and begins anew. What nobody came for is not told.
func (s *statistics) tell(events event.Sink) {
	for _, x := range []*extreme{&s.rate, &s.count} {
		x.mu.Lock()
		e := x.Statistic
		x.Statistic = Statistic{}
		x.mu.Unlock()
		if e.Value > 0 {
			events.Emit(e)
		}
	}
}

// Statistic is the most connections that one client had or made within ten minutes:
// what Postfix's anvil tells.
type Statistic struct {
	Service string
	Client  netip.Addr
	Value   int
	Window  time.Duration // of a rate; 0: connections at a time
	At      time.Time
}

// Level implements event.Event.
func (Statistic) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Statistic) Record() (string, []slog.Attr) {
	what := "max connection count"
	attrs := []slog.Attr{slog.String("service", e.Service), slog.String("client", e.Client.String()),
		slog.Int("value", e.Value), slog.Time("at", e.At)}
	if e.Window > 0 {
		what, attrs = "max connection rate", append(attrs, slog.Duration("window", e.Window))
	}
	return what, attrs
}

// Line implements event.Event.
func (e Statistic) Line() (string, string) {
	at := e.At.Format(time.Stamp)
	if e.Window > 0 {
		return "postfix/anvil", fmt.Sprintf("statistics: max connection rate %d/%ds for (%s:%s) at %s",
			e.Value, int(e.Window.Seconds()), e.Service, e.Client, at)
	}
	return "postfix/anvil", fmt.Sprintf("statistics: max connection count %d for (%s:%s) at %s", e.Value, e.Service, e.Client, at)
}
