package listen

import (
	"fmt"
	"net/netip"

	"facteur/internal/base/event"
)

// The steps of journeys that happen before anybody speaks a protocol.

func step(kind event.Kind, service string, a netip.Addr) event.Step {
	return event.Step{Kind: kind, Service: service, Client: event.Client{Addr: a}}
}

// Step implements event.Stepper.
func (e Refused) Step() event.Step {
	s := step(event.PutOff, e.Service, e.Remote)
	s.Sentence = fmt.Sprintf("%s wanted to connect to the service %s and was turned away for now: %v.", s.Client, e.Service, e.Why)
	if e.Untold > 0 {
		s.Sentence += fmt.Sprintf(" So were %d more since the last time that this was told.", e.Untold)
	}
	return s
}

// Step implements event.Stepper.
func (e HandshakeFailed) Step() event.Step {
	s := step(event.Ended, e.Service, e.Remote)
	s.Sentence = fmt.Sprintf("The encryption with which %s has to begin at the service %s did not come about: %v.", s.Client, e.Service, e.Err)
	return s
}

// Step implements event.Stepper.
func (e ProxyFailed) Step() event.Step {
	s := step(event.Ended, e.Service, e.Proxy)
	s.Sentence = fmt.Sprintf("The proxy %s did not say for whom it connects to the service %s: %v.", s.Client, e.Service, e.Err)
	return s
}

var _ = []event.Stepper{Refused{}, HandshakeFailed{}, ProxyFailed{}}
