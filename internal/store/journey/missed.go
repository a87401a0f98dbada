package journey

import (
	"bytes"
	"fmt"
	"log/slog"
	"time"

	"facteur/internal/base/event"
)

// Missed is steps that could not be kept.
type Missed struct {
	Steps int
	Err   error // nil: they came faster than they could be written
}

// tellEvery is how often the log hears of missed steps.
const tellEvery = time.Minute

func (s *Store) tell(now time.Time, steps int, err error) {
	if now.Sub(s.told) < tellEvery && !s.told.IsZero() {
		return
	}
	s.told = now
	s.events.Emit(Missed{steps, err})
}

// Level implements event.Event.
func (Missed) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Missed) Record() (string, []slog.Attr) {
	return "steps of journeys were not kept", []slog.Attr{slog.Int("steps", e.Steps), slog.String("reason", e.reason())}
}

// Line implements event.Event.
func (e Missed) Line() (string, string) {
	return "facteur/journey", fmt.Sprintf("warning: %d steps of journeys were not kept: %s; mail is not concerned", e.Steps, e.reason())
}

func (e Missed) reason() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return "they came faster than they could be written"
}

// kindMissed marks a gap in the files.
const kindMissed event.Kind = "missed"

func appendMissed(b []byte, now time.Time, steps int) []byte {
	return appendStep(b, now, &event.Step{Kind: kindMissed,
		Sentence: fmt.Sprintf("%d steps that happened before this could not be written down and are missing here.", steps)})
}

func countSteps(lines []byte) int { return bytes.Count(lines, []byte{'\n'}) }
