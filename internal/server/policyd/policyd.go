// Package policyd answers another mail server's question whether somebody may send, in the
// language of Postfix's policy delegation (SMTPD_POLICY_README): lines "name=value", an empty
// line, and "action=…" with an empty line in answer, any number of times over one connection.
//
//	check_policy_service inet:127.0.0.1:10031     in smtpd_recipient_restrictions
//
// It is asked about who logged in (sasl_username), and counts and judges as the desk does
// (flow/brake):
//
//	DUNNO                   go on: what somebody else says counts
//	HOLD text               the account is braked, or beyond what passes: keep the letter
//	DEFER_IF_PERMIT text    come later
//
// About a client that did not log in it has no opinion, unless its address is trusted: then
// the sender of the envelope stands for the account. A stranger could write any.
//
// At RCPT each request is one recipient; at DATA and END-OF-MESSAGE, where recipients have a
// number and no names, it is all of them, unless they were counted at RCPT over the same
// connection.
//
// # Invariants
//
// Only this machine and trusted networks may ask. A request has 16 KiB and 100 attributes at
// most, a line 4 KiB; who sends more is hung up on. Nothing is kept here.
package policyd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/flow/brake"
	"facteur/internal/mail/address"
	"facteur/internal/server/listen"
)

// Config is what a Server needs.
type Config struct {
	Gate *brake.Gate
	// Trusted tells whose clients' senders count as accounts, and who may ask from another
	// machine.
	Trusted func(netip.Addr) bool
	Events  event.Sink
}

// Server serves any number of connections.
type Server struct{ config Config }

// New makes a Server.
func New(c Config) *Server { return &Server{c} }

const (
	idleTime      = time.Hour // Postfix hangs up after five minutes
	answerTime    = 30 * time.Second
	maxLine       = 4 << 10
	maxRequest    = 16 << 10
	maxAttributes = 100
)

var errTooLong = errors.New("request is too long")

// Serve answers one connection. It is a listen.Handler.
func (s *Server) Serve(ctx context.Context, c *listen.Conn) {
	if !c.Loopback() && !s.config.Trusted(c.Remote.Addr()) {
		s.config.Events.Emit(event.Note{Program: listen.Program, Text: "policy: Error: " + c.Remote.Addr().String() + " may not ask here; trusted_networks lets it"})
		return
	}
	r, counted := bufio.NewReaderSize(c, maxLine), ""
	for c.Idle(idleTime) {
		q, err := read(r)
		if err != nil {
			return
		}
		c.Busy(answerTime)
		if _, err := fmt.Fprintf(c, "action=%s\n\n", s.answer(ctx, q, &counted)); err != nil {
			return
		}
	}
}

// request is the attributes of one question.
type request map[string]string

// read reads attributes up to the empty line.
func read(r *bufio.Reader) (request, error) {
	q, size := request{}, 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if text == "" {
			return q, nil
		}
		if size += len(line); size > maxRequest || len(q) >= maxAttributes {
			return nil, errTooLong
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is no attribute", text)
		}
		q[name] = value
	}
}

const dunno = "DUNNO"

// answer is the action. counted is the instance whose recipients were counted at RCPT.
func (s *Server) answer(ctx context.Context, q request, counted *string) string {
	who, known := s.who(q)
	if !known || q["request"] != "smtpd_access_policy" {
		return dunno
	}
	l := brake.Letter{Who: who, Count: 1}
	switch q["protocol_state"] {
	case "RCPT":
		if to, err := address.Parse(q["recipient"]); err == nil {
			l.Recipients = []address.Address{to}
		}
		*counted = q["instance"]
	case "DATA", "END-OF-MESSAGE":
		if *counted != "" && *counted == q["instance"] {
			return dunno
		}
		n, err := strconv.ParseUint(q["recipient_count"], 10, 16)
		if err != nil || n == 0 {
			return dunno
		}
		l.Count = int(n)
	default:
		return dunno
	}
	return action(s.config.Gate.Ask(ctx, l))
}

// action is a decision in Postfix's words.
func action(d brake.Decision) string {
	switch {
	case d.Later != "":
		return "DEFER_IF_PERMIT 4.7.1 " + event.Clean(d.Later, 300)
	case d.Hold != "":
		return "HOLD " + event.Clean(d.Hold, 300)
	}
	return dunno
}

// who is the account that is asked about, by its canonical name.
func (s *Server) who(q request) (w brake.Who, known bool) {
	w.Addr, _ = netip.ParseAddr(strings.TrimPrefix(q["client_address"], "IPv6:")) // or zero
	w.Host = q["client_name"]
	if name := q["sasl_username"]; name != "" {
		w.Name = name
		if a, err := address.Parse(name); err == nil {
			w.Name = a.Key()
		}
		return w, len(w.Name) <= 320
	}
	if !w.Addr.IsValid() || !s.config.Trusted(w.Addr) {
		return w, false
	}
	a, err := address.Parse(q["sender"])
	if err != nil || a.IsNull() || a.Domain == "" {
		return w, false
	}
	w.Name = a.Key()
	return w, true
}
