package intake

import (
	"fmt"

	"facteur/internal/base/event"
	"facteur/internal/store/queue"
)

// The steps of journeys that the desk tells of.

func (p Peer) step(kind event.Kind, id queue.ID) event.Step {
	s := event.Step{Kind: kind, Session: p.Session, Client: event.Client{Name: p.Name, Addr: p.Addr},
		Helo: p.Helo, Account: p.Account}
	if id != 0 {
		s.Item = id.String()
	}
	return s
}

// who is the peer in a sentence.
func (p Peer) who() string {
	client := event.Client{Name: p.Name, Addr: p.Addr}
	switch {
	case p.Account != "":
		return p.Account + ", logged in from " + client.String() + ","
	case p.User != nil && p.User.Name != "":
		return "The user " + p.User.Name + " of this machine"
	case p.User != nil:
		return fmt.Sprintf("User %d of this machine", p.User.UID)
	}
	return client.String()
}

// Step implements event.Stepper.
func (e Accepted) Step() event.Step {
	s := e.Peer.step(event.Accepted, e.Item.ID)
	s.Sender, s.MessageID = e.Item.Sender.String(), e.MessageID
	s.Recipients = named(e.Item)
	s.Sentence = fmt.Sprintf("%s handed over a message of %d bytes from <%s> to %s%s; it was accepted and is in the queue as %s.",
		e.Peer.who(), e.Item.Size, s.Sender, event.Addresses(s.Recipients), e.Peer.Forwarded.whence(), s.Item)
	if e.Peer.PerRecipient {
		s.Sentence += " It was not scored: another server handed it over by LMTP, which had taken it before."
	}
	return s
}

// whence completes a sentence about a message that passed a filter of ours before;
// "" for any other.
func (f *Forwarded) whence() (s string) {
	if f == nil {
		return ""
	}
	if f.Addr.IsValid() {
		s = ", which it had from " + event.Client{Name: f.Name, Addr: f.Addr}.String()
	}
	if f.Ident != "" {
		s += ", where its name was " + f.Ident
	}
	return s
}

// Step implements event.Stepper.
func (e Trouble) Step() event.Step {
	s := e.Peer.step(event.Trouble, e.ID)
	s.Sentence = fmt.Sprintf("Something failed here while %s was served (%s): %v. The client was asked to try again later.",
		e.Peer.who(), e.What, e.Err)
	return s
}

var _ = []event.Stepper{Accepted{}, Trouble{}}
