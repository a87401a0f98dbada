package pop3d

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"facteur/internal/flow/login"
	"facteur/internal/mail/pop3"
	"facteur/internal/mail/sasl"
	"facteur/internal/server/listen"
	"facteur/internal/store/directory"
)

// authFailures is what a session remembers of failed log-ins, for its end and for
// the log.
type authFailures struct {
	count        int
	user, method string // of the last one
}

// maxResponse is the longest line of a SASL exchange, in octets (RFC 5034 §4 wants
// what the mechanism needs).
const maxResponse = 12 << 10

// What is said of refusals, with the codes of RFC 2449 §8 and RFC 3206.
const (
	errPrivacy    = refusal("[SYS/PERM] Only under TLS")
	errAuthFailed = refusal("[AUTH] Authentication failed")
	errAuthLater  = refusal("[SYS/TEMP] Authentication is out of order; try again later")
	errLimited    = refusal("[SYS/TEMP] Too many failed log-ins; try again later")
	errCrowd      = refusal("[IN-USE] Too many connections of this account; close some or try again later")
	errInUse      = refusal("[IN-USE] Another session has the maildrop")
	errProxy      = refusal("[AUTH] Authorization as another user is not supported")
	errBinding    = refusal("[AUTH] The TLS connection is not the one that the client sees")
	errMechanism  = refusal("[SYS/PERM] Unknown mechanism")
)

// authAnswers are what is said of each refusal.
var authAnswers = [...]refusal{
	login.Wrong: errAuthFailed, login.Later: errAuthLater, login.Limited: errLimited, login.Proxy: errProxy,
	login.Binding: errBinding, login.NeedsTLS: errPrivacy, login.Unknown: errMechanism,
	login.Canceled: "Authentication canceled", login.Malformed: "Malformed authentication data",
}

func (s *session) canStartTLS() bool {
	return s.server.config.TLS != nil && s.wire.conn.TLS() == nil
}

// applicant is how the gate sees the session.
func (s *session) applicant() login.Peer {
	c := s.wire.conn
	return login.Peer{Addr: c.Remote.Addr(), Service: "pop3", TLS: c.TLS(), Loopback: c.Loopback()}
}

// capa lists what is true at this moment of the session (RFC 2449 §5).
func (s *session) capa(_ context.Context, c pop3.Command) error {
	if c.Rest != "" {
		return nonsense("CAPA takes nothing")
	}
	s.wire.say("+OK")
	for _, line := range s.capabilities() {
		s.wire.say(line)
	}
	s.wire.say(".")
	return nil
}

