package listen

import (
	"fmt"
	"log/slog"
	"time"

	"facteur/internal/base/event"
)

// This file is the events of log-ins at the doors where people read their mail.

// Program is the name of these events in the traditional log.
const Program = "dovecot"

// Who is what all events of a mailbox session tell.
type Who struct {
	Service string // "imap", "pop3"
	User    string // as the client wrote it; "" before a log-in
	Guest
}

// Attrs are the attributes of an event, with more.
func (w Who) Attrs(more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("user", w.User), slog.String("client", w.Remote), slog.Bool("tls", w.TLS),
		slog.String("session", w.Session),
	}, more...)
}

// LoggedIn: a user gave the right password.
type LoggedIn struct {
	Who
	Method string // PLAIN, LOGIN, USER
}

// Level implements event.Event.
func (LoggedIn) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoggedIn) Record() (string, []slog.Attr) {
	return e.Service + " login", e.Attrs(slog.String("method", e.Method))
}

// Line implements event.Event.
func (e LoggedIn) Line() (string, string) {
	return Program, e.Service + "-login: Login: " + e.LoginTail(e.User, e.Method)
}

// Step implements event.Stepper.
func (e LoggedIn) Step() event.Step {
	return e.LoginStep(event.LoggedIn, e.Service, e.User, " logged in as \""+e.User+"\" by "+e.Method+" to read mail.")
}

// AuthFailed: a log-in was refused. The traditional line comes once, when the
// connection ends: LoginAborted.
type AuthFailed struct {
	Who
	Method string
	Why    error // nil: wrong user or password; else why nobody could tell
}

// Level implements event.Event.
func (AuthFailed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e AuthFailed) Record() (string, []slog.Attr) {
	attrs := e.Attrs(slog.String("method", e.Method))
	if e.Why != nil {
		attrs = append(attrs, slog.Any("error", e.Why))
	}
	return e.Service + " login failed", attrs
}

// Line implements event.Event.
func (e AuthFailed) Line() (string, string) {
	if e.Why == nil {
		return Program, ""
	}
	return Program, fmt.Sprintf("%s-login: Error: auth unavailable (%s): %s", e.Service, Printable(e.Why.Error()), e.Tail(e.User, e.Method))
}

// Step implements event.Stepper.
func (e AuthFailed) Step() event.Step {
	text := " tried to log in as \"" + e.User + "\" by " + e.Method + " to read mail and was refused"
	if e.Why != nil {
		text += "; whether the password was right could not be found out"
	}
	return e.LoginStep(event.LoginFailed, e.Service, e.User, text+".")
}

// LoginAborted: a connection ended before anybody logged in.
type LoginAborted struct {
	Who
	Method   string // of the last attempt
	Attempts int
	Took     time.Duration
	Reason   string // why, as Dovecot words it
}

// Level implements event.Event.
func (LoginAborted) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoginAborted) Record() (string, []slog.Attr) {
	return e.Service + " connection ended without login", e.Attrs(slog.Int("attempts", e.Attempts),
		slog.Duration("took", e.Took), slog.String("reason", e.Reason))
}

// Line implements event.Event.
func (e LoginAborted) Line() (string, string) {
	return Program, e.Service + "-login: " + e.Aborted(e.Reason, e.Attempts, e.Took, e.User, e.Method)
}

var _ = []event.Stepper{LoggedIn{}, AuthFailed{}}
