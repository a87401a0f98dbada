package report

import (
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/store/report"
)

// clean makes a text fit for a note.
func clean(s string) string { return event.Clean(s, 300) }

// program is who speaks in the log.
const program = "facteur/report"

// Reported is a report that was sent, or was not.
type Reported struct {
	Kind        report.Kind
	Domain, URI string
	Stage       report.Stage
	Note        string
	Size        int
}

// Level implements event.Event.
func (Reported) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Reported) Record() (string, []slog.Attr) {
	return "report", []slog.Attr{slog.String("kind", string(e.Kind)), slog.String("domain", e.Domain), slog.String("to", e.URI),
		slog.String("stage", string(e.Stage)), slog.String("note", e.Note), slog.Int("size", e.Size)}
}

// Line implements event.Event.
func (e Reported) Line() (string, string) {
	return program, fmt.Sprintf("%s report about %s to <%s>: %s (%s)", e.Kind, e.Domain, e.URI, e.Stage, e.Note)
}

// Taken is a report or complaint that came.
type Taken struct {
	What     string // "a DMARC report of google.com about example.org"
	Item     string // the queue ID of its letter
	Verified bool
	Fresh    bool
}

// Level implements event.Event.
func (Taken) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Taken) Record() (string, []slog.Attr) {
	return "report taken", []slog.Attr{slog.String("id", e.Item), slog.String("what", e.What), slog.Bool("verified", e.Verified), slog.Bool("fresh", e.Fresh)}
}

// Line implements event.Event.
func (e Taken) Line() (string, string) {
	text := e.Item + ": " + e.What
	if !e.Verified {
		text += ", which nobody vouches for"
	}
	if !e.Fresh {
		text += ", and was known"
	}
	return program, text
}

// Unreadable is what looked like a report and could not be read, or not be kept.
type Unreadable struct {
	Item string
	Err  error
}

// Level implements event.Event.
func (Unreadable) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Unreadable) Record() (string, []slog.Attr) {
	return "report not taken", []slog.Attr{slog.String("id", e.Item), slog.String("error", e.Err.Error())}
}

// Line implements event.Event.
func (e Unreadable) Line() (string, string) {
	return program, fmt.Sprintf("warning: %s: what looks like a report is not taken: %s; it is delivered as any letter", e.Item, clean(e.Err.Error()))
}

// Complained is an account about which there are too many complaints.
type Complained struct {
	Account string
	Count   int64
	Most    int
}

// Topic implements event.Topical.
func (Complained) Topic() event.Topic { return event.Complaint }

// Level implements event.Event.
func (Complained) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Complained) Record() (string, []slog.Attr) {
	return "complaints", []slog.Attr{slog.String("account", e.Account), slog.Int64("count", e.Count)}
}

// Line implements event.Event.
func (e Complained) Line() (string, string) {
	return program, fmt.Sprintf("warning: %d complaints in a week about mail of <%s> (reports.complaints = %d); \"facteur reports complaints\" tells which", e.Count, e.Account, e.Most)
}

var _ = []event.Event{Reported{}, Taken{}, Unreadable{}, Complained{}}
