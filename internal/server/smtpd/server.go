// Package smtpd is the door for SMTP: RFC 5321 on port 25, RFC 6409 on the
// submission ports, LMTP (RFC 2033) for servers of the same site, and SMTP over a Unix
// socket for the programs of this machine. It keeps the dialogue and knows no policy:
// envelopes, messages and log-ins go to the desk (flow/intake), whose replies it sends.
//
// Offered are PIPELINING, SIZE, STARTTLS, AUTH, ENHANCEDSTATUSCODES, 8BITMIME,
// SMTPUTF8, CHUNKING and BINARYMIME, REQUIRETLS (under TLS), LIMITS; to our own DSN,
// DELIVERBY, FUTURERELEASE and MT-PRIORITY; ETRN to whom the settings serve it; to named
// hosts XCLIENT and XFORWARD. What was not offered to a session is not taken from it: one value, smtp.Extensions, is the
// reply to EHLO and the measure of the parameters.
//
// On the wire. One reader gives commands, SASL responses and message data, with
// one notion of a line: CRLF. Replies are gathered and written when the session
// has to wait for the peer, so a pipelined group is answered by one packet. A
// deadline covers a command as a whole (RFC 5321 §4.5.3.2.7), not each read; in
// message data it moves on with what arrives. A message by BDAT is one reader for the
// desk, inside of whose Read the dialogue goes on between two chunks.
//
// Invariants. Nothing that came before TLS is read after it. Only CRLF.CRLF ends
// data, for everyone; a chunk ends after its octets, whatever they are. 250 after data
// is written after the desk's Commit, and a peer that vanishes before the end of data
// leaves nothing. All that a transaction, a session or a visit knows is forgotten in one
// routine, session.reset. Memory of a connection: its buffers (some 20 KiB) and what the
// desk holds.
//
// Strangers. Who is neither trusted nor logged in is looked at before the banner
// (Screen), pays for errors and guesses with time (tarpit) and is counted over all
// sessions (Crowd). What was odd is told to the desk as evidence; only the admin's
// actions make it a sentence. Whether a mailbox exists, an answer to RCPT tells anybody:
// that is the price of refusing in the session instead of bouncing to forged senders.
// Its timing tells no more than its code (ABU-003): known and unknown recipients take
// the same path at the desk, and pauses come only with a refusal. What is bounded is how
// many guesses there are.
//
// Waits. Nothing waits without an end: for a command five minutes (ten seconds for a
// stranger under stress), for data as long as it comes at 500 bytes a second, before the
// banner Screen.Wait, in the tarpit five times ErrorSleep; each costs the connection's
// own goroutine, and ends when the peer hangs up or the server stops.
//
// A crash loses open transactions only; none of them had its 250.
package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"net/netip"
	"sync"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/login"
	"facteur/internal/mail/smtp"
	"facteur/internal/server/listen"
	"facteur/internal/store/urlauth"
)

// Service is what a door is for.
type Service uint8

// The services.
const (
	// SMTP takes mail from other servers (port 25): TLS if they like, no AUTH.
	SMTP Service = iota
	// Submission takes mail from users (port 587): STARTTLS, then AUTH.
	Submission
	// Submissions is Submission with TLS from the first byte (port 465).
	Submissions
	// LMTP takes mail for our own mailboxes from a server of ours (RFC 2033): each
	// recipient gets an answer of his own.
	LMTP
	// Local takes mail from programs of this machine over a Unix socket: the system
	// says who they are.
	Local
)

// String is the name of the service in the settings.
func (s Service) String() string {
	return [...]string{"smtp", "submission", "submissions", "lmtp", "local"}[s]
}

// protocol is how it calls itself in the banner.
func (s Service) protocol() string {
	if s == LMTP {
		return "LMTP"
	}
	return "ESMTP"
}

