package brake

import (
	"fmt"
	"log/slog"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
)

// logID is a letter in the log; what another mail server asks about has no ID here.
func logID(id queue.ID) string {
	if id == 0 {
		return "NOQUEUE"
	}
	return id.String()
}

// stepOf is a step of an account's letter. Those of another mail server are no items here:
// for an account they are one story.
func stepOf(kind event.Kind, id queue.ID, account string) event.Step {
	s := event.Step{Kind: kind, Account: account, Rule: "brake"}
	if id == 0 {
		s.Session, s.Sender = "policy "+account, account
	} else {
		s.Item = id.String()
	}
	return s
}

// Stopped: an account was braked; or would be, with Test.
type Stopped struct {
	ID           queue.ID // of the letter with which it was
	Account, Why string
	Signs        []Sign
	Test         bool
}

// Level implements event.Event.
func (Stopped) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Stopped) Record() (string, []slog.Attr) {
	return "account braked", []slog.Attr{slog.String("id", logID(e.ID)), slog.String("account", e.Account), slog.String("why", e.Why), slog.Bool("test", e.Test)}
}

// Line implements event.Event.
func (e Stopped) Line() (string, string) {
	word := "braked"
	if e.Test {
		word = "would be braked"
	}
	return "facteur/brake", fmt.Sprintf("warning: %s: %s %s: %s", logID(e.ID), e.Account, word, e.Why)
}

// Step implements event.Stepper.
func (e Stopped) Step() event.Step {
	s := stepOf(event.Judged, e.ID, e.Account)
	s.Sentence = fmt.Sprintf("The account %s was braked: %s.", e.Account, e.Why)
	if e.Test {
		s.Sentence = fmt.Sprintf("The account %s would have been braked (test only): %s.", e.Account, e.Why)
	}
	for _, sign := range e.Signs {
		s.Table = append(s.Table, sign.String())
	}
	return s
}

// Kept: a letter is held, as its account is braked, or as it is beyond a quota.
type Kept struct {
	ID                  queue.ID
	Account, Shown, Why string
	Braked              bool
}

// Level implements event.Event.
func (Kept) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Kept) Record() (string, []slog.Attr) {
	return "outgoing mail held", []slog.Attr{slog.String("id", logID(e.ID)), slog.String("account", e.Account), slog.String("why", e.Why), slog.Bool("braked", e.Braked)}
}

// Line implements event.Event.
func (e Kept) Line() (string, string) {
	return "postfix/smtpd", fmt.Sprintf("warning: %s: held: %s", logID(e.ID), e.Why)
}

// Step implements event.Stepper.
func (e Kept) Step() event.Step {
	s := stepOf(event.Held, e.ID, e.Account)
	s.Sentence = fmt.Sprintf("The message is held, as %s; the postmaster decides.", e.Why)
	if e.Braked {
		s.Sentence = fmt.Sprintf("The message is held, as the account %s is braked: %s. The postmaster decides (facteur brake).", e.Account, e.Why)
	}
	return s
}

// Lifted: a person lifted the brake of an account.
type Lifted struct {
	Account string
	By      By
	Letting bool // and lets go what is held
}

// Level implements event.Event.
func (Lifted) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Lifted) Record() (string, []slog.Attr) {
	return "brake lifted", []slog.Attr{slog.String("account", e.Account), slog.String("by", string(e.By)), slog.Bool("released", e.Letting)}
}

// Line implements event.Event.
func (e Lifted) Line() (string, string) {
	return "facteur/brake", fmt.Sprintf("%s: brake lifted, by=%s", e.Account, e.By)
}

// done is a letter to which something was done.
type done struct {
	id     queue.ID
	sender string
	to     []string
}

func newDone(it *queue.Item) done {
	d := done{id: it.ID, sender: it.Sender.String()}
	for _, r := range it.Recipients {
		d.to = append(d.to, r.Address.String())
	}
	return d
}

// Handled: a letter that was held by the brake was released or deleted.
type Handled struct {
	done
	Account string
	By      By
	Kind    event.Kind // Released or Discarded
}

// Level implements event.Event.
func (Handled) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Handled) Record() (string, []slog.Attr) {
	return "held mail " + e.word(), []slog.Attr{slog.String("id", e.id.String()), slog.String("account", e.Account), slog.String("by", string(e.By)), slog.Int("recipients", len(e.to))}
}

func (e Handled) word() string {
	if e.Kind == event.Discarded {
		return "deleted"
	}
	return "released"
}

// Line implements event.Event.
func (e Handled) Line() (string, string) {
	return "facteur/brake", fmt.Sprintf("%s: %s, account=%s, by=%s", e.id, e.word(), e.Account, e.By)
}

// Step implements event.Stepper.
func (e Handled) Step() event.Step {
	by := string(e.By)
	if by == "" {
		by = "The postmaster"
	}
	return event.Step{Kind: e.Kind, Item: e.id.String(), Account: e.Account, Sender: e.sender, Recipients: e.to, Rule: "brake",
		Sentence: fmt.Sprintf("%s %s the message for %s, which the brake of %s had held.", by, e.word(), event.Addresses(e.to), e.Account)}
}

var (
	_ event.Stepper = Stopped{}
	_ event.Stepper = Kept{}
	_ event.Stepper = Handled{}
	_ event.Event   = Lifted{}
)
