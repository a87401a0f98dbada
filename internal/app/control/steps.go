package control

import (
	"facteur/internal/base/event"
)

// The steps of journeys that the admin's counter tells of. A deletion is the end of
// its recipients.

// Step implements event.Stepper.
func (h Handled) Step() event.Step {
	s := event.Step{Kind: h.kind(), Item: h.ID.String(), Sender: h.Sender, Recipients: h.Recipients}
	s.Sentence = h.sentence(event.Addresses(h.Recipients))
	return s
}

func (h Handled) kind() event.Kind {
	switch h.Action {
	case Hold:
		return event.Held
	case Delete:
		return event.Discarded
	case Release:
		return event.Released
	case Expire:
		return event.Expired
	}
	return event.Requeued
}

func (h Handled) sentence(to string) string {
	by := h.By.sentence()
	switch h.Action {
	case Hold:
		return by + " put the message for " + to + " on hold; it waits until somebody releases it."
	case Release:
		return by + " released the message for " + to + " from hold; it is tried again now."
	case Delete:
		return by + " deleted the message for " + to + " from the queue. It is not delivered, and nobody was told."
	case Expire:
		return by + " ended the time of the message for " + to + ": with its next attempt it goes back to its sender."
	}
	return by + " had it found out anew where the message goes; it is on its way to " + to + "."
}

// Step implements event.Stepper.
func (d Doomed) Step() event.Step {
	s := d.Handled.Step()
	s.Kind = event.Deleting
	s.Sentence = d.By.sentence() + " deleted the message for " + event.Addresses(d.Recipients) +
		" while it was being tried; unless that attempt delivers it, it ends with it."
	return s
}

var _ = []event.Stepper{Handled{}, Doomed{}}
