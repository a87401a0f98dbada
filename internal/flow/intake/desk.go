// Package intake is the desk at which a message is handed over: one SMTP
// transaction, from MAIL to the 250 that makes it ours.
//
//	Begin(peer, MAIL) → Recipient(RCPT) … → Receive(data) → Commit → 250
//
// What can be refused is refused here, while the sender is still there to be
// told: relaying for strangers, unknown users, full mailboxes, messages that are
// too large or that go in circles. Commit returns after the queue made message
// and envelope durable, never before.
//
// The message is kept as it came, behind one Received field. Mail from our own
// users also gets the Date and Message-Id that it lacks (RFC 6409 §8).
package intake

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

// Peer is who stands at the desk.
type Peer struct {
	Addr netip.Addr
	// Name is the reverse name of Addr, or "unknown".
	Name string
	Helo string
	// Protocol is the "with" of Received: SMTP, ESMTP, ESMTPS, ESMTPSA, ….
	Protocol string
	TLS      *tls.ConnectionState
	// Account is the authenticated user's account, or ""; Mechanism how he proved it.
	Account, Mechanism string
	// Submission is true at the doors that are for our own users, PerRecipient
	// where each recipient gets his own answer (LMTP).
	Submission, PerRecipient bool
	// Session names the connection in the log and in the journey.
	Session string
	// User is who runs the program at the other end of a Unix socket.
	User *LocalUser
	// Remarks are what was odd about the connection before this: evidence, not a
	// verdict.
	Remarks []Remark
	// Trusted is set by Begin: the address is in the trusted networks.
	Trusted bool
}

// LocalUser is an account of this machine.
type LocalUser struct {
	UID  uint32
	Name string // "" when it has none
}

// Remark is something odd that a client did.
type Remark string

// The remarks, by Postfix's names where it has them.
const (
	PreGreet    Remark = "pregreet"         // talked before the banner
	NonSMTP     Remark = "non_smtp_command" // GET, POST, …
	BareNewline Remark = "bare_newline"     // lines that end with LF alone
	Pipelining  Remark = "pipelining"       // did not wait where it had to
)

// insider tells a peer whose mail we send on.
func (p *Peer) insider() bool { return p.Account != "" || p.Trusted }

// Rules is what the admin set. A Rules is not changed once it is in use.
type Rules struct {
	Hostname string
	Trusted  []netip.Prefix
	// SizeLimit is the largest message in bytes; Recipients the most of one message.
	SizeLimit  int64
	Recipients int
	// MinFree is how many bytes of the disk have to stay free.
	MinFree int64
}

// Desk serves all sessions. It is safe for concurrent use.
type Desk struct {
	rules     func() *Rules
	directory *directory.Directory
	router    *route.Router
	queue     *queue.Queue
	usage     Usage
	events    event.Sink
}

// Usage tells how many bytes an account keeps.
type Usage func(ctx context.Context, a directory.Account) (bytes int64, err error)

// New makes a Desk. rules is asked at the start of each transaction, so that a
// reload takes effect for the next one.
func New(rules func() *Rules, d *directory.Directory, r *route.Router, q *queue.Queue, u Usage, events event.Sink) *Desk {
	return &Desk{rules: rules, directory: d, router: r, queue: q, usage: u, events: events}
}

// Limits are what the door announces: the largest message in bytes, and the most
// recipients of one.
func (d *Desk) Limits() (size int64, recipients int) {
	r := d.rules()
	return r.SizeLimit, r.Recipients
}

// Authenticate checks a password and gives the name of the account.
func (d *Desk) Authenticate(ctx context.Context, p Peer, user, password string) (string, *smtp.Reply) {
	a := d.directory.Authenticate(ctx, user, password)
	switch a.State() {
	case lookup.Found:
		return a.Value().Address, nil
	case lookup.NotFound:
		return "", smtp.NewReply(535, "5.7.8", "Error: authentication failed: wrong user name or password")
	}
	d.events.Emit(Trouble{Peer: p, What: "authentication", Err: a.Err()})
	return "", smtp.NewReply(454, "4.7.0", "Temporary authentication failure")
}

// Begin opens a transaction; nil means accepted.
func (d *Desk) Begin(ctx context.Context, p Peer, m smtp.Mail) (*Transaction, *smtp.Reply) {
	rules := d.rules()
	p.Trusted = contains(rules.Trusted, p.Addr)
	if m.Size > rules.SizeLimit {
		return nil, tooLarge(rules)
	}
	if r := d.senderAllowed(ctx, p, m); r != nil {
		return nil, r
	}
	if d.queue.Free() < rules.MinFree+m.Size {
		return nil, noRoom()
	}
	return &Transaction{desk: d, rules: rules, peer: p, mail: m, id: d.queue.NextID()}, nil
}

func contains(nets []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

func tooLarge(rules *Rules) *smtp.Reply {
	return smtp.NewReply(552, "5.3.4", fmt.Sprintf("Message size exceeds fixed limit of %d bytes", rules.SizeLimit))
}

func noRoom() *smtp.Reply {
	return smtp.NewReply(452, "4.3.1", "Insufficient system storage")
}

func later() *smtp.Reply {
	return smtp.NewReply(451, "4.3.0", "Temporary lookup failure")
}
