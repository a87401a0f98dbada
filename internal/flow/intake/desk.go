// Package intake is the desk at which a message is handed over: one SMTP
// transaction, from MAIL to the 250 that makes it ours.
//
//	Connect(peer) → Visit.Helo → Begin(MAIL) → Recipient(RCPT) … → Data → Receive → Commit → 250
//
// What can be refused is refused here, while the sender is still there to be
// told: relaying for strangers, unknown users, full mailboxes, messages that are
// too large or that go in circles, and whatever the admin's rules, his policy
// servers and his milters refuse. At each stage our own checks come first, then
// the rules, then the hooks; none of the later ones can allow what an earlier one
// refused. Commit returns after the queue made message and envelope durable,
// never before.
//
// What is decided before RCPT is told at RCPT, unless the admin wants it told at
// once: by then a client has had the time to log in, and the log has sender and
// recipient.
//
// Who really sent a stranger's letter is found out by flow/filter: it reads the header,
// sees the body as it is written down, and asks the DNS at the end; what it found stands
// above the message. A suspicious stranger may have to come again (flow/greylist). A letter that it takes for forged is refused, or goes to the junk
// folder, and is not sent on to other machines.
//
// The message is kept as it came, behind one Received field. Mail from our own
// users also gets the Date and Message-Id that it lacks (RFC 6409 §8); fields that
// look like our own word are taken from strangers (see ours); rules and milters may
// change it further. Only when they do is it written a second time.
package intake

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/brake"
	"facteur/internal/flow/filter"
	"facteur/internal/flow/filter/record"
	"facteur/internal/flow/forward"
	"facteur/internal/flow/greylist"
	"facteur/internal/flow/rewrite"
	"facteur/internal/flow/route"
	"facteur/internal/flow/rule"
	"facteur/internal/flow/sign"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/directory"
	"facteur/internal/store/queue"
)

// Peer is who stands at the desk.
type Peer struct {
	Addr netip.Addr
	// Port is the peer's, Server our end of the connection; zero when there is none,
	// or a proxy does not say.
	Port   uint16
	Server netip.AddrPort
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
	// Service is what is spoken at the door: "smtp", "submission", "lmtp", ….
	Service string
	// Device is what a listener for devices allows that can't log in; nil elsewhere.
	Device *Device
	// Remarks are what was odd about the connection before this: evidence, not a
	// verdict.
	Remarks []Remark
	// MayLogIn: users may log in at the door, though it is for strangers.
	MayLogIn bool
	// Decoy: the door is one that no MX names. Nothing is taken there.
	Decoy bool
	// Forwarded is what a filter in front of us says of its client (XFORWARD). It is
	// for the log, and a sign that the mail has been here before; see signs.
	Forwarded *Forwarded
	// Trusted is set by Begin: the address is in the trusted networks.
	Trusted bool
}

// Forwarded is a client of another server, which handed its mail on to us. What is
// not known is empty.
type Forwarded struct {
	Name, Helo, Protocol string
	Ident                string // the queue ID there
	Addr                 netip.Addr
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
func (p *Peer) insider() bool { return p.Account != "" || p.Trusted || p.Device != nil }

// Rules is what the admin set. A Rules is not changed once it is in use.
type Rules struct {
	Hostname string
	Trusted  []netip.Prefix
	// SizeLimit is the largest message in bytes; Recipients the most of one message.
	SizeLimit  int64
	Recipients int
	// MinFree is how many bytes of the disk have to stay free.
	MinFree int64
	// Access is the admin's rules; nil without any. Hooks are asked after them.
	Access *rule.Set
	Hooks  []Hook
	// DelayReject: what is decided before RCPT is told at RCPT.
	DelayReject bool
	// FullLater makes the refusal of a full mailbox a temporary one.
	FullLater bool
	// SoftBounce makes every refusal of the desk a temporary one.
	SoftBounce bool
	// UnlistedSender refuses senders in domains of ours that nobody has.
	UnlistedSender bool
	// SenderLogins tells the accounts, with blanks or commas between them, that may
	// send as an address; nil without such a list.
	SenderLogins func(ctx context.Context, address string) lookup.Answer[string]
	// CheckFrom: what our users write into From has to be theirs, too.
	CheckFrom bool
	// Rewrite replaces addresses, Forward sees to mail that goes on to other machines; nil
	// where there is nothing to do.
	Rewrite *rewrite.Rules
	Forward *forward.Rules
	// Filter finds out who sent the letters of strangers; nil where nobody asks.
	Filter *filter.Filter
	// Greylist has suspicious strangers come again; nil where nobody has to. It goes by
	// what the Filter finds.
	Greylist *greylist.Gate
}

// trusts tells whose word about where mail may go is taken without a log-in.
func (r *Rules) trusts(p *Peer) bool { return p.User != nil || contains(r.Trusted, p.Addr) }

// asks tells that rules or hooks have a say at a stage.
func (r *Rules) asks(stage rule.Stage) bool { return len(r.Hooks) > 0 || r.Access.Has(stage) }

// soften makes a refusal temporary where the admin wants no others.
func (r *Rules) soften(reply *smtp.Reply) *smtp.Reply {
	if reply == nil || !r.SoftBounce || !reply.Permanent() {
		return reply
	}
	soft := &smtp.Reply{Code: reply.Code - 100, Enhanced: reply.Enhanced, Lines: reply.Lines}
	if rest, ok := strings.CutPrefix(soft.Enhanced, "5."); ok {
		soft.Enhanced = "4." + rest
	}
	return soft
}

// Desk serves all sessions. It is safe for concurrent use.
type Desk struct {
	rules     func() *Rules
	directory *directory.Directory
	router    *route.Router
	queue     *queue.Queue
	room      Room
	events    event.Sink
	brake     *brake.Gate // what one account may send; nil without limits
	forwarded *forward.Pace
	signer    *sign.Signer
	outbox    *sign.Outbox
	read      Reader
	classroom Classroom
	keeper    *record.Keeper // nil: nothing is remembered
	trapped   func(ctx context.Context, letter io.ReaderAt, size int64)
}

// Reader looks at a message that is about to be committed, and may keep a copy of it. It
// changes nothing, refuses nothing and waits for nobody. seen is what DMARC says of it, nil
// where nobody asked. What it gives, if anything, is called when it is known whether the
// message was committed.
type Reader func(it *queue.Item, seen *dmarc.Result, message io.ReaderAt, size int64) (then func(committed bool))

// Reading has a Reader read what is taken. It comes before the first message.
func (d *Desk) Reading(read Reader) { d.read = read }

// Braking has a Gate say what one account may send. It comes before the first message.
func (d *Desk) Braking(g *brake.Gate) { d.brake = g }

// Room tells how large a letter for an account may be at most, in bytes; 0 if the
// account is full. need is the size announced, or 0.
type Room func(ctx context.Context, a directory.Account, need int64) (free int64, err error)

// New makes a Desk. rules is asked at the start of each transaction, so that a
// reload takes effect for the next one.
func New(rules func() *Rules, d *directory.Directory, r *route.Router, q *queue.Queue, room Room, events event.Sink) *Desk {
	return &Desk{rules: rules, directory: d, router: r, queue: q, room: room, events: events, forwarded: forward.NewPace(), outbox: sign.NewOutbox(q, nil)}
}

// Limits are what the door announces: the largest message in bytes, and the most
// recipients of one.
func (d *Desk) Limits() (size int64, recipients int) {
	r := d.rules()
	return r.SizeLimit, r.Recipients
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
