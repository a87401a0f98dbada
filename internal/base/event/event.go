// Package event carries what happens in the house to those who tell of it: the
// log today, metrics and journeys beside it.
//
// Each room defines its own event types next to the code that emits them, in a
// file events.go. An event is a plain struct; it knows how to say itself in two
// dialects, as structured fields and as the line that Postfix or Dovecot would
// have written, so that existing log tools go on working. Secrets have no field.
package event

import "log/slog"

// Event is something that happened.
type Event interface {
	// Level is how much it matters.
	Level() slog.Level
	// Record is the structured form: a constant message and its fields.
	Record() (msg string, attrs []slog.Attr)
	// Line is the traditional form: the program name that the line carries
	// ("postfix/smtpd", "dovecot") and its text without the "name[pid]: " in
	// front. An empty text means that the traditional log has no such line.
	Line() (program, text string)
}

// Sink takes events. Emit never blocks for long and never fails; it may be
// called from any goroutine.
type Sink interface {
	Emit(Event)
}

// Discard is the sink that forgets. Handy in tests.
var Discard Sink = discard{}

type discard struct{}

func (discard) Emit(Event) {}

// Note is an event for the few things that are no type of their own: a start,
// a warning to the admin.
type Note struct {
	Severity slog.Level
	Program  string // "postfix/master" and the like, for the traditional line
	Text     string
	Attrs    []slog.Attr
}

// Level implements Event.
func (n Note) Level() slog.Level { return n.Severity }

// Record implements Event.
func (n Note) Record() (string, []slog.Attr) { return n.Text, n.Attrs }

// Line implements Event.
func (n Note) Line() (string, string) {
	text := n.Text
	for _, a := range n.Attrs {
		text += ", " + a.Key + "=" + a.Value.String()
	}
	if n.Severity >= slog.LevelWarn {
		text = "warning: " + text
	}
	return n.Program, text
}