func (s *session) capabilities() []string {
	gate, who := s.server.config.Gate, s.applicant()
	list := []string{"CAPA", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE " + expiry(s.rules.Expire)}
	if s.rules.LoginDelay > 0 {
		list = append(list, fmt.Sprintf("LOGIN-DELAY %d", (s.rules.LoginDelay+time.Second-1)/time.Second))
	}
	if s.account != nil {
		return append(list, "IMPLEMENTATION facteur "+s.server.config.Version)
	}
	if s.canStartTLS() {
		list = append(list, "STLS")
	}
	if gate.TakesPasswords(who) {
		list = append(list, "USER")
	}
	if names := gate.Mechanisms(who); len(names) > 0 {
		list = append(list, "SASL "+strings.Join(names, " "))
	}
	return list
}

// expiry is for how many days a client can rely on letters (RFC 2449 §6.7).
func expiry(d time.Duration) string {
	if d == 0 {
		return "NEVER"
	}
	return fmt.Sprint(int64(d / (24 * time.Hour)))
}

// stls ends the session if the client, or somebody in between, sent more than the
// command: it must not count as said under TLS (ATTACKS POP-003, SMTP-009).
func (s *session) stls(_ context.Context, c pop3.Command) error {
	switch {
	case c.Rest != "":
		return nonsense("STLS takes nothing")
	case !s.canStartTLS():
		return refusal("[SYS/PERM] TLS is not available")
	case s.wire.r.Buffered() > 0 || len(s.wire.ahead) > 0:
		s.over = nonsense("Nothing may follow STLS")
		s.wire.say("-ERR Nothing may follow STLS")
		return nil
	}
	s.wire.say("+OK Begin TLS")
	err := s.wire.w.Flush()
	if err == nil {
		err = s.wire.startTLS(s.server.config.TLS)
	}
	s.over, s.hasNamed = err, false
	return nil
}

// userName takes any name: whether it is one, PASS tells.
func (s *session) userName(_ context.Context, c pop3.Command) error {
	if !s.server.config.Gate.TakesPasswords(s.applicant()) {
		if !s.applicant().Safe() {
			return errPrivacy
		}
		return refusal("[SYS/PERM] Passwords are not taken as they are; use AUTH")
	}
	if c.Rest == "" {
		return nonsense("Expected a name")
	}
	s.named, s.hasNamed = c.Rest, true
	s.wire.say("+OK")
	return nil
}

func (s *session) pass(ctx context.Context, c pop3.Command) error {
	if !s.hasNamed {
		return nonsense("USER comes first")
	}
	s.hasNamed = false
	account, r := s.server.config.Gate.Password(ctx, s.applicant(), s.named, c.Rest)
	if r != nil {
		return s.refused("PLAIN", r)
	}
	return s.letIn(ctx, "PLAIN", s.named, account)
}

// auth runs a SASL exchange (RFC 5034), or lists the mechanisms, as some clients
// expect from before there was CAPA.
func (s *session) auth(ctx context.Context, c pop3.Command) error {
	args := c.Args()
	switch len(args) {
	case 0:
		s.wire.say("+OK")
		for _, name := range s.server.config.Gate.Mechanisms(s.applicant()) {
			s.wire.say(name)
		}
		s.wire.say(".")
		return nil
	case 1, 2:
	default:
		return nonsense("Too many arguments")
	}
	x, r := s.server.config.Gate.Begin(ctx, s.applicant(), args[0])
	if r != nil {
		return s.refused(strings.ToUpper(args[0]), r)
	}
	defer x.Close()
	if r, err := s.exchange(x, args[1:]); r != nil || err != nil {
		switch {
		case r != nil:
			err = s.refused(x.Mechanism(), r)
		case x.Told(): // and hung up
			s.refused(x.Mechanism(), x.Fail(sasl.ErrCanceled)) //nolint:errcheck // nobody is there to hear it
		}
		return err
	}
	return s.letIn(ctx, x.Mechanism(), x.User(), x.Account())
}

// exchange asks until the mechanism has what it wants. An error is one of the stream,
// which ends the session.
func (s *session) exchange(x *login.Exchange, initial []string) (r *login.Refusal, err error) {
	var response []byte
	if len(initial) > 0 {
		if response, err = sasl.Decode([]byte(initial[0])); err != nil {
			return x.Fail(err), nil
		}
	}
	for {
		challenge, done, r := x.Next(response)
		if r != nil || done {
			return r, nil
		}
		s.wire.say("+ " + sasl.Encode(challenge))
		line, err := s.next(maxResponse)
		if err != nil {
			s.over = err
			return nil, err
		}
		if response, err = sasl.Decode(line); err != nil {
			return x.Fail(err), nil
		}
	}
}

// letIn opens the maildrop. Only a log-in that succeeds counts for LOGIN-DELAY: who was
// told to come back later must not be told then that it is too early.
func (s *session) letIn(ctx context.Context, method, user string, account directory.Account) error {
	drops := s.server.config.Maildrops
	if wait := drops.early(account.Address, s.rules.LoginDelay); wait > 0 {
		return refusal(fmt.Sprintf("[LOGIN-DELAY] Come back in %d seconds", (wait+time.Second-1)/time.Second))
	}
	if !s.rules.Shared {
		if s.hold = drops.take(ctx, account.Address, s.wire.conn); s.hold == nil {
			return errInUse
		}
		s.name = account.Address
	}
	if err := s.open(ctx, account); err != nil {
		drops.release(s.name, s.hold)
		s.hold = nil
		s.tellFailure(user, method, err)
		if errors.Is(err, errCrowd) {
			return errCrowd
		}
		return errAuthLater
	}
	drops.count(account.Address, s.rules.LoginDelay)
	s.user, s.bad = user, 0
	s.emit(listen.LoggedIn{Who: s.who(), Method: method})
	s.wire.say("+OK Logged in.")
	return nil
}

// open opens the account and its INBOX, or neither.
func (s *session) open(ctx context.Context, account directory.Account) error {
	if err := s.wire.conn.Known(account.Address); err != nil {
		return fmt.Errorf("%w: %w", errCrowd, err)
	}
	boxes, err := s.server.config.Open(ctx, account)
	if err != nil {
		return err
	}
	drop, err := openMaildrop(ctx, boxes, s.rules)
	if err != nil {
		boxes.Close() //nolint:errcheck // the other error says more
		return err
	}
	s.account, s.drop = boxes, drop
	return nil
}

// refused makes the answer of a refusal, and tells the log of those who tried. The
// gate has made them wait.
func (s *session) refused(method string, r *login.Refusal) error {
	if r.Told || r.Reason == login.Wrong || r.Reason == login.Binding {
		s.tellFailure(r.User, method, nil)
		s.failures = authFailures{s.failures.count + 1, r.User, method}
		if s.failures.count >= maxAuthFailures && s.over == nil {
			s.over = errTooManyFailures
		}
	}
	switch r.Reason {
	case login.Later, login.Limited:
		s.tellFailure(r.User, method, r)
	case login.Canceled, login.Malformed:
		return nonsense(authAnswers[r.Reason])
	}
	return authAnswers[r.Reason]
}

func (s *session) tellFailure(user, method string, why error) {
	attempt := s.who()
	attempt.User = user
	s.emit(listen.AuthFailed{Who: attempt, Method: method, Why: why})
}
