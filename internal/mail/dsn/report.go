package dsn

import (
	"time"

	"facteur/internal/mail/address"
)

// DefaultReturn is the size of the largest message that is returned whole where nothing
// else is asked for, and of the most that is ever returned of a header, in bytes.
const DefaultReturn = 50_000

// Action is what became of a recipient (RFC 3464 §2.3.3).
type Action string

// The actions.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// Report is everything that goes into a notice.
type Report struct {
	// Host is the name of this server (Reporting-MTA).
	Host string
	// From is who signs it: MAILER-DAEMON@Host when zero. To is the sender of the
	// message that this is about.
	From, To address.Address
	// Language is that of the part for people: "fr", or English for all else. Templates
	// are its texts; what they do not have, or all when nil, is built in.
	Language  string
	Templates *Templates
	// Postmaster: it is the postmaster's copy.
	Postmaster bool
	// DelayWarning, Lifetime and BounceLifetime are what templates can tell of.
	DelayWarning, Lifetime, BounceLifetime time.Duration
	// Date and MessageID ("<...@host>", with brackets) are those of the notice.
	Date      time.Time
	MessageID string
	// QueueID, EnvelopeID (ENVID, RFC 3461 §4.4) and Arrived are of the message
	// that it is about. Empty ones are left out.
	QueueID, EnvelopeID string
	Arrived             time.Time
	// Recipients are those that it is about, one at least. They share one notice;
	// it is called after the worst of them.
	Recipients []Recipient
	// Original is the message, or as much of its beginning as is at hand: the whole
	// header at least. Size is the size of the whole of it; 0 when Original is the
	// whole.
	Original []byte
	Size     int64
	// MaxReturn is the size of the largest message that is returned whole, in bytes;
	// 0 for DefaultReturn.
	MaxReturn int
	// Full asks for the whole message (RET=FULL). It is granted up to MaxReturn, and
	// where a recipient failed: other notices never return more than the header (RFC
	// 3461 §4.3).
	Full bool
	// EightBit: the message came as 8BITMIME, so it can go back as that.
	EightBit bool
	// UTF8: the message came with SMTPUTF8, so the sender's system reads the types of
	// RFC 6533.
	UTF8 bool
}

// Recipient is what became of one recipient.
type Recipient struct {
	// Final is the address at which it happened, Original what it was before an
	// alias; zero when the same.
	Final, Original address.Address
	// ORcpt is the ORCPT parameter; it is reported in the place of Original.
	ORcpt  Typed
	Action Action
	// Status is the enhanced code, "5.1.1"; derived from Action when unreadable.
	Status string
	// RemoteMTA is the host that said Diagnostic, "" when it was said here.
	RemoteMTA string
	// Diagnostic is the reply in one line, "550 5.1.1 User unknown".
	Diagnostic string
	// Cause and Cure say in the notice's language what Diagnostic means and what to do;
	// Link is where to read on. Empty ones are left out.
	Cause, Cure, Link string
	// LastAttempt and, for Delayed, RetryUntil; zero ones are left out.
	LastAttempt, RetryUntil time.Time
}

// Typed is an address of a type, as ORCPT has it (RFC 3461 §4.2); zero for none.
type Typed struct {
	Type    string // "rfc822", "utf-8", …
	Address string // decoded
}

// worst is the action that the notice is called after.
func (r Report) worst() Action {
	worst := Expanded
	for _, to := range r.Recipients {
		if a := to.action(); rank(a) > rank(worst) {
			worst = a
		}
	}
	return worst
}

func rank(a Action) int {
	switch a {
	case Failed:
		return 4
	case Delayed:
		return 3
	case Delivered:
		return 2
	case Relayed:
		return 1
	}
	return 0
}

// from is who signs the notice.
func (r Report) from() address.Address {
	if r.From.IsNull() {
		return address.Address{Local: "MAILER-DAEMON", Domain: r.Host}
	}
	return r.From
}
