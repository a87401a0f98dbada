package intake

import (
	"fmt"
	"log/slog"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// onward is what of a RCPT's parameters goes on to those whom the address leads to.
type onward struct {
	notify smtp.Notify
	orcpt  smtp.Original
	// expanded: the sender is to hear that the address led to several.
	expanded bool
}

// wishesOf decides by RFC 3461 §5.2.7. A single recipient inherits all. Those of an alias
// inherit all but the wish to hear of success, which is answered for the alias
// (§5.2.7.3). Those of a list with an owner inherit nothing: it is a message of the
// list's now (§5.2.7.1, §5.2.7.2).
func wishesOf(people []recipient, c smtp.Rcpt) onward {
	w := onward{notify: c.Notify, orcpt: c.Original}
	owned := false
	for i := range people {
		owned = owned || people[i].dest.Owned && people[i].dest.Kind != route.Refused
	}
	if len(people) == 1 && !owned {
		return w
	}
	w.expanded = c.Notify&smtp.NotifySuccess != 0
	switch {
	case owned:
		return onward{expanded: w.expanded}
	case w.notify == smtp.NotifySuccess:
		w.notify = smtp.NotifyNever
	default:
		w.notify &^= smtp.NotifySuccess
	}
	return w
}

// spare lets nobody be refused of whom a RCPT leads to, where others of them are not:
// one answer serves them all.
func (t *Transaction) spare() {
	for _, places := range t.order {
		var refused *smtp.Reply
		taken := false
		for _, i := range places {
			if r := &t.recipients[i]; !r.isWord() {
				refused, taken = r.refused, taken || r.refused == nil
			}
		}
		if taken {
			refused = nil
		}
		for _, i := range places {
			if r := &t.recipients[i]; taken || r.isWord() {
				r.refused = refused
			}
		}
	}
}

// Led: an address led to others.
type Led struct {
	ID     queue.ID
	Peer   Peer
	Sender address.Address
	From   address.Address
	To     []string
}

// ledMax is how many of the others are told by name.
const ledMax = 20

// noteLed notes where an address led to, unless that is the address itself.
func (t *Transaction) noteLed(from address.Address, people []recipient) {
	if len(people) == 1 && people[0].dest.Kind == route.Mailbox && people[0].dest.Address.Key() == from.Key() ||
		len(people) == 1 && people[0].dest.Kind == route.Remote && people[0].dest.Address == from {
		return
	}
	e := Led{ID: t.id, Peer: t.peer, Sender: t.mail.Sender, From: from}
	for i, r := range people {
		if i == ledMax {
			e.To = append(e.To, fmt.Sprintf("%d more", len(people)-i))
			break
		}
		e.To = append(e.To, r.dest.Name())
	}
	t.led = append(t.led, e)
}

// Level implements event.Event.
func (Led) Level() slog.Level { return slog.LevelDebug }

// Record implements event.Event.
func (e Led) Record() (string, []slog.Attr) {
	return "expanded", []slog.Attr{slog.String("id", e.ID.String()), slog.String("address", e.From.String()), slog.String("to", strings.Join(e.To, ", "))}
}

// Line implements event.Event: Postfix's log tells of it when it delivers (orig_to).
func (Led) Line() (string, string) { return "", "" }

// Step implements event.Stepper.
func (e Led) Step() event.Step {
	s := e.Peer.step(event.Judged, e.ID)
	s.Rule, s.Sender, s.Recipients = "addresses", e.Sender.String(), []string{e.From.String()}
	s.Sentence = "<" + e.From.String() + "> leads to " + strings.Join(e.To, ", ") + "."
	return s
}

var (
	_ event.Event   = Led{}
	_ event.Stepper = Led{}
)
