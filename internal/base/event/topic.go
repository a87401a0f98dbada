package event

import (
	"errors"
	"syscall"
)

// Topic is what an admin may want a letter about: the classes of Postfix's
// notify_classes.
type Topic string

// The topics.
const (
	NoTopic      Topic = ""
	Resource     Topic = "resource" // no room, no memory, too many files
	Software     Topic = "software" // a fault of ours
	Bounce       Topic = "bounce"   // a message goes back to its sender
	DoubleBounce Topic = "2bounce"  // so does a notice, which has none
	Delay        Topic = "delay"    // a sender is told that his message is late
	Policy       Topic = "policy"   // a client was refused
	Protocol     Topic = "protocol" // a client did not keep to the protocol
	Data         Topic = "data"     // a delivery waits for something of our own

	// Complaint is beside Postfix's: people complain about mail of an account.
	Complaint Topic = "complaint"
	// Quarantine is, too: a letter was put into quarantine, and somebody wants to hear of that.
	Quarantine Topic = "quarantine"
)

// Topics are all of them, in Postfix's order, and our own.
func Topics() []Topic {
	return []Topic{Bounce, DoubleBounce, Data, Delay, Policy, Protocol, Resource, Software, Complaint, Quarantine}
}

// Topical is an event that an admin may want a letter about.
type Topical interface {
	// Topic is what it is about, or NoTopic for this one.
	Topic() Topic
}

// Detailed is a Topical event that is nothing new, but more about what was told before:
// what a letter has beside the lines of the log.
type Detailed interface {
	Topical
	// Detail is its lines.
	Detail() []string
}

// Fault is the topic of an error of ours: Resource where something has run out,
// Software otherwise.
func Fault(err error) Topic {
	for _, shortage := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, shortage) {
			return Resource
		}
	}
	return Software
}
