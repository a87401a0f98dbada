package deliver

import (
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/flow/transport"
)

// Unreachable is an address of a host that was tried in vain before another one.
type Unreachable struct {
	Transport *transport.Transport
	// Text is "connect to mx.example.org[2001:db8::1]: Network is unreachable".
	Text string
}

// Level implements event.Event.
func (Unreachable) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Unreachable) Record() (string, []slog.Attr) {
	return "unreachable", []slog.Attr{slog.String("error", e.Text)}
}

// Line implements event.Event.
func (e Unreachable) Line() (string, string) {
	return logger(e.Transport.LogName, e.Transport.Kind.String()), e.Text
}

var _ event.Event = Unreachable{}
