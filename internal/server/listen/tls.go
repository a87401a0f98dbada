package listen

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"facteur/internal/base/limit"
)

// StartTLS does the server's side of a handshake, within HandshakeTimeout. The
// caller has made sure that it holds no bytes from before: they were sent in
// the clear by anybody. After an error, which counts against the client, the
// connection is to be closed.
func (c *Conn) StartTLS(cfg *tls.Config) error {
	d := HandshakeTimeout
	if c.Stress() {
		d = hastyHandshake
	}
	c.Busy(d)
	turn := &turns{Conn: c.raw, gate: c.gate, end: time.Now().Add(d)}
	t := tls.Server(turn, cfg)
	err := turn.handshake(t)
	if err != nil {
		if c.gate != nil {
			c.gate.blame(c.service, c.Remote.Addr())
		}
		return err
	}
	state := t.ConnectionState()
	c.Conn, c.tls = t, &state
	return nil
}

// turns is a connection during its handshake. It holds one of the gate's turns while
// it computes and gives it back while it waits for the client, so that thousands of
// clients who say nothing keep nobody from his handshake, and those who say much
// leave the processors to others too.
type turns struct {
	net.Conn
	gate *Gate
	end  time.Time // of the patience for a turn
	held bool
	over bool // the handshake is
}

// handshake is that of t, in turns. A panic on the way costs the others no turn.
func (t *turns) handshake(c *tls.Conn) error {
	defer t.finish()
	if err := t.take(); err != nil {
		return err
	}
	// Without a context, which would cost a goroutine: the deadline ends it, and the
	// hard stop closes the socket.
	return c.Handshake()
}

// Read gives the turn back while it waits. It implements net.Conn.
func (t *turns) Read(p []byte) (int, error) {
	if t.over {
		return t.Conn.Read(p)
	}
	t.giveBack()
	n, err := t.Conn.Read(p)
	if err == nil {
		err = t.take()
	}
	return n, err
}

// take waits for a turn.
func (t *turns) take() error {
	if t.gate == nil || t.held {
		return nil
	}
	select {
	case t.gate.turns <- struct{}{}:
		t.held = true
		return nil
	default:
	}
	patience := time.NewTimer(time.Until(t.end))
	defer patience.Stop()
	select {
	case t.gate.turns <- struct{}{}:
		t.held = true
		return nil
	case <-patience.C:
		return os.ErrDeadlineExceeded
	}
}

func (t *turns) giveBack() {
	if t.held {
		t.held = false
		<-t.gate.turns
	}
}

// finish ends the taking of turns.
func (t *turns) finish() {
	t.giveBack()
	t.over = true
}

// CloseWrite ends our half, as tls.Conn's CloseWrite does not.
func (t *turns) CloseWrite() error { return closeWrite(t.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Stress tells that there is little room: clients get shorter times and fewer
// errors, so that others find a place.
func (c *Conn) Stress() bool { return c.room != nil && c.room.Level() >= limit.Stress }
