package advice

import (
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/flow/intake"
)

// Failed is a program that was asked and gave no answer.
type Failed struct {
	// What is the program: "Milter service inet:localhost:8891".
	What string
	// Peer is whose mail it was asked about, Item the queue ID; "" before MAIL.
	Peer *intake.Peer
	Item string
	Err  error
}

func failed(what string, q *intake.Question, err error) Failed {
	f := Failed{What: what, Peer: q.Peer, Err: err}
	if q.ID != 0 {
		f.Item = q.ID.String()
	}
	return f
}

// Level implements event.Event.
func (Failed) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Failed) Record() (string, []slog.Attr) {
	return "no answer from a program", []slog.Attr{slog.String("what", e.What), slog.String("id", e.Item),
		slog.String("client", e.Peer.Addr.String()), slog.String("error", e.Err.Error())}
}

// Line implements event.Event: as Postfix words it.
func (e Failed) Line() (string, string) {
	if event.Dialed(e.Err) {
		return "postfix/smtpd", fmt.Sprintf("warning: connect to %s: %s", e.What, event.Reason(e.Err))
	}
	return "postfix/smtpd", fmt.Sprintf("warning: problem talking to %s: %s", e.What, event.Reason(e.Err))
}

// Step implements event.Stepper.
func (e Failed) Step() event.Step {
	return event.Step{
		Kind: event.Trouble, Item: e.Item, Session: e.Peer.Session, Service: e.Peer.Service, Rule: e.What,
		Client: event.Client{Name: e.Peer.Name, Addr: e.Peer.Addr}, Helo: e.Peer.Helo, Account: e.Peer.Account,
		Sentence: fmt.Sprintf("The %s did not answer: %s.", e.What, event.Reason(e.Err)),
	}
}

// said is what a policy server wants the log to have.
type said struct {
	server, about, text string
	level               slog.Level
}

// Level implements event.Event.
func (e said) Level() slog.Level { return e.level }

// Record implements event.Event.
func (e said) Record() (string, []slog.Attr) {
	return "policy server says", []slog.Attr{slog.String("server", e.server), slog.String("about", e.about), slog.String("text", e.text)}
}

// Line implements event.Event.
func (e said) Line() (string, string) {
	if e.level >= slog.LevelWarn {
		return "postfix/smtpd", fmt.Sprintf("warning: policy server %s: %s: %s", e.server, e.about, e.text)
	}
	return "postfix/smtpd", fmt.Sprintf("info: policy server %s: %s: %s", e.server, e.about, e.text)
}

var (
	_ = []event.Event{Failed{}, said{}}
	_ = []event.Stepper{Failed{}}
)
