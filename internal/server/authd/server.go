// Package authd is the counter where other programs of this machine ask whether
// somebody is who he says: a Postfix or an Exim that goes on to take mail, or whatever
// speaks to saslauthd.
//
//	Server.Dovecot    Dovecot's authentication protocol, version 1, as its auth-client
//	                  socket speaks it: MECH, AUTH, CONT, CANCEL, OK, FAIL
//	Server.Saslauthd  one question, one answer, end
//
// Both stand on Unix sockets (mail/authline has the languages), and only root, the
// server's own user and who the socket was made for may ask: such a program says with
// "rip=" which client it speaks for, and limits and logs go by that. Who it does not
// name is counted as one client with all other unnamed ones.
//
// # Invariants
//
// A line is at most 16 KiB, an exchange has a minute for each response, a connection at
// most 32 exchanges at a time and an hour without a word. Whoever asks for more is
// hung up on. Numbers of requests belong to their connection: nobody can go on with the
// exchange of another. What the gate refuses, and why, is told in three words at most:
// not at all for a wrong password, "temp" where nobody knows.
package authd

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/login"
	"facteur/internal/server/listen"
)

// Config is what a Server needs.
type Config struct {
	// Gate lets users in.
	Gate *login.Gate
	// UID and GID are the user and the group who may ask, beside root and the server's
	// own user; -1 for none.
	UID, GID int
	// Events hears of log-ins and failures.
	Events event.Sink
}

// Server serves any number of connections.
type Server struct {
	config Config
	count  atomic.Uint32 // connections so far
}

// New makes a Server.
func New(c Config) *Server { return &Server{config: c} }

// The bounds of a connection.
const (
	idleTime     = time.Hour
	responseTime = time.Minute
	writeTime    = 10 * time.Second
	maxExchanges = 32
	maxUnknown   = 20 // lines that mean nothing
)

// allowed tells whether the other end of a connection may ask, and why not.
func (s *Server) allowed(c *listen.Conn) error {
	peer, err := c.Peercred()
	switch {
	case err != nil:
		return err
	case peer.UID == 0, int(peer.UID) == os.Geteuid(), int(peer.UID) == s.config.UID, int(peer.GID) == s.config.GID:
		return nil
	}
	return fmt.Errorf("a program of user %d may not ask about log-ins here; the listener's socket_user or socket_group lets it", peer.UID)
}

// enter checks who is there; false: the connection is to be closed.
func (s *Server) enter(c *listen.Conn) bool {
	if err := s.allowed(c); err != nil {
		s.config.Events.Emit(event.Note{Program: listen.Program, Text: "auth: Error: " + err.Error()})
		return false
	}
	return true
}

// session is what is the same for all questions of one connection.
type session struct {
	server *Server
	conn   *listen.Conn
	id     string
}

func (s *Server) session(c *listen.Conn) *session {
	return &session{server: s, conn: c, id: fmt.Sprintf("%08x%04x", uint32(time.Now().Unix()), s.count.Add(1)&0xffff)}
}

// applicant is a client that a program speaks for.
type applicant struct {
	peer login.Peer
	who  listen.Who
}

// applicant names the client by its address. The way between the program and us is this
// machine's; that the client's is safe is the program's to see to.
func (s *session) applicant(service, rip, lip string) applicant {
	addr, err := netip.ParseAddr(rip)
	if err != nil {
		addr = netip.IPv6Unspecified()
	}
	addr = addr.Unmap().WithZone("")
	local, err := netip.ParseAddr(lip)
	if err != nil {
		local = netip.IPv6Unspecified()
	}
	return applicant{
		peer: login.Peer{Addr: addr, Service: service, Loopback: true},
		who: listen.Who{Service: "auth", Guest: listen.Guest{
			Remote: addr.String(), Local: local.String(), Loopback: true, Session: s.id,
		}},
	}
}

// passed and failed tell the log what came of it.
func (s *session) passed(a applicant, user, method string) {
	a.who.User = user
	s.server.config.Events.Emit(listen.LoggedIn{Who: a.who, Method: method})
}

func (s *session) failed(a applicant, method string, r *login.Refusal) {
	if !slices.Contains([]login.Reason{login.Wrong, login.Binding, login.Later, login.Limited, login.Barred}, r.Reason) && !r.Told {
		return
	}
	a.who.User = r.User
	e := listen.AuthFailed{Who: a.who, Method: method}
	if slices.Contains([]login.Reason{login.Later, login.Limited, login.Barred}, r.Reason) {
		e.Why = r
	}
	s.server.config.Events.Emit(e)
	if e.Why == nil {
		s.server.config.Events.Emit(listen.LoginAborted{Who: a.who, Method: method, Attempts: 1, Reason: "auth failed"})
	}
}

// pid is our number for those who ask.
func pid() string { return strconv.Itoa(os.Getpid()) }

// check asks the gate about a password.
func (s *session) check(ctx context.Context, a applicant, user, password string) (account string, r *login.Refusal) {
	found, r := s.server.config.Gate.Password(ctx, a.peer, user, password)
	if r != nil {
		s.failed(a, "PLAIN", r)
		return "", r
	}
	s.passed(a, user, "PLAIN")
	return found.Address, nil
}
