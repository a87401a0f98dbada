package scanner

import (
	"fmt"
	"log/slog"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
)

// Failed: a scanner was shown a letter, and gave no answer.
type Failed struct {
	Name, Socket  string
	Session, Item string
	Client        filter.Client
	Err           error
}

// Level implements event.Event.
func (Failed) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Failed) Record() (string, []slog.Attr) {
	return "no answer from a scanner", []slog.Attr{slog.String("scanner", e.Name), slog.String("address", e.Socket),
		slog.String("id", e.Item), slog.String("session", e.Session), slog.String("error", e.Err.Error())}
}

// Line implements event.Event: as Postfix words it of milters.
func (e Failed) Line() (string, string) {
	what := "problem talking to"
	if event.Dialed(e.Err) {
		what = "connect to"
	}
	line := fmt.Sprintf("warning: %s scanner %s %s: %s", what, e.Name, e.Socket, event.Reason(e.Err))
	if e.Item != "" {
		line = e.Item + ": " + line
	}
	return "facteur/filter", line
}

// Step implements event.Stepper.
func (e Failed) Step() event.Step {
	return event.Step{Kind: event.Trouble, Item: e.Item, Session: e.Session, Rule: "scanner " + e.Name,
		Client: event.Client{Name: e.Client.Name, Addr: e.Client.Addr}, Helo: e.Client.Helo,
		Sentence: fmt.Sprintf("The scanner %s did not look at the message: %s.", e.Name, event.Reason(e.Err))}
}

// Down: a scanner does not answer, and is left alone for a while. It is told once.
type Down struct {
	Name, Socket string
	WhenDown     WhenDown
	Err          error
}

// Topic implements event.Topical: mail waits, or goes unseen.
func (Down) Topic() event.Topic { return event.Data }

// Level implements event.Event.
func (Down) Level() slog.Level { return slog.LevelError }

// Record implements event.Event.
func (e Down) Record() (string, []slog.Attr) {
	return "scanner is down", []slog.Attr{slog.String("scanner", e.Name), slog.String("address", e.Socket),
		slog.String("when_down", string(e.WhenDown)), slog.String("error", e.Err.Error())}
}

// Line implements event.Event.
func (e Down) Line() (string, string) {
	means := "letters go on without it"
	if e.WhenDown == Defer {
		means = "letters have to come again"
	}
	return "facteur/filter", fmt.Sprintf("error: the scanner %s %s does not work, and until it does %s: %s", e.Name, e.Socket, means, event.Reason(e.Err))
}

// Back: a scanner works again.
type Back struct {
	Name, Socket string
	For          time.Duration // it did not
}

// Level implements event.Event.
func (Back) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Back) Record() (string, []slog.Attr) {
	return "scanner works again", []slog.Attr{slog.String("scanner", e.Name), slog.String("address", e.Socket), slog.Duration("down_for", e.For)}
}

// Line implements event.Event.
func (e Back) Line() (string, string) {
	return "facteur/filter", fmt.Sprintf("the scanner %s %s works again, after %s", e.Name, e.Socket, e.For.Round(time.Second))
}

var (
	_ = []event.Event{Failed{}, Down{}, Back{}}
	_ = []event.Stepper{Failed{}}
	_ = []event.Topical{Down{}}
)
