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

// Identified: a client told what program it is.
type Identified struct {
	listen.Who
	Fields imap.ID
}

// Level implements event.Event.
func (Identified) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Identified) Record() (string, []slog.Attr) {
	return "imap client", e.Attrs(slog.String("id", e.text()))
}

// Line implements event.Event.
func (e Identified) Line() (string, string) {
	if e.User == "" {
		return listen.Program, "imap-login: ID sent: " + e.text() + ": " + e.Tail("", "")
	}
	return listen.Program, fmt.Sprintf("imap(%s)<%d><%s>: ID sent: %s", listen.Printable(e.User), os.Getpid(), e.Session, e.text())
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

// LoggedOut: the session of a user ended.
type LoggedOut struct {
	listen.Who
	counts
	In, Out int64 // octets
	Err     error
}

// Level implements event.Event.
func (LoggedOut) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoggedOut) Record() (string, []slog.Attr) {
	return "imap session ended", e.Attrs(slog.Int64("deleted", e.deleted), slog.Int64("expunged", e.expunged), slog.Int64("bodies", e.bodies),
		slog.Int64("in", e.In), slog.Int64("out", e.Out),
		slog.String("reason", reason(e.Err)))
}

// Line implements event.Event.
func (e LoggedOut) Line() (string, string) {
	return listen.Program, fmt.Sprintf("imap(%s)<%d><%s>: Disconnected: %s in=%d out=%d deleted=%d expunged=%d trashed=0 hdr_count=%d hdr_bytes=%d body_count=%d body_bytes=%d",
		listen.Printable(e.User), os.Getpid(), e.Session, reason(e.Err), e.In, e.Out,
		e.deleted, e.expunged, e.headers, e.headerBytes, e.bodies, e.bodyBytes)
}

// Failed: a command could not be carried out, by our own fault.
type Failed struct {
	listen.Who
	Command string
	Err     error
}

// Level implements event.Event.
func (Failed) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Failed) Record() (string, []slog.Attr) {
	return "imap command failed", e.Attrs(slog.String("command", e.Command), slog.Any("error", e.Err))
}

// Line implements event.Event.
func (e Failed) Line() (string, string) {
	return listen.Program, fmt.Sprintf("imap(%s)<%d><%s>: Error: %s: %s", listen.Printable(e.User), os.Getpid(), e.Session, e.Command, listen.Printable(e.Err.Error()))
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

func (s *session) who() listen.Who {
	return listen.Who{Service: "imap", User: s.user, Guest: s.wire.conn.Guest(s.id)}
}

func (s *session) sayEnd() {
	if s.space != nil {
		s.emit(LoggedOut{Who: s.who(), counts: s.counts, In: s.wire.in, Out: s.wire.out, Err: s.over})
		return
	}
	w := s.who()
	w.User = s.failures.user
	why := reason(s.over)
	if s.over == errLogout {
		why = "Aborted login by logging out"
	}
	s.emit(listen.LoginAborted{Who: w, Method: s.failures.method, Attempts: s.failures.count, Took: time.Since(s.began), Reason: why})
}
