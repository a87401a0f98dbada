package smtpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"facteur/internal/mail/smtp"
)

// Conn is a connection on which messages can be sent, one at a time. It is not
// for concurrent use.
type Conn struct {
	cfg  Config
	host string // the name that was dialled
	peer string // "host[address]:port" for texts
	raw  net.Conn

	stream net.Conn // raw, or TLS over it
	r      *bufio.Reader
	w      *bufio.Writer

	dots  smtp.DotWriter
	spare []byte // see buffer
	clock clock

	ext        smtp.Extensions
	tls        *tls.ConnectionState
	tlsFailure error
	sessions   *sessionView // nil: none are taken up
	verified   bool         // the certificate passed the check
	untrusted  error        // why it did not

	missed   []Attempt
	messages int   // transactions so far
	broken   error // why no other message can be sent
}

// Peer is the other side as log lines name it, "mx.example.org[192.0.2.1]", with
// ":port" when that is not 25.
func (c *Conn) Peer() string { return c.peer }

// Host is the name that was dialled.
func (c *Conn) Host() string { return c.host }

// Addr is the other side's address.
func (c *Conn) Addr() net.Addr { return c.raw.RemoteAddr() }

// Attempts are the addresses of the host that were tried before this one.
func (c *Conn) Attempts() []Attempt { return c.missed }

// Extensions is what the peer offered in its last EHLO. Where its Host is our own
// name, mail is about to loop.
func (c *Conn) Extensions() smtp.Extensions { return c.ext }

// Messages is how many messages were begun on this connection.
func (c *Conn) Messages() int { return c.messages }

// TLS is what was negotiated: version, cipher suite, the peer's certificates.
// ok is false for a connection in clear.
func (c *Conn) TLS() (state tls.ConnectionState, ok bool) {
	if c.tls == nil {
		return tls.ConnectionState{}, false
	}
	return *c.tls, true
}

// Verified tells whether the connection is under TLS with a certificate that passed
// Config.Check; without one, with Security Verified, that is valid for Host.
func (c *Conn) Verified() bool { return c.tls != nil && c.verified }

// Proved tells whether the peer is who it should be: Verified, and its name was not
// made up by the DNS (Config.NameTrusted).
func (c *Conn) Proved() bool { return c.Verified() && c.cfg.NameTrusted }

// TLSFailure is why the connection is in clear although the peer offers TLS: the
// handshake that failed before. Nil when there was none.
func (c *Conn) TLSFailure() error { return c.tlsFailure }

// Usable tells whether another message can be sent: no error so far, and the peer
// has neither hung up nor said anything unasked.
func (c *Conn) Usable() bool { return c.broken == nil && c.quiet() }

// Quit says goodbye, waits for the answer a little, and closes.
func (c *Conn) Quit(ctx context.Context) {
	defer c.Close()
	if c.broken != nil {
		return
	}
	defer c.closeWhenDone(ctx)()
	_, _ = c.command(StageQuit, "QUIT") // the mail is safe: the answer changes nothing
	c.broken = net.ErrClosed
}

// Close hangs up.
func (c *Conn) Close() error {
	if c.broken == nil {
		c.broken = net.ErrClosed
	}
	return c.raw.Close()
}

// closeWhenDone hangs up when ctx ends, whatever is being waited for; call what
// it returns when that is no longer wanted.
func (c *Conn) closeWhenDone(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.raw.Close() })
}

// command sends a line and reads its reply.
func (c *Conn) command(stage Stage, line string) (*smtp.Reply, error) {
	if c.spoke() {
		return nil, c.violated("it spoke before it was asked")
	}
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	if err := c.flush(); err != nil {
		return nil, err
	}
	return c.reply(stage)
}

// flush sends what was written.
func (c *Conn) flush() error {
	err := c.w.Flush()
	if err != nil {
		c.broken = err
	}
	return err
}

// reply reads one reply, within the time of its stage. A reply of 421 is returned
// like any other, and is the last.
func (c *Conn) reply(stage Stage) (*smtp.Reply, error) {
	c.raw.SetReadDeadline(c.clock.limit(time.Now(), c.cfg.Timeouts.of(stage)))
	reply, err := smtp.ReadReply(c.r)
	var wrong *smtp.ProtocolError
	switch {
	case errors.As(err, &wrong):
		return nil, c.violated("%s", wrong.What)
	case err != nil:
		c.broken = err
		return nil, err
	case closing(reply):
		c.broken = errClosing
	}
	sanitize(reply)
	return reply, nil
}

var errClosing = errors.New("peer closes the connection")

// buffer gives n bytes that are free until it is called again.
func (c *Conn) buffer(n int) []byte {
	if len(c.spare) < n {
		c.spare = make([]byte, n)
	}
	return c.spare[:n]
}

// violated makes the error for a broken rule, and ends the connection's use.
func (c *Conn) violated(format string, args ...any) error {
	err := fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
	c.broken = err
	return err
}

// blockWriter gives each block that goes out its time.
type blockWriter struct{ c *Conn }

func (b blockWriter) Write(p []byte) (int, error) {
	k, begun := &b.c.clock, time.Now()
	b.c.raw.SetWriteDeadline(k.block(begun, len(p), b.c.cfg.Timeouts.DataBlock))
	n, err := b.c.stream.Write(p)
	k.wrote(n, time.Since(begun))
	return n, err
}
