package filter

import (
	"log/slog"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Judged is a letter of a stranger of which it was found out who sent it, whatever became
// of it then. Each has one, after all evidence is there; a letter that was refused for
// SPF at RCPT has one with as much as was known.
type Judged struct {
	ID queue.ID
	// Session names the connection, MessageID is as in the header; "" at RCPT.
	Session, MessageID string
	// Recipients are those whom it is for, as the client named them; none at RCPT.
	Recipients []address.Address
	Evidence   *Evidence
	Verdict    Verdict
}

// Level implements event.Event.
func (Judged) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Judged) Record() (string, []slog.Attr) {
	attrs := []slog.Attr{slog.String("id", e.ID.String()), slog.String("client", e.Evidence.Client.Addr.Unmap().String()),
		slog.String("from", e.Evidence.Sender.String())}
	for _, w := range e.Evidence.words() {
		attrs = append(attrs, slog.String(w.check, w.result))
	}
	attrs = append(attrs, slog.String("disposition", string(e.Verdict.Disposition)))
	if e.Verdict.Override != "" {
		attrs = append(attrs, slog.String("override", e.Verdict.Override))
	}
	return "authenticated", attrs
}

// Line implements event.Event: what opendmarc writes about a letter, "ID: example.org
// pass", and the rest behind it.
func (e Judged) Line() (string, string) {
	d, line := &e.Evidence.DMARC, e.ID.String()+":"
	domain, status := d.Asked, string(d.Status)
	if domain == "" {
		domain = domainOf(e.Evidence.Sender.String())
	}
	if domain != "" {
		line += " " + domain
	}
	if status == "" {
		status = "none"
	}
	line += " " + status
	if d.Record != nil {
		line += " (p=" + string(d.Published()) + " dis=" + e.Verdict.Applied() + ")"
	}
	for _, w := range e.Evidence.words() {
		if w.check != "dmarc" {
			line += " " + w.check + "=" + w.result
		}
	}
	return "opendmarc", line
}

// word is the result of a check in one word.
type word struct{ check, result string }

// words are the results in one word each, with what they are about.
func (e *Evidence) words() (out []word) {
	if s := e.SPF(); s != nil {
		out = append(out, word{"spf", string(s.Status) + "/" + s.Domain})
	}
	for i := range e.DKIM[:min(len(e.DKIM), toldMost)] {
		out = append(out, word{"dkim", string(e.DKIM[i].Status) + "/" + e.DKIM[i].Domain})
	}
	if e.ARC.Status != "" && e.ARC.Status != "none" {
		out = append(out, word{"arc", string(e.ARC.Status)})
	}
	if e.DMARC.Status != "" {
		out = append(out, word{"dmarc", string(e.DMARC.Status) + "/" + e.DMARC.Asked})
	}
	return out
}

// Step implements event.Stepper.
func (e Judged) Step() event.Step {
	ev := e.Evidence
	s := event.Step{Kind: event.Authenticated, Item: e.ID.String(), Session: e.Session, MessageID: e.MessageID,
		Client: event.Client{Name: ev.Client.Name, Addr: ev.Client.Addr}, Helo: ev.Client.Helo, Sender: ev.Sender.String()}
	if e.Verdict.Check != "" {
		s.Rule = "filter." + e.Verdict.Check
	}
	if e.Verdict.Reply != nil {
		s.Reply, s.Recipients = e.Verdict.Reply.Error(), named(e.Recipients)
	}
	s.Sentence = e.sentence()
	return s
}

// sentence is all that was found, and what came of it.
func (e Judged) sentence() string {
	var all []string
	for _, r := range e.Evidence.Remarks {
		if r.Sentence != "" {
			all = append(all, r.Sentence)
		}
	}
	if e.Verdict.Because != "" {
		all = append(all, e.Verdict.Because)
	}
	switch e.Verdict.Disposition {
	case Junk: // where it goes then, its delivery tells: not all recipients have a folder for it
		if e.Verdict.Override == "" {
			all = append(all, "It was taken as junk.")
		}
	case Reject:
		all = append(all, "It was refused.")
	case Defer:
		all = append(all, "The client was asked to come again.")
	}
	if all == nil {
		return "Nothing proves who sent the message, and nothing speaks against it."
	}
	return strings.Join(all, " ")
}

var (
	_ event.Event   = Judged{}
	_ event.Stepper = Judged{}
)
