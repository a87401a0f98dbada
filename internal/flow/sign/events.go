package sign

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Signed is a letter that bears our signature.
type Signed struct {
	ID queue.ID
	By []string // names of keys in the DNS
	// Again: at departure, as something had to be changed.
	Again bool
}

// Level implements event.Event.
func (Signed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Signed) Record() (string, []slog.Attr) {
	return "signed", []slog.Attr{slog.String("id", e.ID.String()), slog.Any("keys", e.By), slog.Bool("again", e.Again)}
}

// Line implements event.Event; it is opendkim's.
func (e Signed) Line() (string, string) {
	var fields []string
	for _, name := range e.By {
		selector, domain, _ := strings.Cut(name, "._domainkey.")
		fields = append(fields, fmt.Sprintf("(s=%s, d=%s)", selector, domain))
	}
	return "opendkim", fmt.Sprintf("%s: DKIM-Signature field added %s", e.ID, strings.Join(fields, " "))
}

// Step implements event.Stepper.
func (e Signed) Step() event.Step {
	text := "The message was signed with DKIM by %s."
	if e.Again {
		text = "The message was changed as it left, and signed again with DKIM by %s."
	}
	return event.Step{Kind: event.Signed, Item: e.ID.String(), Sentence: fmt.Sprintf(text, strings.Join(e.By, " and "))}
}

// Unsigned is a letter of ours that leaves without a signature that it should have.
type Unsigned struct {
	ID     queue.ID
	Author address.Address
	By     []string // keys that signed all the same
	Why    string
	// Trouble: the admin has something to mend. First: he has not heard of it today.
	Trouble, First bool
}

// Level implements event.Event.
func (e Unsigned) Level() slog.Level {
	if e.Trouble && e.First {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Record implements event.Event.
func (e Unsigned) Record() (string, []slog.Attr) {
	return "unsigned", []slog.Attr{slog.String("id", e.ID.String()), slog.String("author", e.Author.String()), slog.Any("keys", e.By), slog.String("why", e.Why)}
}

// Line implements event.Event.
func (e Unsigned) Line() (string, string) {
	text := fmt.Sprintf("%s: not signed: %s", e.ID, e.Why)
	if e.Level() == slog.LevelWarn {
		text = "warning: " + text
	}
	return "opendkim", text
}

// Step implements event.Stepper.
func (e Unsigned) Step() event.Step {
	text := "The message leaves without a DKIM signature, as " + e.Why + "."
	if len(e.By) > 0 {
		text = fmt.Sprintf("The message was signed with DKIM by %s, and not by another key, as %s.", strings.Join(e.By, " and "), e.Why)
	}
	return event.Step{Kind: event.Signed, Item: e.ID.String(), Sentence: text}
}

// SealedOn is a letter of a stranger that goes on under our seal, or without one.
type SealedOn struct {
	ID        queue.ID
	Forwarder address.Address
	Sealed
}

// Level implements event.Event.
func (e SealedOn) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e SealedOn) Record() (string, []slog.Attr) {
	return "sealed", []slog.Attr{slog.String("id", e.ID.String()), slog.String("forwarder", e.Forwarder.String()), slog.String("key", e.By),
		slog.String("chain", string(e.Chain)), slog.String("why", e.Why)}
}

// Line implements event.Event.
func (e SealedOn) Line() (string, string) {
	if e.By == "" {
		return "openarc", fmt.Sprintf("%s: not sealed: %s", e.ID, e.Why)
	}
	selector, domain, _ := strings.Cut(e.By, "._domainkey.")
	return "openarc", fmt.Sprintf("%s: ARC seal added (s=%s, d=%s, cv=%s)", e.ID, selector, domain, e.Chain)
}

// Step implements event.Stepper.
func (e SealedOn) Step() event.Step {
	text := "The message goes on from <" + e.Forwarder.String() + "> without an ARC seal, as " + e.Why + "."
	if e.By != "" {
		text = "The message was sealed (ARC) by " + e.By + " as it goes on from <" + e.Forwarder.String() + ">, so that its next reader knows what it was when it came here."
	}
	return event.Step{Kind: event.Signed, Item: e.ID.String(), Sentence: text}
}

// warnings are what the log was told of lately. The zero value is ready.
type warnings struct {
	mu   sync.Mutex
	told map[string]time.Time
}

const (
	// warnEvery is how often the log warns of the same thing; warningsMax of how many
	// things that is remembered.
	warnEvery   = 24 * time.Hour
	warningsMax = 1000
)

// first tells that something was not told within a day.
func (w *warnings) first(what string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, told := w.told[what]; told && now.Sub(last) < warnEvery {
		return false
	}
	if w.told == nil || len(w.told) >= warningsMax {
		w.told = make(map[string]time.Time)
	}
	w.told[what] = now
	return true
}
