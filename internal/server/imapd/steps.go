package imapd

import (
	"net/netip"

	"facteur/internal/base/event"
)

// Step implements event.Stepper. Log-ins that succeed are no steps: a mail program
// makes hundreds a day, and no letter's way depends on them.
func (e AuthFailed) Step() event.Step {
	s := event.Step{Kind: event.LoginFailed, Session: e.Session, Service: "imap", Account: e.User}
	s.Client.Addr, _ = netip.ParseAddr(e.Remote)
	s.Sentence = s.Client.String() + " tried to log in as \"" + e.User + "\" by " + e.Method + " to read mail and was refused"
	if e.Why != nil {
		s.Sentence += "; whether the password was right could not be found out"
	}
	s.Sentence += "."
	return s
}

var _ event.Stepper = AuthFailed{}
