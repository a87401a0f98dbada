package smtpd

import (
	"fmt"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/mail/smtp"
)

// The steps of journeys that this door tells of; the desk tells of the messages.

// step is the beginning of each of them.
func (c Client) step(kind event.Kind) event.Step {
	return event.Step{Kind: kind, Session: c.Session, Client: c.person()}
}

func (c Client) person() event.Client { return event.Client{Name: c.Name, Addr: c.Addr} }

// Step implements event.Stepper.
func (e Connected) Step() event.Step {
	s := e.Client.step(event.Connected)
	s.Service = e.Service.String()
	s.Sentence = e.Client.person().String() + " connected to the service " + s.Service + "."
	return s
}

// Step implements event.Stepper: the sentence says who wanted what, at which point
// of the dialogue it was refused, in which words, and what they mean.
func (e Rejected) Step() event.Step {
	s := e.Client.step(refusal(e.Reply))
	s.Helo, s.Account, s.Sender, s.Reply = e.Helo, e.Account, e.From.String(), e.Reply.Error()
	who := s.Client.String()
	if e.Account != "" {
		who = e.Account + " at " + who
	}
	wish := " wanted to deliver from <" + s.Sender + ">"
	if e.greeting() {
		wish = " wanted to be served"
	}
	if e.To != nil {
		s.Recipients = []string{e.To.String()}
		wish += " to <" + s.Recipients[0] + ">"
	}
	s.Sentence = who + wish + "; " + string(s.Kind) + " at " + e.Stage + " with " + s.Reply + meaning(e.Reply)
	return s
}

// refusal is the kind of a refusal: what is put off, the client still has.
func refusal(r *smtp.Reply) event.Kind {
	if r.Temporary() {
		return event.PutOff
	}
	return event.Refused
}

// meaning completes a reply to a sentence.
func meaning(r *smtp.Reply) string {
	switch text := r.Error(); {
	case strings.Contains(text, "Relay access denied") && r.Temporary():
		return ": the recipient's domain is not served here and the client had not logged in. It was put off, and not refused, because of soft_bounce."
	case strings.Contains(text, "Relay access denied"):
		return ": the recipient's domain is not served here and the client had not logged in."
	case r.Temporary() && strings.HasSuffix(text, "."):
		return " The client still has the message and is expected to try again."
	case r.Temporary():
		return ". The client still has the message and is expected to try again."
	case strings.HasSuffix(text, "."):
		return ""
	}
	return "."
}

// Step implements event.Stepper.
func (e Dropped) Step() event.Step {
	s := e.Client.step(event.Ended)
	s.Sentence = "The connection of " + s.Client.String() + " ended early, after " + e.After + ": " + e.Reason
	if e.Text != "" {
		s.Sentence += " (" + e.Text + ")"
	}
	s.Sentence += "."
	return s
}

// Step implements event.Stepper.
func (e AuthFailed) Step() event.Step {
	s := e.Client.step(event.LoginFailed)
	s.Account, s.Reply = e.User, e.Reply.Error()
	s.Sentence = s.Client.String() + " tried to log in as " + orNobody(e.User) + " by " + e.Mechanism + "; refused with " + s.Reply + "."
	if e.Reply.Temporary() {
		s.Sentence += " Whether the password was right could not be found out."
	}
	return s
}

func orNobody(user string) string {
	if user == "" {
		return "nobody in particular"
	}
	return "\"" + user + "\""
}

// Step implements event.Stepper.
func (e TLSFailed) Step() event.Step {
	s := e.Client.step(event.Ended)
	s.Sentence = "The encryption that " + s.Client.String() + " began with STARTTLS did not come about: " + e.Err.Error() + "."
	return s
}

// Step implements event.Stepper.
func (e PreGreeted) Step() event.Step {
	s := e.Client.step(event.Judged)
	s.Rule = "pregreet"
	s.Sentence = fmt.Sprintf("%s spoke before it was greeted, which mail servers don't do (%.1f s after it connected): %s",
		s.Client, e.After.Seconds(), e.Text)
	return s
}

// Step implements event.Stepper. What is about a domain is about no connection.
func (e Guessing) Step() event.Step {
	if e.Domain != "" {
		return event.Step{}
	}
	s := e.Client.step(event.Judged)
	s.Rule = "guessing"
	s.Sentence = fmt.Sprintf("%s named more than %d recipients in an hour that do not exist: it guesses addresses.", s.Client, e.Limit)
	return s
}

var _ = []event.Stepper{Connected{}, Rejected{}, Dropped{}, AuthFailed{}, TLSFailed{}, PreGreeted{}, Guessing{}}
