package imapd

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/server/listen"
)

// program is the name of these events in the traditional log.
const program = "dovecot"

// who is what all events of a session tell.
type who struct {
	User string // as the client wrote it; "" before a log-in
	listen.Guest
}

func (w who) attrs(more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("user", w.User), slog.String("client", w.Remote), slog.Bool("tls", w.TLS),
		slog.String("session", w.Session),
	}, more...)
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
func (e LoggedIn) Line() (string, string) {
	return program, "imap-login: Login: " + e.LoginTail(e.User, e.Method)
}

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
	return program, fmt.Sprintf("imap-login: Error: auth unavailable (%s): %s", listen.Printable(e.Why.Error()), e.Tail(e.User, e.Method))
}

// Identified: a client told what program it is.
type Identified struct {
	who
	Fields imap.ID
}

// Level implements event.Event.
func (Identified) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Identified) Record() (string, []slog.Attr) {
	return "imap client", e.attrs(slog.String("id", e.text()))
}

// Line implements event.Event.
func (e Identified) Line() (string, string) {
	if e.User == "" {
		return program, "imap-login: ID sent: " + e.text() + ": " + e.Tail("", "")
	}
	return program, fmt.Sprintf("imap(%s)<%d><%s>: ID sent: %s", listen.Printable(e.User), os.Getpid(), e.Session, e.text())
}

// maxIDText bounds what a client can put into a line of the log by ID, in octets.
const maxIDText = 400

// text is "name=…, version=…".
func (e Identified) text() string {
	var b strings.Builder
	for i := 0; i+1 < len(e.Fields) && b.Len() < maxIDText; i += 2 {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strings.Map(inWord, listen.Printable(e.Fields[i])) + "=" + strings.Map(inWord, listen.Printable(e.Fields[i+1])))
	}
	return b.String()
}

// inWord leaves nothing in a field that could look like the begin of another, or like
// a reason in the lines that fail2ban reads.
func inWord(r rune) rune {
	if strings.ContainsRune(",=():", r) {
		return '_'
	}
	return r
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
	why := reason(e.Err)
	if e.Err == errLogout {
		why = "Aborted login by logging out"
	}
	return program, "imap-login: " + e.Aborted(why, e.Attempts, e.Took, e.User, e.Method)
}

// LoggedOut: the session of a user ended.
type LoggedOut struct {
	who
	counts
	In, Out int64 // octets
	Err     error
}

// Level implements event.Event.
func (LoggedOut) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoggedOut) Record() (string, []slog.Attr) {
	return "imap session ended", e.attrs(slog.Int64("deleted", e.deleted), slog.Int64("expunged", e.expunged), slog.Int64("bodies", e.bodies),
		slog.Int64("in", e.In), slog.Int64("out", e.Out),
		slog.String("reason", reason(e.Err)))
}

// Line implements event.Event.
func (e LoggedOut) Line() (string, string) {
	return program, fmt.Sprintf("imap(%s)<%d><%s>: Disconnected: %s in=%d out=%d deleted=%d expunged=%d trashed=0 hdr_count=%d hdr_bytes=%d body_count=%d body_bytes=%d",
		listen.Printable(e.User), os.Getpid(), e.Session, reason(e.Err), e.In, e.Out,
		e.deleted, e.expunged, e.headers, e.headerBytes, e.bodies, e.bodyBytes)
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
	return program, fmt.Sprintf("imap(%s)<%d><%s>: Error: %s: %s", listen.Printable(e.User), os.Getpid(), e.Session, e.Command, listen.Printable(e.Err.Error()))
}

// reason is why a session ended, in a few words of our own.
func reason(err error) string {
	switch text := farewell(err); {
	case err == nil || err == errLogout || err == errUnauthenticated:
		return "Logged out"
	case text != "":
		return listen.Printable(text)
	case ended(err):
		return "Connection closed"
	}
	return "Connection closed: " + listen.Printable(err.Error())
}

func (s *session) who() who {
	return who{User: s.user, Guest: s.wire.conn.Guest(s.id)}
}

func (s *session) sayEnd() {
	if s.space != nil {
		s.emit(LoggedOut{who: s.who(), counts: s.counts, In: s.wire.in, Out: s.wire.out, Err: s.over})
		return
	}
	w := s.who()
	w.User = s.failures.user
	s.emit(LoginAborted{who: w, Method: s.failures.method, Attempts: s.failures.count,
		Took: time.Since(s.began), Err: s.over})
}
