package imapd

import "facteur/internal/base/event"

// Step implements event.Stepper.
func (e LoggedIn) Step() event.Step {
	return e.LoginStep(event.LoggedIn, "imap", e.User, " logged in as \""+e.User+"\" by "+e.Method+" to read mail.")
}

// Step implements event.Stepper.
func (e AuthFailed) Step() event.Step {
	text := " tried to log in as \"" + e.User + "\" by " + e.Method + " to read mail and was refused"
	if e.Why != nil {
		text += "; whether the password was right could not be found out"
	}
	return e.LoginStep(event.LoginFailed, "imap", e.User, text+".")
}

var _ = []event.Stepper{LoggedIn{}, AuthFailed{}}
