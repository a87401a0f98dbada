package listen

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// program is the name of these events in the traditional log.
const program = "postfix/master"

// AcceptFailed: the system gave no connection; accepting pauses.
type AcceptFailed struct {
	Service string
	Err     error
	Pause   time.Duration
}

// Level implements event.Event.
func (AcceptFailed) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e AcceptFailed) Record() (string, []slog.Attr) {
	return "accepting a connection failed", []slog.Attr{slog.String("service", e.Service),
		slog.Any("error", e.Err), slog.Duration("pause", e.Pause)}
}

// Line implements event.Event.
func (e AcceptFailed) Line() (string, string) {
	return program, fmt.Sprintf("warning: %s: accept connection: %v", e.Service, e.Err)
}

// Refused: a client had too many connections, or the service has. Reported once
// a second at most.
type Refused struct {
	Service string
	Remote  netip.Addr
	Why     error
}

// Level implements event.Event.
func (Refused) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Refused) Record() (string, []slog.Attr) {
	return "connection refused", []slog.Attr{slog.String("service", e.Service),
		slog.String("client", e.Remote.String()), slog.Any("reason", e.Why)}
}

// Line implements event.Event.
func (e Refused) Line() (string, string) {
	return program, fmt.Sprintf("warning: %s: %v: unknown[%s]", e.Service, e.Why, e.Remote)
}

// HandshakeFailed: a client did not get through TLS.
type HandshakeFailed struct {
	Service string
	Remote  netip.Addr
	Err     error
}

// Level implements event.Event.
func (HandshakeFailed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e HandshakeFailed) Record() (string, []slog.Attr) {
	return "TLS handshake failed", []slog.Attr{slog.String("service", e.Service),
		slog.String("client", e.Remote.String()), slog.Any("error", e.Err)}
}

// Line implements event.Event: Postfix's words, which fail2ban counts.
func (e HandshakeFailed) Line() (string, string) {
	return "postfix/" + e.Service + "/smtpd", fmt.Sprintf("SSL_accept error from unknown[%s]: %v", e.Remote, e.Err)
}

// Panicked: a handler broke one of our own promises.
type Panicked struct {
	Service string
	Remote  netip.Addr
	Panic   any
	Stack   string
}

// Level implements event.Event.
func (Panicked) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Panicked) Record() (string, []slog.Attr) {
	return "a session panicked", []slog.Attr{slog.String("service", e.Service),
		slog.String("client", e.Remote.String()), slog.Any("panic", e.Panic), slog.String("stack", e.Stack)}
}

// Line implements event.Event.
func (e Panicked) Line() (string, string) {
	return program, fmt.Sprintf("panic: %s: session with unknown[%s]: %v", e.Service, e.Remote, e.Panic)
}
