package intake

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// forwardsMore refuses for now what a stranger wrote to an address that has forwarded as
// much as it may (REL-016): his server keeps it.
func (t *Transaction) forwardsMore(r *recipient) *smtp.Reply {
	rules := t.rules.Forward
	if !r.isPaced() || t.peer.insider() || rules == nil || rules.PerHour == 0 || !t.desk.forwarded.Full(t.desk.paced(r), rules.PerHour, time.Now()) {
		return nil
	}
	return smtp.NewReply(450, "4.7.1", fmt.Sprintf("<%s>: Recipient address rejected: too many messages are forwarded from this address now; try again later", r.original))
}

// isPaced tells that a recipient has his mail on another machine by our doing: an address
// of ours forwards it, or one that SRS made leads back to him, which whoever has seen it
// could write to for weeks.
func (r *recipient) isPaced() bool { return !r.forwarder.IsNull() || !r.returned.IsNull() }

// paced is what a recipient who is forwarded is counted as. Extensions, of which anybody
// makes as many as he likes, are one with their address (REL-020), and so are all names
// that a catch-all sends on.
func (d *Desk) paced(r *recipient) string {
	if r.dest.CatchAll != "" {
		return r.dest.CatchAll
	}
	if !r.returned.IsNull() {
		return r.returned.Key()
	}
	a := r.forwarder
	if stems := d.router.Stems(a); len(stems) > 0 {
		a = stems[len(stems)-1]
	}
	return a.Key()
}

// countForwarded counts what is sent on, when it is ours: a message is one, to however
// many an address leads.
func (t *Transaction) countForwarded() {
	if t.rules.Forward == nil || t.peer.insider() {
		return
	}
	var counted []string
	for i := range t.recipients {
		r := &t.recipients[i]
		if !r.gets() || !r.isPaced() {
			continue
		}
		if key := t.desk.paced(r); !slices.Contains(counted, key) {
			counted = append(counted, key)
			t.desk.forwarded.Add(key, t.arrived)
		}
	}
}

// noteSpam remembers what rules and hooks write about the message. What stands in it when
// it comes is anybody's word (REL-013).
func (t *Transaction) noteSpam(name, value string) {
	if strings.EqualFold(name, "X-Spam-Flag") || strings.EqualFold(name, "X-Spam") {
		word, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		t.spam = strings.EqualFold(strings.TrimRight(word, ",;"), "yes")
	}
}

// isSpam tells that our own rules or hooks found spam, or that the letter is for the junk
// folder.
func (t *Transaction) isSpam() bool {
	if t.spam || t.verdict.Disposition == filter.Junk || t.outcome != nil && t.outcome.Shown.IsSpam() {
		return true
	}
	if f := t.visit.facts; f != nil {
		for _, tag := range f.Tags {
			if strings.EqualFold(tag, "spam") {
				return true
			}
		}
	}
	return false
}

// keepSpam keeps spam from going on to other machines, which would take us for its sender.
// Where nobody is left who gets it here, it is refused.
func (t *Transaction) keepSpam() *smtp.Reply {
	if t.discard || t.rules.Forward == nil || t.rules.Forward.Spam || !t.isSpam() {
		return nil
	}
	kept, others := []address.Address(nil), false
	for i := range t.recipients {
		r := &t.recipients[i]
		switch {
		case !r.gets(), r.isWord():
		case r.forwarder.IsNull():
			others = true
		default:
			r.removed = true
			kept = append(kept, r.dest.Address)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	reply := (*smtp.Reply)(nil)
	if !others {
		reply = smtp.NewReply(550, "5.7.1", t.notForwarded())
	}
	t.desk.events.Emit(NotForwarded{Peer: t.peer, ID: t.id, Sender: t.mail.Sender, To: kept, Reply: t.rules.soften(reply)})
	return reply
}

// notForwarded tells the sender why.
func (t *Transaction) notForwarded() string {
	if e := t.check; e != nil && t.verdict.Check == "dmarc" && !t.spam {
		return fmt.Sprintf("Nothing proves that the message is from %s, and such messages are not forwarded from here", headerSafe(e.Evidence().DMARC.Asked))
	}
	return "Message looks like spam, and is not forwarded"
}

// NotForwarded: a message is spam by our own word, and does not go on to other machines.
type NotForwarded struct {
	Peer   Peer
	ID     queue.ID
	Sender address.Address
	To     []address.Address
	// Reply is the refusal; nil where others here get the message.
	Reply *smtp.Reply
}

// Level implements event.Event.
func (NotForwarded) Level() slog.Level { return slog.LevelInfo }

func (e NotForwarded) to() string {
	var all []string
	for _, a := range e.To {
		all = append(all, a.String())
	}
	return strings.Join(all, ",")
}

// Record implements event.Event.
func (e NotForwarded) Record() (string, []slog.Attr) {
	return "not forwarded", []slog.Attr{slog.String("id", e.ID.String()), slog.String("client", addressText(e.Peer.Addr)),
		slog.String("from", e.Sender.String()), slog.String("to", e.to()), slog.Bool("refused", e.Reply != nil)}
}

// Line implements event.Event. Of a refusal the door writes the line.
func (e NotForwarded) Line() (string, string) {
	if e.Reply != nil {
		return "", ""
	}
	return "postfix/cleanup", fmt.Sprintf("%s: spam from <%s> is not forwarded to %s", e.ID, e.Sender, e.to())
}

// Step implements event.Stepper.
func (e NotForwarded) Step() event.Step {
	s := e.Peer.step(event.Judged, e.ID)
	s.Rule, s.Sender = "forwarding.forward_spam", e.Sender.String()
	for _, a := range e.To {
		s.Recipients = append(s.Recipients, a.String())
	}
	s.Sentence = "The message looks like spam or may be forged, and was not forwarded to other machines."
	if e.Reply != nil {
		s.Reply = e.Reply.Error()
	}
	return s
}

var (
	_ event.Event   = NotForwarded{}
	_ event.Stepper = NotForwarded{}
)
