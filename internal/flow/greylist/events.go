package greylist

import (
	"fmt"
	"log/slog"
	"strings"

	"facteur/internal/base/event"
)

// Asked is a decision about a suspicious letter.
type Asked struct {
	Letter     *Letter
	Recipients []string
	Decision   Decision
	// Test: it is told, and not done.
	Test bool
}

func (g *Gate) tell(l *Letter, to []string, d Decision, test bool) {
	g.events.Emit(Asked{Letter: l, Recipients: to, Decision: d, Test: test})
}

// Level implements event.Event.
func (Asked) Level() slog.Level { return slog.LevelInfo }

// action is postgrey's word.
func (e Asked) action() string {
	switch {
	case e.Decision.Reply == nil:
		return "pass"
	case e.Test:
		return "test"
	}
	return "greylist"
}

// Record implements event.Event.
func (e Asked) Record() (string, []slog.Attr) {
	l := e.Letter
	return "greylist", []slog.Attr{slog.String("id", l.ID), slog.String("action", e.action()), slog.String("reason", e.Decision.Reason),
		slog.String("client", l.Client.Unmap().String()), slog.String("client_name", l.Name), slog.String("from", l.Sender.String()),
		slog.String("to", strings.Join(e.Recipients, ",")), slog.Float64("score", l.Suspicion), slog.Duration("wait", e.Decision.Wait)}
}

// Line implements event.Event: what postgrey writes, so that postgreyreport and habits go
// on.
func (e Asked) Line() (string, string) {
	l := e.Letter
	line := ""
	if l.ID != "" {
		line = l.ID + ": "
	}
	name := l.Name
	if name == "" {
		name = "unknown"
	}
	line += fmt.Sprintf("action=%s, reason=%s, client_name=%s, client_address=%s", e.action(), e.Decision.Reason, name, l.Client.Unmap())
	if !l.Sender.IsNull() {
		line += ", sender=" + l.Sender.String()
	}
	if len(e.Recipients) > 0 {
		line += ", recipient=" + e.Recipients[0]
	}
	return "postgrey", line
}

// Step implements event.Stepper.
func (e Asked) Step() event.Step {
	l := e.Letter
	s := event.Step{Kind: event.Judged, Item: l.ID, Session: l.Session, MessageID: l.MessageID, Helo: l.Helo,
		Client: event.Client{Name: l.Name, Addr: l.Client}, Sender: l.Sender.String(), Recipients: e.Recipients,
		Rule: "greylist", Sentence: e.Decision.Sentence}
	switch {
	case e.Test:
		s.Rule, s.Sentence = "greylist (test only)", "This is only tested, and was not done: "+s.Sentence
	case e.Decision.Reply != nil:
		s.Reply = e.Decision.Reply.Error()
	}
	return s
}

var (
	_ event.Event   = Asked{}
	_ event.Stepper = Asked{}
)
