package pop3d

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"facteur/internal/server/listen"
)

// LoggedOut: the session of a user ended.
type LoggedOut struct {
	listen.Who
	counts
	In, Out  int64 // octets
	Messages uint32
	Size     int64 // octets
	Err      error
}

// Level implements event.Event.
func (LoggedOut) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e LoggedOut) Record() (string, []slog.Attr) {
	return "pop3 session ended", e.Attrs(slog.Int64("in", e.In), slog.Int64("out", e.Out), slog.Int("retrieved", e.retr),
		slog.Int("tops", e.top), slog.Int("deleted", e.deleted), slog.Uint64("messages", uint64(e.Messages)), slog.String("reason", reason(e.Err)))
}

// Line implements event.Event.
func (e LoggedOut) Line() (string, string) {
	return listen.Program, fmt.Sprintf("pop3(%s)<%d><%s>: Disconnected: %s top=%d/%d, retr=%d/%d, del=%d/%d, size=%d", listen.Printable(e.User),
		os.Getpid(), e.Session, reason(e.Err), e.top, e.topBytes, e.retr, e.retrBytes, e.deleted, e.Messages, e.Size)
}

// Failed: a command could not be carried out, by our own fault.
type Failed struct {
	listen.Who
	Err error
}

// Level implements event.Event.
func (Failed) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Failed) Record() (string, []slog.Attr) {
	return "pop3 command failed", e.Attrs(slog.Any("error", e.Err))
}

// Line implements event.Event.
func (e Failed) Line() (string, string) {
	return listen.Program, fmt.Sprintf("pop3(%s)<%d><%s>: Error: %s", listen.Printable(e.User), os.Getpid(), e.Session, listen.Printable(e.Err.Error()))
}

// reason is why a session ended, in a few words of our own.
func reason(err error) string {
	switch text := farewell(err); {
	case err == nil || errors.Is(err, errQuit):
		return "Logged out"
	case text != "":
		return listen.Printable(text)
	case ended(err):
		return "Connection closed"
	}
	return "Connection closed: " + listen.Printable(err.Error())
}

func (s *session) who() listen.Who {
	return listen.Who{Service: "pop3", User: s.user, Guest: s.wire.conn.Guest(s.id)}
}

func (s *session) sayEnd() {
	w := s.who()
	if s.drop != nil {
		s.emit(LoggedOut{Who: w, counts: s.counts, In: s.wire.in, Out: s.wire.out, Messages: s.drop.count, Size: s.drop.size, Err: s.over})
		return
	}
	w.User = s.failures.user
	why := reason(s.over)
	if errors.Is(s.over, errQuit) {
		why = "Aborted login by logging out"
	}
	s.emit(listen.LoginAborted{Who: w, Method: s.failures.method, Attempts: s.failures.count, Took: time.Since(s.began), Reason: why})
}
