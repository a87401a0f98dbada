package quarantine

import (
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
)

// Removed is a letter that the settings had removed from quarantine.
type Removed struct {
	ID         queue.ID
	Sender, To string
	Category   string
	// Why is behind "was deleted".
	Why string
}

// Level implements event.Event.
func (Removed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (r Removed) Record() (string, []slog.Attr) {
	return "quarantine removed", []slog.Attr{slog.String("id", r.ID.String()), slog.String("from", r.Sender), slog.String("to", r.To),
		slog.String("category", r.Category), slog.String("why", r.Why)}
}

// Line implements event.Event.
func (r Removed) Line() (string, string) {
	return "facteur/quarantine", r.ID.String() + ": to=<" + r.To + ">, category=" + r.Category + ", status=deleted-by-policy (" + r.Why + ")"
}

// Step implements event.Stepper.
func (r Removed) Step() event.Step {
	return event.Step{Kind: event.Discarded, Item: r.ID.String(), Sender: r.Sender, Recipients: []string{r.To}, Rule: "quarantine",
		Sentence: "The message for " + event.Addresses([]string{r.To}) + ", in quarantine as " + Words[r.Category] + ", was deleted " + r.Why + " (deleted-by-policy)."}
}

// Words say what a category is.
var Words = map[string]string{"spam": "spam", "virus": "a virus", "banned": "a banned file", "bad_header": "mail with a bad header"}

var _ event.Stepper = Removed{}
