package intake

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Ruled: a rule, a policy server or a milter decided something.
type Ruled struct {
	// By is who: `rule "onlylocal"`, "milter opendkim". Rule is the name of the
	// rule alone, where it is one.
	By, Rule string
	Stage    rule.Stage
	Action   rule.Action
	// Reply is what the client is told; nil where it is told nothing.
	Reply *smtp.Reply
	Peer  Peer
	ID    queue.ID // 0 before MAIL
	// Test: the rule is on trial, and nothing was done. Trouble, unless nil, is why it could
	// not be decided.
	Test    bool
	Trouble error
	// From and To are as far as they are known.
	From, To *address.Address
}

func ruled(stage rule.Stage, s subject, by, name string, a rule.Action, reply *smtp.Reply) Ruled {
	e := Ruled{By: by, Rule: name, Stage: stage, Action: a, Reply: s.rules.soften(reply), Peer: *s.peer}
	if s.tx != nil {
		from := s.tx.mail.Sender
		e.ID, e.From = s.tx.id, &from
	}
	if s.rcpt != nil {
		to := s.rcpt.To
		e.To = &to
	}
	return e
}

// Level implements event.Event.
func (e Ruled) Level() slog.Level {
	if e.Test && e.Trouble != nil {
		return slog.LevelInfo
	}
	if e.Action.Verb == rule.Tag || e.Action.Verb == rule.Accept || e.Action.Verb == rule.Continue {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// Record implements event.Event.
func (e Ruled) Record() (string, []slog.Attr) {
	attrs := []slog.Attr{slog.String("by", e.By), slog.String("action", e.Action.String()), slog.String("stage", e.Stage.String()),
		slog.String("client", addressText(e.Peer.Addr)), slog.String("client_name", e.Peer.Name), slog.String("helo", e.Peer.Helo),
		slog.String("account", e.Peer.Account)}
	if e.ID != 0 {
		attrs = append(attrs, slog.String("id", e.ID.String()))
	}
	if e.From != nil {
		attrs = append(attrs, slog.String("from", e.From.String()))
	}
	if e.To != nil {
		attrs = append(attrs, slog.String("to", e.To.String()))
	}
	if e.Reply != nil {
		attrs = append(attrs, slog.String("reply", e.Reply.Error()))
	}
	if e.Test {
		attrs = append(attrs, slog.Bool("test_only", true))
	}
	if e.Trouble != nil {
		attrs = append(attrs, slog.String("error", e.Trouble.Error()))
	}
	return "ruled", attrs
}

// Line implements event.Event: what Postfix's smtpd writes of an action. Of a
// refusal the door writes the line, for its own refusals and ours alike; what is
// done to the message in silence has none.
func (e Ruled) Line() (string, string) {
	what := ""
	if e.Test {
		return "postfix/smtpd", e.line("warn", e.sentence())
	}
	switch e.Action.Verb {
	case rule.Warn:
		what = "warn"
	case rule.Hold, rule.Discard, rule.Redirect, rule.BCC, rule.Prepend:
		what = e.Action.String()
		what, _, _ = strings.Cut(what, " ")
	default:
		return "", ""
	}
	return "postfix/smtpd", e.line(what, e.reason())
}

// line is one of Postfix's.
func (e Ruled) line(what, reason string) string {
	id := "NOQUEUE"
	if e.ID != 0 {
		id = e.ID.String()
	}
	return fmt.Sprintf("%s: %s: %s from %s: %s: %s;%s proto=%s helo=<%s>",
		id, what, e.Stage.Command(), e.Peer.client(), e.By, reason, e.envelope(), e.Peer.protocol(), e.Peer.Helo)
}

func (e Ruled) reason() string {
	if e.Action.Verb == rule.Warn {
		return e.Action.Text
	}
	return e.Action.String()
}

// envelope is " from=<…> to=<…>", as far as it is known.
func (e Ruled) envelope() string {
	s := ""
	if e.From != nil {
		s += " from=<" + e.From.String() + ">"
	}
	if e.To != nil {
		s += " to=<" + e.To.String() + ">"
	}
	return s
}

// protocol is one of the two that Postfix knows here.
func (p *Peer) protocol() string {
	if p.Protocol == "SMTP" {
		return "SMTP"
	}
	return "ESMTP"
}

// Step implements event.Stepper. Of a refusal it says who refused; the door's own
// event ends the story.
func (e Ruled) Step() event.Step {
	if e.Level() == slog.LevelDebug {
		return event.Step{}
	}
	s := e.Peer.step(event.Judged, e.ID)
	s.Rule = cmp.Or(e.Rule, e.By)
	if e.From != nil {
		s.Sender = e.From.String()
	}
	if e.To != nil {
		s.Recipients = []string{e.To.String()}
	}
	if e.Reply != nil {
		s.Reply = e.Reply.Error()
	}
	s.Sentence = e.sentence()
	return s
}

func (e Ruled) sentence() string {
	by := "The " + e.By
	if e.Rule != "" {
		by = fmt.Sprintf("The rule %q", e.Rule)
	}
	switch {
	case e.Trouble != nil:
		return fmt.Sprintf("%s is on trial (test_only), and could not be decided: %v.", by, e.Trouble)
	case e.Test:
		return fmt.Sprintf("%s is on trial (test_only); it would have said at %s: %s.", by, e.Stage.Command(), e.Action)
	case e.Reply != nil && e.Reply.Permanent():
		return fmt.Sprintf("%s refused %s at %s: %s.", by, e.about(), e.Stage.Command(), e.Reply.Text())
	case e.Reply != nil:
		return fmt.Sprintf("%s put %s off at %s, to be tried again later: %s.", by, e.about(), e.Stage.Command(), e.Reply.Text())
	}
	a := e.Action
	switch a.Verb {
	case rule.Hold:
		return by + " had the message held until a person decides" + colon(a.Text) + "."
	case rule.Discard:
		return by + " had the message thrown away, and the client was told that it was taken" + colon(a.Text) + "."
	case rule.Redirect:
		return by + " sent the message to <" + a.Address.String() + "> instead of its recipients."
	case rule.BCC:
		return by + " sent a copy of the message to <" + a.Address.String() + ">."
	case rule.Warn:
		return by + " remarked: " + a.Text + "."
	}
	return by + " changed the header of the message: " + a.String() + "."
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// about is what was refused.
func (e Ruled) about() string {
	switch {
	case e.To != nil:
		return "the recipient <" + e.To.String() + ">"
	case e.Stage == rule.Mail && e.From != nil:
		return "the sender <" + e.From.String() + ">"
	case e.Stage <= rule.Helo:
		return "the client"
	}
	return "the message"
}

// Discarded: a message got its 250, and a rule or a hook wanted it forgotten.
type Discarded struct {
	ID        queue.ID
	Peer      Peer
	Sender    address.Address
	To        []address.Address
	MessageID string
}

// Level implements event.Event.
func (Discarded) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Discarded) Record() (string, []slog.Attr) {
	return "discarded", []slog.Attr{slog.String("id", e.ID.String()), slog.String("client", addressText(e.Peer.Addr)),
		slog.String("from", e.Sender.String()), slog.String("to", strings.Join(e.to(), ",")), slog.String("message_id", e.MessageID)}
}

// Line implements event.Event.
func (e Discarded) Line() (string, string) {
	return "postfix/cleanup", fmt.Sprintf("%s: message-id=%s, discarded", e.ID, e.MessageID)
}

func (e Discarded) to() []string {
	out := make([]string, len(e.To))
	for i, a := range e.To {
		out[i] = a.String()
	}
	return out
}

// Step implements event.Stepper.
func (e Discarded) Step() event.Step {
	s := e.Peer.step(event.Discarded, e.ID)
	s.Sender, s.Recipients, s.MessageID = e.Sender.String(), e.to(), e.MessageID
	s.Sentence = fmt.Sprintf("The message from <%s> was thrown away as a rule or a milter wished; nobody gets it.", s.Sender)
	return s
}

// Readdressed: a hook changed the envelope of a message.
type Readdressed struct {
	By   string
	Edit Edit // of the envelope
	Peer Peer
	ID   queue.ID
	From address.Address // the sender until now
}

// what is what was done.
func (e Readdressed) what() string {
	switch e.Edit.Kind {
	case AddRecipient:
		return "added the recipient <" + e.Edit.Address.String() + ">"
	case RemoveRecipient:
		return "removed the recipient <" + e.Edit.Address.String() + ">"
	}
	return "replaced the sender <" + e.From.String() + "> by <" + e.Edit.Address.String() + ">"
}

// Level implements event.Event.
func (Readdressed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Readdressed) Record() (string, []slog.Attr) {
	return "readdressed", []slog.Attr{slog.String("id", e.ID.String()), slog.String("by", e.By), slog.String("what", e.what())}
}

// Line implements event.Event.
func (e Readdressed) Line() (string, string) {
	return "postfix/cleanup", fmt.Sprintf("%s: %s %s", e.ID, e.By, e.what())
}

// Step implements event.Stepper.
func (e Readdressed) Step() event.Step {
	s := e.Peer.step(event.Judged, e.ID)
	s.Rule, s.Sender = e.By, e.From.String()
	if e.Edit.Kind != ChangeSender {
		s.Recipients = []string{e.Edit.Address.String()}
	}
	s.Sentence = "The " + e.By + " " + e.what() + "."
	return s
}

var (
	_ = []event.Event{Ruled{}, Discarded{}, Readdressed{}}
	_ = []event.Stepper{Ruled{}, Discarded{}, Readdressed{}}
)
