package event

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Stepper is an event that is a step of a journey: what happened to a connection
// or to a message, told so that it can be passed on to whoever asks where his
// letter is. Rooms write it beside their events, in a file steps.go.
type Stepper interface {
	// Step tells the step. It is called on the path of every message and composes
	// strings, nothing more. A Step without a Kind is none.
	Step() Step
}

// Kind is what a step is about.
type Kind string

// The kinds. Final ones end the way of a (message, recipient); each that was
// accepted has exactly one of them.
const (
	Connected     Kind = "connected"
	Refused       Kind = "refused"       // for good, at the door
	PutOff        Kind = "put off"       // at the door, with 4yz: the client still has it
	LoginFailed   Kind = "login failed"  //
	LoggedIn      Kind = "logged in"     //
	Ended         Kind = "ended"         // a connection, otherwise than with QUIT
	Accepted      Kind = "accepted"      // it is ours now
	Authenticated Kind = "authenticated" // what was found out about who sent it
	Judged        Kind = "judged"        // what a rule, a milter or a policy service decided
	Deferred      Kind = "deferred"      // by us; it is tried again
	Held          Kind = "held"          // waits for a person
	Released      Kind = "released"      // by a person
	Requeued      Kind = "requeued"      // by a person, who had its way found anew
	Expired       Kind = "expired"       // by a person, who ended its time
	Deleting      Kind = "deleting"      // by a person, while it is being tried
	Notified      Kind = "notified"      // a notice was made
	Trouble       Kind = "trouble"       // a fault of ours
	Signed        Kind = "signed"        // by us, or why it could not be
	Taught        Kind = "taught"        // a person said whether it is spam

	Delivered Kind = "delivered" // final: in a mailbox, or another host has it
	Bounced   Kind = "bounced"   // final: failed, and the sender was told
	Dropped   Kind = "dropped"   // final: failed, and nobody may be told
	Discarded Kind = "discarded" // final: thrown away, as somebody wished
)

// Final tells whether the kind ends the way of a (message, recipient).
func (k Kind) Final() bool {
	return k == Delivered || k == Bounced || k == Dropped || k == Discarded
}

// Step is one step of a journey. Fields that do not apply are empty. They may hold
// what a peer sent, as it came: whoever writes a step down passes each field
// through Clean. Secrets have no field.
type Step struct {
	Kind Kind
	// Item is the queue ID, Related that of a message that this step made or
	// continues: a notice, a redirect.
	Item, Related string
	// Session names the connection, Service the door.
	Session, Service string
	Client           Client
	Helo, Account    string
	// Sender and Recipients are addresses without "<>"; MessageID is as in the
	// header.
	Sender     string
	Recipients []string
	MessageID  string
	// Rule is the name of what decided; Reply is the code and text that the client
	// got here, or that we got from the other host.
	Rule, Reply string
	// Sentence is the step in plain English, complete in itself.
	Sentence string
	// Table is what it is founded on, a line each; nil where there is no more to say.
	Table []string
}

// Client is the machine at the other end.
type Client struct {
	Name string // "" or "unknown" without one
	Addr netip.Addr
}

// String is "mx.example.com [192.0.2.1]", for a sentence.
func (c Client) String() string {
	switch {
	case !c.Addr.IsValid():
		return "a program on this machine"
	case c.Name == "" || c.Name == "unknown":
		return "a host without a name [" + c.Addr.Unmap().String() + "]"
	}
	return c.Name + " [" + c.Addr.Unmap().String() + "]"
}

// Addresses is a list of addresses for a sentence: "<a@x>, <b@x> and 7 more".
func Addresses(list []string) string {
	const most = 5
	var b strings.Builder
	for i, a := range list {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(list)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("<" + a + ">")
	}
	return b.String()
}

// Tee is a sink that gives each event to all of sinks, in their order.
func Tee(sinks ...Sink) Sink { return tee(sinks) }

type tee []Sink

func (t tee) Emit(e Event) {
	for _, s := range t {
		s.Emit(e)
	}
}

// Clean makes what a peer sent fit for a line, a terminal and a file: at most most
// bytes, valid UTF-8, no control characters, no line or paragraph separators.
// What is not printable becomes "?"; what is cut ends in "...".
func Clean(s string, most int) string {
	if isClean(s) && len(s) <= most {
		return s
	}
	b := make([]byte, 0, min(len(s), most+utf8.UTFMax))
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if b = utf8.AppendRune(b, r); len(b) > most {
			return strings.ToValidUTF8(string(b[:most-3]), "") + "..."
		}
	}
	return string(b)
}

// isClean is the case of nearly every string.
func isClean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
