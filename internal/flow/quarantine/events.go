package quarantine

import (
	"fmt"
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

// Notice is a letter that was put into quarantine, for the postmaster who wants to hear of
// its category: a line of the letter about event.Quarantine, of which there is one an hour
// at most.
type Notice struct {
	ID                                    queue.ID
	Category, Sender, To, Author, Subject string
	Score                                 float64
}

// Level implements event.Event.
func (Notice) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (n Notice) Record() (string, []slog.Attr) {
	return "quarantined", []slog.Attr{slog.String("id", n.ID.String()), slog.String("category", n.Category), slog.String("from", n.Sender), slog.String("to", n.To)}
}

// Line implements event.Event.
func (n Notice) Line() (string, string) {
	return "facteur/quarantine", fmt.Sprintf("%s: from=<%s>, to=<%s>, category=%s, score=%.1f, author=%s, subject=%s", n.ID,
		event.Clean(n.Sender, nameMax), event.Clean(n.To, nameMax), n.Category, n.Score, event.Clean(n.Author, nameMax), event.Clean(n.Subject, nameMax))
}

// nameMax bounds what of a stranger's words stands in a line, in bytes.
const nameMax = 200

// Topic implements event.Topical.
func (Notice) Topic() event.Topic { return event.Quarantine }

// Words say what a category is.
var Words = map[string]string{"spam": "spam", "virus": "a virus", "banned": "a banned file", "bad_header": "mail with a bad header"}

var (
	_ event.Stepper = Removed{}
	_ event.Topical = Notice{}
)
