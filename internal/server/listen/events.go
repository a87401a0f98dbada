package listen

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"facteur/internal/base/limit"
)

// program is the name of these events in the traditional log.
const program = "postfix/master"

// programOf is the program that a service is in the traditional log.
func programOf(service string) string {
	switch service {
	case "smtp":
		return "postfix/smtpd"
	case "imap", "imaps", "pop3", "pop3s":
		return "dovecot"
	}
	return "postfix/" + service + "/smtpd"
}

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
	Untold  int // refusals since the last report
}

// Level implements event.Event.
func (Refused) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Refused) Record() (string, []slog.Attr) {
	return "connection refused", []slog.Attr{slog.String("service", e.Service),
		slog.String("client", name(e.Remote)), slog.Any("reason", e.Why), slog.Int("untold", e.Untold)}
}

// Line implements event.Event: Postfix's words for what one client is over.
func (e Refused) Line() (string, string) {
	var more string
	if e.Untold > 0 {
		more = fmt.Sprintf(" (and %d connections more were refused)", e.Untold)
	}
	if over, ok := e.Why.(*overError); ok {
		return programOf(e.Service), fmt.Sprintf("warning: Connection %s limit exceeded: %d from unknown[%s] for service %s: %v%s",
			over.what, over.count, e.Remote, e.Service, over, more)
	}
	return program, fmt.Sprintf("warning: %s: connection from unknown[%s] refused: %v%s", e.Service, name(e.Remote), e.Why, more)
}

// name is a client in the log; who comes by a Unix socket has no address.
func name(a netip.Addr) string {
	if !a.IsValid() {
		return "local"
	}
	return a.String()
}

// Shed: there was no room, and strangers who had waited long for their next command
// lost their place.
type Shed struct {
	Service string
	Count   int
}

// Level implements event.Event.
func (Shed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Shed) Record() (string, []slog.Attr) {
	return "idle connections ended to make room", []slog.Attr{slog.String("service", e.Service), slog.Int("count", e.Count)}
}

// Line implements event.Event.
func (e Shed) Line() (string, string) {
	return program, fmt.Sprintf("%s: ended %d idle connections to make room for others", e.Service, e.Count)
}

// ProxyFailed: a proxy did not say for whom it connects.
type ProxyFailed struct {
	Service string
	Proxy   netip.Addr
	Err     error
}

// Level implements event.Event.
func (ProxyFailed) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e ProxyFailed) Record() (string, []slog.Attr) {
	return "PROXY header failed", []slog.Attr{slog.String("service", e.Service),
		slog.String("proxy", name(e.Proxy)), slog.Any("error", e.Err)}
}

// Line implements event.Event.
func (e ProxyFailed) Line() (string, string) {
	return program, fmt.Sprintf("warning: %s: proxy %s did not say for whom it connects: %v", e.Service, name(e.Proxy), e.Err)
}

// Pressure: a service, or the whole process, has little room or none, or has room
// again.
type Pressure struct{ limit.Change }

// Level implements event.Event.
func (e Pressure) Level() slog.Level {
	if e.Change.Level == limit.Full {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Record implements event.Event.
func (e Pressure) Record() (string, []slog.Attr) {
	return "pressure", []slog.Attr{slog.String("source", string(e.Source)), slog.String("service", e.Service),
		slog.String("level", e.Change.Level.String()), slog.Int64("limit", e.Limit), slog.Duration("lasted", e.Lasted)}
}

// Line implements event.Event: in the spirit of Postfix's "has reached its process
// limit".
func (e Pressure) Line() (string, string) {
	what := "the server"
	if e.Service != "" {
		what = fmt.Sprintf("service %q", e.Service)
	}
	var text string
	switch {
	case e.Change.Level == limit.Calm:
		text = fmt.Sprintf("%s has room again after %v of pressure (%s)", what, e.Lasted.Round(time.Second), e.Source)
	case e.Change.Level == limit.Stress:
		text = what + " is nearing " + e.bound()
		if e.Source != limit.OfLoggedIn {
			text += ": clients get shorter times"
		}
	default:
		text = "warning: " + what + " has reached " + e.bound() + ": new clients are asked to come later"
		if e.Source == limit.OfLoggedIn {
			text = "warning: " + what + " has reached " + e.bound() + ": nobody more can log in"
		}
	}
	return program, text
}

// bound names the limit and the setting that moves it.
func (e Pressure) bound() string {
	switch e.Source {
	case limit.OfMemory:
		return fmt.Sprintf("its limit of %d MB of memory (limits.memory)", e.Limit>>20)
	case limit.OfLoggedIn:
		return fmt.Sprintf("its limit of %d connections of people who have logged in (limits.logged_in)", e.Limit)
	case limit.OfFiles:
		return "the limit of open files that the system sets (ulimit -n, LimitNOFILE)"
	}
	return fmt.Sprintf("its limit of %d connections (limits.connections)", e.Limit)
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
	return programOf(e.Service), fmt.Sprintf("SSL_accept error from unknown[%s]: %v", e.Remote, e.Err)
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
