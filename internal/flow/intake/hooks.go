package intake

import (
	"context"
	"io"

	"facteur/internal/flow/rule"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
)

// Hook is a program outside that is asked about mail on its way in: a policy
// server or a milter. Hooks are asked after our own checks and the rules, in the
// order of Rules.Hooks, each about what the one before it left of the message.
type Hook interface {
	// Open begins the talk about one visit. nil: this visit does not concern it.
	// It does not wait for the program; Ask does.
	Open(p *Peer) Adviser
}

// Adviser is a Hook's talk about one visit. One goroutine uses it.
type Adviser interface {
	// Ask is called at each stage of the dialogue, with all that is known then.
	// It returns when ctx ends at the latest.
	Ask(ctx context.Context, stage rule.Stage, q *Question) Advice
	// Reset tells that the transaction is over, whatever became of it.
	Reset()
	// Close ends the talk.
	Close()
}

// Question is what an adviser is asked about. It is not to be kept or changed.
type Question struct {
	Peer *Peer
	// ID is of the message to be; 0 before MAIL.
	ID queue.ID
	// Mail is nil before MAIL.
	Mail *smtp.Mail
	// Rcpt is the recipient that is judged: at Rcpt only.
	Rcpt *smtp.Rcpt
	// Recipients are those accepted until now; not at Rcpt.
	Recipients []address.Address
	// Message is there at End only.
	Message *Message
	// Facts are what rules know at this moment, for conditions.
	Facts func() *rule.Facts
}

// Message is the text of a message that is received and not yet committed: as it
// came, with the changes of earlier hooks, without the trace field of ours.
type Message struct {
	// Header is the header with its empty line, when there is one.
	Header message.Header
	// Size is the bytes of header and body.
	Size int64
	body func() io.Reader
}

// Body gives a new reader of what follows the header.
func (m *Message) Body() io.Reader { return m.body() }

// Advice is what an adviser answers. The zero Advice is "go on".
type Advice struct {
	// By names the adviser for the log, "milter opendkim" or "policy server
	// 127.0.0.1:10031"; in sentences it follows "the".
	By string
	// Reply refuses: the connection, the greeting, the sender, the recipient or
	// the message. An adviser that can't be reached says so by a 4yz here, or by
	// nothing, as the admin has set for it.
	Reply *smtp.Reply
	// Actions are of the same kinds as a rule's: hold, discard, redirect, bcc,
	// prepend, add, tag, warn, sleep.
	Actions []rule.Action
	// Edits change header and envelope, Body replaces the body; at End only.
	Edits []Edit
	Body  *queue.Spool
}

// EditKind is what an Edit changes.
type EditKind uint8

// The edits. Fields are counted from 1 among those of their name, as milters do.
const (
	// InsertField puts a field at Index of the whole header, 0 is above it.
	InsertField EditKind = iota + 1
	// AppendField puts a field below the header.
	AppendField
	// ChangeField gives the Index-th field of Name another value, and appends one
	// where there is none; an empty Value removes it.
	ChangeField
	// RemoveFields removes all fields of Name.
	RemoveFields
	// AddRecipient and RemoveRecipient change the envelope, as ChangeSender does.
	AddRecipient
	RemoveRecipient
	ChangeSender
)

// Edit is one change of a message.
type Edit struct {
	Kind EditKind
	// Index, Name and Value are of the edits of fields. Value may be folded with
	// CRLF and white space, or LF; any other line end in it becomes a space.
	Index       int
	Name, Value string
	// Leading keeps Value as it is behind the colon, without the usual space.
	Leading bool
	// Address is of the edits of the envelope.
	Address address.Address
}
