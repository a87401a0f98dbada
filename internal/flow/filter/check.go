package filter

import (
	"context"
	"io"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
	"facteur/internal/store/policy"
)

// Check is one family of tests. A Case starts it in the background as soon as its stage
// is reached, and collects what it found at the end of DATA.
type Check interface {
	// Name is that of the family, lower_snake; it is the Check of its remarks.
	Name() string
	// At is the stage whose facts it needs.
	At() Stage
	// Examine looks at a letter as far as it is known at the stage. It is safe for
	// concurrent use, does a bounded amount of work, and ends when ctx does. What it could
	// not find out (a server that does not answer) it does not remark on, or with a score
	// of 0: that is never evidence.
	Examine(ctx context.Context, l *Letter) []Remark
}

// Quick is a Check that waits for nobody: it goes by the letter and by what is in memory.
// Those of a stage are done one after the other while those that wait do so: a goroutine
// for each would cost more than many of them do.
type Quick interface {
	Check
	// Quick does nothing.
	Quick()
}

// Stage is a moment of the dialogue.
type Stage int

// The stages, in their order, and what of a Letter is known then, beside all before.
const (
	// Connect: the client's address, the door. Its name is not known yet.
	Connect Stage = iota + 1
	// Helo: what the client calls itself, its name, how it behaved until now.
	Helo
	// Mail: the sender.
	Mail
	// Rcpt: all recipients. It is reached with DATA, so that what is asked here is answered
	// while the letter comes.
	Rcpt
	// End: the letter, and who sent it.
	End
)

// Letter is what a Check may look at: what is known at its stage, and zero for the rest.
// It is the Check's to read, not to change, and only until Examine returns.
type Letter struct {
	// Session names the connection, ID the letter; no ID before MAIL.
	Session, ID string
	// Client has no Name and no Helo at Connect.
	Client Client
	// Service is what is spoken at the door ("smtp", "lmtp"), Listener its address.
	Service, Listener string
	// Encrypted: the connection is, by TLS.
	Encrypted bool
	// Door is how the client behaved there: "pregreet", "pipelining", "bare_newline",
	// "non_smtp_command".
	Door []string
	// Own tells a letter of our own users, their devices and machines: it is not scored,
	// only looked at for what must not go out; see Filter.Inspect.
	Own bool
	// Returned tells a letter that a content filter of ours gives back: it was scored when
	// it came the first time, and no check looks at it.
	Returned bool
	// Sender is the envelope sender, null in notices.
	Sender address.Address
	// Recipients are those that were taken, at most recipientsMost of them.
	Recipients []Recipient
	// Evidence is who sent it, as SPF, DKIM, DMARC and ARC say; nil before End.
	Evidence *Evidence
	// Header is as it came, with its empty line; Cut: only its beginning is here.
	Header message.Header
	Cut    bool
	// Message is the whole letter as it came, from its header on, Size bytes; nil before
	// End. It can be read while Examine runs, by several at the same time.
	Message io.ReaderAt
	Size    int64
	// Content is what is in it, read at the first call, once for all checks; nil before
	// End. It gives nil where there is no Message.
	Content func() *content.Letter
	// Now is the time of the stage.
	Now time.Time
}

// Recipient is one whom a letter is for.
type Recipient struct {
	// Address is as the client named it, Account the account of ours that gets it; "" where
	// it goes on to another machine.
	Address address.Address
	Account string
}

// recipientsMost is how many recipients a check is told of.
const recipientsMost = 1000

// Category is what a letter is, beside spam or not, that has a destiny of its own; "" is
// a remark that counts for or against spam.
type Category = policy.Category

// The categories.
const (
	Virus     = policy.Virus
	Banned    = policy.Banned
	Spam      = policy.Spam
	BadHeader = policy.BadHeader
)
