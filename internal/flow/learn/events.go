package learn

import (
	"encoding/hex"
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/store/lexicon"
)

// program is who speaks in the log.
const program = "facteur/learn"

// Taught is a lesson that changed something.
type Taught struct {
	// Account is who taught; "" is who runs the server.
	Account string
	Spam    bool
	Way     Way
	Outcome lexicon.Outcome
	// Shared: it counts for the server, too, or waits there for another account to agree.
	Shared   bool
	LetterID [16]byte
	Facts    Facts
}

// class is how a letter is called.
func (e Taught) class() string {
	if e.Spam {
		return "spam"
	}
	return "ham"
}

func (e Taught) by() string {
	if e.Account == "" {
		return "the server"
	}
	return e.Account
}

// Level implements event.Event.
func (Taught) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Taught) Record() (string, []slog.Attr) {
	return "taught", []slog.Attr{slog.String("account", e.Account), slog.String("class", e.class()), slog.String("way", string(e.Way)),
		slog.String("outcome", e.Outcome.String()), slog.Bool("shared", e.Shared), slog.String("letter", hex.EncodeToString(e.LetterID[:])),
		slog.String("id", e.Facts.Item), slog.String("message_id", e.Facts.MessageID), slog.String("from", e.Facts.From.String())}
}

// Line implements event.Event.
func (e Taught) Line() (string, string) {
	text := fmt.Sprintf("%s learnt a letter as %s (%s): message-id=<%s>", e.by(), e.class(), e.Way, event.Clean(e.Facts.MessageID, 200))
	if e.Facts.Item != "" {
		text = event.Clean(e.Facts.Item, 40) + ": " + text
	}
	if e.Outcome == lexicon.Turned {
		text += ", learnt otherwise before"
	}
	return program, text
}

// Step implements event.Stepper.
func (e Taught) Step() event.Step {
	if e.Facts.Item == "" {
		return event.Step{}
	}
	s := event.Step{Kind: event.Taught, Item: e.Facts.Item, Account: e.Account, MessageID: e.Facts.MessageID}
	s.Sentence = fmt.Sprintf("Taught: %s said that it is %s (%s), and its words count for that from now on.", e.by(), map[bool]string{true: "spam", false: "no spam"}[e.Spam], e.Way)
	return s
}

var (
	_ event.Event   = Taught{}
	_ event.Stepper = Taught{}
)

// warn tells of a letter that taught nothing.
func (t *Teacher) warn(account string, err error) {
	t.Events.Emit(event.Note{Severity: slog.LevelWarn, Program: program, Text: fmt.Sprintf("a letter of %s taught nothing: %s", account, event.Clean(err.Error(), 300))})
}
