// Package smtpd is the door for SMTP: RFC 5321 on port 25, RFC 6409 on the
// submission ports, with STARTTLS, AUTH (PLAIN, LOGIN), PIPELINING, SIZE,
// 8BITMIME, ENHANCEDSTATUSCODES and SMTPUTF8. It keeps the dialogue and knows no
// policy: envelopes, messages and passwords go to the desk (flow/intake), whose
// replies it sends.
//
// On the wire. One reader gives commands, SASL responses and message data, with
// one notion of a line: CRLF. Replies are gathered and written when the session
// has to wait for the peer, so a pipelined group is answered by one packet. A
// deadline covers a command as a whole (RFC 5321 §4.5.3.2.7), not each read; in
// message data it moves on with what arrives.
//
// Invariants. Nothing that came before TLS is read after it. Only CRLF.CRLF ends
// data, for everyone. 250 after data is written after the desk's Commit, and a
// peer that vanishes before the end of data leaves nothing. All that a
// transaction or a session knows is forgotten in one routine, session.reset.
// Memory of a connection: its buffers (some 20 KiB) and what the desk holds.
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
	"facteur/internal/server/listen"
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
)

// String is the name of the service in the settings.
func (s Service) String() string {
	return [...]string{"smtp", "submission", "submissions"}[s]
}

// Limits of a session that are not the desk's. What stands in one session is no
// attack; what never ends is.
const (
	maxLine = 2048 // octets of a command or SASL line, CRLF included

	// Errors, junk (commands that move nothing) and unknown verbs that a peer
	// may afford between two messages (Postfix's smtpd_hard_error_limit and
	// smtpd_junk_command_limit).
	maxErrors  = 20
	maxJunk    = 100
	maxUnknown = 5
	// maxOvershoot is how many recipients over the limit get their 452 before
	// the connection is closed (RFC 5321 §4.5.3.1.10).
	maxOvershoot = 1000

	commandTimeout = 5 * time.Minute // RFC 5321 §4.5.3.2.7
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
	// AuthOnSMTP offers AUTH on the service SMTP too, under TLS.
	AuthOnSMTP bool
	// ReverseName looks up the name of a client; it returns "" or "unknown"
	// when there is none. nil: no client has a name. It runs beside the
	// dialogue and is given up after three seconds.
	ReverseName func(ctx context.Context, a netip.Addr) string
	// Events takes what is to be told; nil discards it.
	Events event.Sink
}

// Server is a door. Its Serve is the handler for package listen.
type Server struct {
	Config
	desk desk
	pool sync.Pool // of *session
}

// New makes a door in front of a desk.
func New(c Config, d *intake.Desk) *Server { return newServer(c, deskOf{d}) }

func newServer(c Config, d desk) *Server {
	if c.Events == nil {
		c.Events = event.Discard
	}
	s := &Server{Config: c, desk: d}
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
			s.reset(sessionScope)
		}
	}()
	s.open(ctx, srv, c)
	s.serve()
	s.close()
	whole = true
}
