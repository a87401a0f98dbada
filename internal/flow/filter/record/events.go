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
	// Test: it would be, and bans are only tried.
	Test bool
}

// Level implements event.Event.
func (Banned) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Banned) Record() (string, []slog.Attr) {
	return "banned", []slog.Attr{slog.String("subject", e.Ban.Subject.String()), slog.String("why", e.Ban.Why.String()),
		slog.Int64("seconds", int64(e.For/time.Second)), slog.Int("times", e.Ban.Times), slog.Bool("test_only", e.Test)}
}

// Line implements event.Event. Programs that watch logs (fail2ban) find the address behind
// "ban"; docs/REPUTATION.md has a filter for it.
func (e Banned) Line() (string, string) {
	verb := "ban"
	if e.Test {
		verb = "would ban (test_only)"
	}
	return Program, fmt.Sprintf("%s %s for %d s: %s (%d times lately)", verb, e.Ban.Subject, int64(e.For/time.Second), e.Ban.What(), e.Ban.Times)
}

// Met is who came under a ban, and with what.
type Met struct {
	Item, Session string
	Client        event.Client
	Helo, Sender  string
	Recipient     string // the first that he named
}

// OnTrial: a client came who would be refused, and is not, as bans are only tried.
type OnTrial struct {
	Refusal
	Met
}

// Level implements event.Event.
func (OnTrial) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e OnTrial) Record() (string, []slog.Attr) {
	return "would be refused", []slog.Attr{slog.String("id", e.Item), slog.String("client", e.Client.Addr.Unmap().String()), slog.String("from", e.Sender),
		slog.String("to", e.Recipient), slog.String("why", e.Ban.Why.String()), slog.Bool("test_only", true)}
}

// Line implements event.Event.
func (e OnTrial) Line() (string, string) {
	return Program, fmt.Sprintf("%s: test_only: would refuse client=%s, from=<%s>, to=<%s>: %s", e.Item, e.Client, e.Sender, e.Recipient, e.Ban.What())
}

// Step implements event.Stepper.
func (e OnTrial) Step() event.Step {
	return event.Step{Kind: event.Judged, Item: e.Item, Session: e.Session, Client: e.Client, Helo: e.Helo, Sender: e.Sender,
		Recipients: []string{e.Recipient}, Rule: "reputation.bans (test only)",
		Sentence: fmt.Sprintf("This is only tested, and was not done: %s would have been refused because of %s, until %s.",
			e.Client, e.Ban.What(), e.Ban.Until.UTC().Format("2 January 15:04 UTC"))}
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
	_ event.Event   = OnTrial{}
	_ event.Event   = Caught{}
	_ event.Stepper = OnTrial{}
	_ event.Stepper = Caught{}
)
