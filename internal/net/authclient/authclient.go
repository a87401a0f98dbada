// Package authclient asks other services of this machine whether a password is right:
// Cyrus's saslauthd, which knows PAM, the system's users and what stands behind them,
// and a Dovecot's authentication service, which can also be asked for users.
//
// On the wire: one connection to a Unix socket for each question, in the languages of
// mail/authline. At most eight questions are on their way at a time; each takes at most
// ten seconds, the wait for its turn included. An answer is read up to a bound and the
// connection is closed after it, so that none can be taken for that of another question.
//
// There are three answers: a service that is away, slow or confused makes nobody's
// password wrong. Nothing is remembered, and passwords are in no error.
package authclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"facteur/internal/base/lookup"
)

// Bounds of questions.
const (
	answerTime = 10 * time.Second
	atOnce     = 8
)

// Checker asks one service. Its methods may be called from any goroutine.
type Checker struct {
	path  string
	ask   func(ctx context.Context, c net.Conn, q question) lookup.Answer[string]
	turns chan struct{}
}

// question is what is asked.
type question struct{ login, password, service, client string }

// errRefused is the only reason for which a service refuses.
var errRefused = errors.New("authentication failed")

// New makes a Checker of a name as it stands in the settings: "saslauthd:" or "dovecot:"
// and the path of a socket.
func New(name string) (*Checker, error) {
	kind, path, _ := strings.Cut(name, ":")
	c := &Checker{path: path, turns: make(chan struct{}, atOnce)}
	switch kind {
	case "saslauthd":
		c.ask = askSaslauthd
	case "dovecot":
		c.ask = askDovecot
	default:
		return nil, fmt.Errorf(`expected "saslauthd:" or "dovecot:" and the path of a socket, found %q`, name)
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("expected an absolute path after %q, found %q", kind+":", path)
	}
	return c, nil
}

// Check asks whether a password is right, for a service ("smtp", "imap"). What is found
// is the name of the user as the service knows it.
func (c *Checker) Check(ctx context.Context, login, password, service string) lookup.Answer[string] {
	if login == "" || password == "" || strings.ContainsRune(login+password, 0) {
		return lookup.No[string](errRefused)
	}
	conn, done, err := dial(ctx, c.path, c.turns)
	if err != nil {
		return lookup.Later[string](err)
	}
	defer done()
	a := c.ask(ctx, conn, question{login: login, password: password, service: service})
	if a.State() == lookup.TryAgain {
		return lookup.Later[string](fmt.Errorf("%s: %w", c.path, a.Err()))
	}
	return a
}

// dial waits for a turn and connects; done ends both.
func dial(ctx context.Context, path string, turns chan struct{}) (c net.Conn, done func(), err error) {
	deadline := time.Now().Add(answerTime)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		cancel()
		return nil, nil, fmt.Errorf("%s: too many questions at a time: %w", path, ctx.Err())
	}
	leave := func() { <-turns; cancel() }
	var d net.Dialer
	if c, err = d.DialContext(ctx, "unix", path); err != nil {
		leave()
		return nil, nil, err
	}
	c.SetDeadline(deadline) //nolint:errcheck // a socket that is open takes it
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	return c, func() { stop(); c.Close(); leave() }, nil
}
