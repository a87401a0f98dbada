package route

import (
	"errors"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/directory"
)

// Refusal is why an address of ours leads nowhere, as the client is told it.
type Refusal struct {
	Code           int
	Enhanced, Text string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

// Reply is the refusal with what it is about in front, as Postfix says it.
func (r *Refusal) Reply(about string) *smtp.Reply {
	return smtp.NewReply(r.Code, r.Enhanced, "<"+about+">: Recipient address rejected: "+r.Text)
}

// unknownIn is that nobody has the address, in Postfix's words for the class of the
// domain, which people search the web for.
func unknownIn(class directory.Class) *Refusal {
	table := "virtual mailbox table"
	switch class {
	case directory.ClassLocal:
		table = "local recipient table"
	case directory.ClassAlias:
		table = "virtual alias table"
	case directory.ClassRelay:
		table = "relay recipient table"
	}
	return &Refusal{550, "5.1.1", "User unknown in " + table}
}

// moved is that the user has another address now (relocated(5)).
func moved(to string) *Refusal { return &Refusal{550, "5.1.6", "User has moved to " + to} }

// The refusals of what can't be followed to its end (REL-019).
var (
	errLoop    = &Refusal{554, "5.4.6", "the alias leads back to itself"}
	errDeep    = &Refusal{554, "5.4.6", "the chain of aliases is too long"}
	errTooMany = &Refusal{554, "5.4.6", "the alias leads to too many addresses"}
)

// errDisabled is of an account that the admin has closed (RFC 3463 §3.3).
var errDisabled = &Refusal{550, "5.2.1", "the mailbox is disabled"}

// errEmpty is of a list without members.
var errEmpty = &Refusal{550, "5.1.1", "the list has no members"}

// isUnknown tells that an address leads nowhere, though those beside it may.
func isUnknown(err error) bool {
	r := refusalOf(err)
	return r != nil && r.Code == 550
}

// isNobody tells that nobody has an address.
func isNobody(err error) bool {
	r := refusalOf(err)
	return r != nil && r.Enhanced == "5.1.1"
}

func refusalOf(err error) *Refusal {
	var r *Refusal
	errors.As(err, &r)
	return r
}
