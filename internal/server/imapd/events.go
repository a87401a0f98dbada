package imapd

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// program is the name of these events in the traditional log.
const program = "dovecot"

// who is what all events of a session tell.
type who struct {
	User          string // as the client wrote it; "" before a log-in
	Remote, Local string // addresses
	TLS           bool
	Session       string
}

func (w who) attrs(more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("user", w.User), slog.String("client", w.Remote), slog.Bool("tls", w.TLS),
		slog.String("session", w.Session),
	}, more...)
}

// tail is the end of Dovecot's log-in lines, which fail2ban reads.
func (w who) tail(method string) string {
	text := "user=<" + printable(w.User) + ">"
	if method != "" {
		text += ", method=" + printable(method)
	}
	text += ", rip=" + w.Remote + ", lip=" + w.Local
	if w.TLS {
		text += ", TLS"
	}
	return text + ", session=<" + w.Session + ">"
}

// printable makes what a client wrote fit for a line of the log, where it must
// not look like another field or another line.
func printable(s string) string {
	const most = 100
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' || r == '\u2028' || r == '\u2029' || r >= 0x80 && r < 0xa0 || r == '\ufffd' {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// LoggedIn: a user gave the right password.
type LoggedIn struct {
	who
	Method string // PLAIN, LOGIN
}

// Level implements event.Event.
func (LoggedIn) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoggedIn) Record() (string, []slog.Attr) {
	return "imap login", e.attrs(slog.String("method", e.Method))
}

// Line implements event.Event.
func (e LoggedIn) Line() (string, string) { return program, "imap-login: Login: " + e.tail(e.Method) }

// AuthFailed: a log-in was refused. The traditional line comes once, when the
// connection ends: LoginAborted.
type AuthFailed struct {
	who
	Method string
	Why    error // nil: wrong user or password; else why nobody could tell
}

// Level implements event.Event.
func (AuthFailed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e AuthFailed) Record() (string, []slog.Attr) {
	attrs := e.attrs(slog.String("method", e.Method))
	if e.Why != nil {
		attrs = append(attrs, slog.Any("error", e.Why))
	}
	return "imap login failed", attrs
}

// Line implements event.Event.
func (e AuthFailed) Line() (string, string) {
	if e.Why == nil {
		return program, ""
	}
	return program, fmt.Sprintf("imap-login: Error: auth unavailable (%s): %s", printable(e.Why.Error()), e.tail(e.Method))
}

// LoginAborted: a connection ended before anybody logged in.
type LoginAborted struct {
	who
	Method   string // of the last attempt
	Attempts int
	Took     time.Duration
	Err      error
}

// Level implements event.Event.
func (LoginAborted) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoginAborted) Record() (string, []slog.Attr) {
	return "imap connection ended without login", e.attrs(slog.Int("attempts", e.Attempts),
		slog.Duration("took", e.Took), slog.String("reason", reason(e.Err)))
}

// Line implements event.Event.
func (e LoginAborted) Line() (string, string) {
	secs := int(e.Took.Seconds())
	if e.Attempts == 0 {
		return program, fmt.Sprintf("imap-login: Disconnected: %s (no auth attempts in %d secs): %s", reason(e.Err), secs, e.tail(""))
	}
	return program, fmt.Sprintf("imap-login: Disconnected: %s (auth failed, %d attempts in %d secs): %s",
		reason(e.Err), e.Attempts, secs, e.tail(e.Method))
}

// LoggedOut: the session of a user ended.
type LoggedOut struct {
	who
	In, Out int64 // octets
	Err     error
}

// Level implements event.Event.
func (LoggedOut) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoggedOut) Record() (string, []slog.Attr) {
	return "imap session ended", e.attrs(slog.Int64("in", e.In), slog.Int64("out", e.Out),
		slog.String("reason", reason(e.Err)))
}

// Line implements event.Event.
func (e LoggedOut) Line() (string, string) {
	text := reason(e.Err)
	if text != "Logged out" {
		text = "Disconnected: " + text
	}
	return program, fmt.Sprintf("imap(%s)<%s>: %s in=%d out=%d", printable(e.User), e.Session, text, e.In, e.Out)
}

// Failed: a command could not be carried out, by our own fault.
type Failed struct {
	who
	Command string
	Err     error
}

// Level implements event.Event.
func (Failed) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Failed) Record() (string, []slog.Attr) {
	return "imap command failed", e.attrs(slog.String("command", e.Command), slog.Any("error", e.Err))
}

// Line implements event.Event.
func (e Failed) Line() (string, string) {
	return program, fmt.Sprintf("imap(%s)<%s>: Error: %s: %s", printable(e.User), e.Session, e.Command, printable(e.Err.Error()))
}

// reason is why a session ended, in a few words of our own.
func reason(err error) string {
	switch text := farewell(err); {
	case err == nil || err == errLogout || err == errUnauthenticated:
		return "Logged out"
	case text != "":
		return printable(text)
	case ended(err):
		return "Connection closed"
	}
	return "Connection closed: " + printable(err.Error())
}

func (s *session) who() who {
	return who{User: s.user, Remote: s.wire.conn.Remote.Addr().String(), Local: s.wire.conn.Local.Addr().String(),
		TLS: s.wire.conn.TLS() != nil, Session: s.id}
}

func (s *session) sayEnd() {
	if s.space != nil {
		s.emit(LoggedOut{who: s.who(), In: s.wire.in, Out: s.wire.out, Err: s.over})
		return
	}
	w := s.who()
	w.User = s.failures.user
	s.emit(LoginAborted{who: w, Method: s.failures.method, Attempts: s.failures.count,
		Took: time.Since(s.began), Err: s.over})
}
