package filter

import (
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
)

// Broken: a check panicked. Its letter was judged by the others. The check stays: whoever
// knows the letter that breaks it could switch it off for everybody.
type Broken struct {
	Session, Check string
	Times          int   // how often it did, since the settings were read
	Err            error // with the stack
}

// Topic implements event.Topical: an admin has to hear of it.
func (Broken) Topic() event.Topic { return event.Software }

// Level implements event.Event.
func (Broken) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Broken) Record() (string, []slog.Attr) {
	return "check failed", []slog.Attr{slog.String("check", e.Check), slog.String("session", e.Session), slog.Int("times", e.Times), slog.String("error", e.Err.Error())}
}

// Line implements event.Event.
func (e Broken) Line() (string, string) {
	return "facteur/filter", fmt.Sprintf("error: the check %q failed, %d times until now: %v", e.Check, e.Times, e.Err)
}

var _ event.Event = Broken{}