// Limits of a session that nobody needs to set. What stands in one session is no
// attack; what never ends is.
const (
	maxLine = 2048 // octets of a command or SASL line, CRLF included

	// maxUnknown is how many unknown verbs a peer may afford between two messages.
	maxUnknown = 5
	// The same for errors and junk of a stranger under stress (Postfix's
	// ${stress?{1}:{20}}). Two greetings, before and after STARTTLS, are no junk.
	stressErrors, stressJunk = 1, 3
	// maxOvershoot is how many recipients over the limit get their 452 before
	// the connection is closed (RFC 5321 §4.5.3.1.10).
	maxOvershoot = 1000
	// Unknown recipients in a session: after the first few each costs time, after
	// the others the session (ABU-001).
	freeGuesses = 3
	maxGuesses  = 15
	perError    = 10 // recipients that exist make good for one error
	maxCredit   = 4  // times client_unknown_recipients: the most that they make good for in an hour

	commandTimeout = 5 * time.Minute // RFC 5321 §4.5.3.2.7
	stressTimeout  = 10 * time.Second
	goodbyeTimeout = 5 * time.Second // to get a last line out
	nameTimeout    = 3 * time.Second // for the reverse look-up
	minDataRate    = 500             // bytes a second; slower peers run out of time

	readBuffer = 16 << 10
	flushAt    = 8 << 10 // replies gathered, in bytes, before they are sent anyway
)

// Config is how a door is set up.
type Config struct {
	// Hostname is our name in the banner and in the replies.
	Hostname string
	Service  Service
	// TLS is for STARTTLS; nil: not offered. (Submissions gets its TLS from
	// package listen.)
	TLS *tls.Config
	// Device makes this the door of devices that can't log in or encrypt: the desk
	// knows what they may. nil for any other.
	Device *intake.Device
	// AuthOnSMTP offers AUTH on the service SMTP too, under TLS.
	AuthOnSMTP bool
	// Decoy makes this a door that no MX names: nothing is taken, and who comes here to
	// send is remembered.
	Decoy bool
	// Gate lets people in; nil: there is no AUTH.
	Gate *login.Gate
	// ReverseName looks up the name of a client; it returns "" or "unknown"
	// when there is none. nil: no client has a name. It runs beside the
	// dialogue and is given up after three seconds.
	ReverseName func(ctx context.Context, a netip.Addr) string
	// Rules are asked for at the beginning of each session; nil: DefaultRules.
	Rules func() *Rules
	// Crowd counts over all sessions, of all doors that have the same; nil: nothing
	// is counted.
	Crowd *Crowd
	// Seen tells a client that was silent before the banner not long ago, and Passed
	// that one was. nil: nobody is remembered.
	Seen   func(a netip.Addr) bool
	Passed func(a netip.Addr)
	// Remarked hears of what strangers do that is odd; nil: nobody does.
	Remarked func(a netip.Addr, r intake.Remark)
	// Flush makes the mail waiting for a domain due, and tells how many messages
	// that were (ETRN); nil: there is no ETRN.
	Flush func(ctx context.Context, domain string) (int, error)
	// URLs opens stored letters for users who submit them (BURL, RFC 4468); nil:
	// there is no BURL.
	URLs *urlauth.Desk
	// UserName is the name of a user of this machine, or "" (the service Local);
	// nil: they have none.
	UserName func(uid uint32) string
	// Events takes what is to be told; nil discards it.
	Events event.Sink
}

// Server is a door. Its Serve is the handler for package listen.
type Server struct {
	Config
	desk   desk
	banner *smtp.Reply
	pool   sync.Pool // of *session
}

// New makes a door in front of a desk.
func New(c Config, d *intake.Desk) *Server { return newServer(c, deskOf{d}) }

func newServer(c Config, d desk) *Server {
	if c.Events == nil {
		c.Events = event.Discard
	}
	if c.Rules == nil {
		r := DefaultRules()
		c.Rules = func() *Rules { return r }
	}
	s := &Server{Config: c, desk: d}
	s.banner = &smtp.Reply{Code: 220, Lines: []string{c.Hostname + " " + c.Service.protocol() + " facteur"}}
	s.pool.New = func() any {
		return &session{in: bufio.NewReaderSize(nil, readBuffer), out: make([]byte, 0, 1024)}
	}
	return s
}

// Serve is one connection; it implements listen.Handler.
func (srv *Server) Serve(ctx context.Context, c *listen.Conn) {
	s := srv.pool.Get().(*session)
	whole := false
	defer func() {
		if whole {
			srv.pool.Put(s)
		} else { // a panic: nothing of it is kept
			s.reset(visitScope)
		}
	}()
	s.open(ctx, srv, c)
	s.serve()
	s.close()
	whole = true
}
