package filter

import (
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
)

// Broken: a check panicked. Its letter was judged by the others.
type Broken struct {
	Session, Check string
	Err            error // with the stack
}

// Topic implements event.Topical: an admin has to hear of it.
func (Broken) Topic() event.Topic { return event.Software }

// Level implements event.Event.
func (Broken) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Broken) Record() (string, []slog.Attr) {
	return "check failed", []slog.Attr{slog.String("check", e.Check), slog.String("session", e.Session), slog.String("error", e.Err.Error())}
}

// Line implements event.Event.
func (e Broken) Line() (string, string) {
	return "facteur/filter", fmt.Sprintf("error: the check %q failed: %v", e.Check, e.Err)
}

var _ event.Event = Broken{}
