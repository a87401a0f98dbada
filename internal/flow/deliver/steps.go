package deliver

import (
	"fmt"
	"strconv"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/flow/bounce"
	"facteur/internal/mail/dsn"
	"facteur/internal/mail/refusal"
	"facteur/internal/store/queue"
)

// The steps of journeys that delivery tells of. Each accepted (message, recipient)
// has exactly one that is final.

// Step implements event.Stepper.
func (e Tried) Step() event.Step {
	s := event.Step{Kind: e.kind(), Item: e.ID.String(), Sender: e.Sender.String(), Reply: e.Text}
	to := e.Recipient.Address.String()
	s.Recipients = []string{to}
	if original := e.Recipient.Original.String(); original != to {
		s.Recipients = append(s.Recipients, original)
	}
	s.Sentence = e.sentence(s.Kind, to)
	return s
}

// kind is what the result means for the recipient.
func (e Tried) kind() event.Kind {
	switch {
	case e.Result == queue.Delivered || e.Result == queue.Staged:
		return event.Delivered
	case e.Result == queue.Failed && (e.Sender.IsNull() || !bounce.Asked(e.Recipient.Notify, dsn.Failed)):
		return event.Dropped
	case e.Result == queue.Failed:
		return event.Bounced
	case e.Result == queue.Undeliverable:
		return event.Held
	}
	return event.Deferred
}

func (e Tried) sentence(k event.Kind, to string) string {
	switch k {
	case event.Delivered:
		switch e.Agent {
		case agentVirtual:
			return "The message was put into " + e.mailbox() + " of <" + to + ">."
		case agentLocal:
			return "The way of the message for <" + to + "> ended here: " + e.Text + "."
		case agentDiscard:
			return "The message for <" + to + "> was thrown away, as the settings want it: " + e.Text + "."
		}
		return e.Relay + " took the message for <" + to + ">, saying: " + e.Text + "." + e.journey()
	case event.Deferred:
		return fmt.Sprintf("Attempt %d to deliver to <%s> failed for now: %s.%s It is tried again later.",
			e.Recipient.Attempts+1, to, e.why(), e.meaning())
	case event.Held:
		if e.Aside {
			return "The message for <" + to + "> is " + e.Text + ". It waits until a person decides."
		}
		return "Delivery to <" + to + "> failed for good: " + e.why() +
			"." + e.meaning() + " It is not certain who sent the message, so nobody was told; it is held until a person decides."
	case event.Dropped:
		if !e.Sender.IsNull() {
			return "Delivery to <" + to + "> failed for good: " + e.why() + "." + e.meaning() + " The sender is not to be told (NOTIFY)."
		}
		return "Delivery to <" + to + "> failed for good: " + e.why() + "." + e.meaning() + " This was a notice, and there are no notices about notices."
	}
	return "Delivery to <" + to + "> failed for good: " + e.why() + "." + e.meaning() + " The message goes back to its sender."
}

// mailbox is where a letter was put here: into which of his, if not into INBOX. A word of
// what was wanted where he has no such mailbox.
func (e Tried) mailbox() string {
	switch {
	case e.Folder != "":
		return "the mailbox " + strconv.Quote(e.Folder)
	case e.Recipient.Folder != "":
		return "INBOX, for want of the mailbox " + strings.TrimPrefix(e.Recipient.Folder, `\`) + ","
	}
	return "the mailbox"
}

// meaning is what the other side's refusal means, where that is known, as sentences
// that go on behind others.
func (e Tried) meaning() string {
	read := refusal.ReadReason
	if e.Relay == "" && !strings.Contains(e.Text, "refused to talk to me") {
		read = refusal.ReadOwn // nobody was spoken to
	}
	r, known := read(e.Text)
	if !known {
		return ""
	}
	text := " " + r.Cause.En + " " + r.Advice(e.Result != queue.Deferred).En
	if r.Link != "" {
		text += " More at <" + r.Link + ">."
	}
	return text
}

// journey tells how it went there.
func (e Tried) journey() string {
	if e.Travelled == "" {
		return ""
	}
	return " It travelled " + e.Travelled + "."
}

// why is what went wrong, with the other host's name once.
func (e Tried) why() string {
	if e.Relay == "" || strings.Contains(e.Text, e.Relay) {
		return e.Text
	}
	return e.Relay + ": " + e.Text
}

// Step implements event.Stepper.
func (e Notified) Step() event.Step {
	what := "failure"
	switch e.Action {
	case dsn.Delayed:
		what = "delay"
	case dsn.Delivered, dsn.Relayed, dsn.Expanded:
		what = "success"
	}
	s := event.Step{Kind: event.Notified, Item: e.ID.String(), Related: e.Notice.ID.String()}
	reader := "sender"
	if e.Postmaster {
		reader = "postmaster"
	}
	s.Sentence = "A notice of " + what + " for the " + reader + " was written; it is in the queue as " + s.Related + "."
	return s
}

// Step implements event.Stepper. Trouble that is not about one message is none.
func (e Trouble) Step() event.Step {
	if e.ID == 0 {
		return event.Step{}
	}
	s := event.Step{Kind: event.Trouble, Item: e.ID.String()}
	s.Sentence = fmt.Sprintf("Something failed here (%s): %v. The message is kept.", e.What, e.Err)
	return s
}

var _ = []event.Stepper{Tried{}, Notified{}, Trouble{}}
