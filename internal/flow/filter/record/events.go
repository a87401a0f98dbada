package record

import (
	"fmt"
	"log/slog"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/store/reputation"
)

// Program is who speaks in the log.
const Program = "facteur/reputation"

// Banned: a client is refused for some time.
type Banned struct {
	Ban reputation.Ban
	For time.Duration
}

// Level implements event.Event.
func (Banned) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Banned) Record() (string, []slog.Attr) {
	return "banned", []slog.Attr{slog.String("subject", e.Ban.Subject.String()), slog.String("why", e.Ban.Why.String()),
		slog.Int64("seconds", int64(e.For/time.Second)), slog.Int("times", e.Ban.Times)}
}

// Line implements event.Event. Programs that watch logs (fail2ban) find the address behind
// "ban"; docs/REPUTATION.md has a filter for it.
func (e Banned) Line() (string, string) {
	return Program, fmt.Sprintf("ban %s for %d s: %s (%d times lately)", e.Ban.Subject, int64(e.For/time.Second), e.Ban.What(), e.Ban.Times)
}

// Caught: a letter came to an address that no human has. It is never delivered there.
type Caught struct {
	Item, Session, MessageID string
	Client                   event.Client
	Helo, Sender             string
	Traps                    []string
	// Alone: nobody else was to get it.
	Alone bool
}

// Level implements event.Event.
func (Caught) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Caught) Record() (string, []slog.Attr) {
	return "spam trap", []slog.Attr{slog.String("id", e.Item), slog.String("client", e.Client.Addr.Unmap().String()), slog.String("from", e.Sender),
		slog.Any("to", e.Traps), slog.Bool("alone", e.Alone)}
}

// Line implements event.Event.
func (e Caught) Line() (string, string) {
	return Program, fmt.Sprintf("%s: trap to=<%s>, from=<%s>, client=%s", e.Item, e.Traps[0], e.Sender, e.Client)
}

// Step implements event.Stepper.
func (e Caught) Step() event.Step {
	s := event.Step{Kind: event.Judged, Item: e.Item, Session: e.Session, MessageID: e.MessageID, Client: e.Client, Helo: e.Helo,
		Sender: e.Sender, Recipients: e.Traps, Rule: "reputation.traps"}
	s.Sentence = fmt.Sprintf("The message went to %s, which no human has: a spam trap. It is not delivered there, and %s is remembered for it.",
		event.Addresses(e.Traps), e.Client)
	if e.Alone {
		s.Kind = event.Discarded
	}
	return s
}

var (
	_ event.Event   = Banned{}
	_ event.Event   = Caught{}
	_ event.Stepper = Caught{}
)
