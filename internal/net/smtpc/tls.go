package smtpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"facteur/internal/mail/smtp"
)

// mustEncrypt tells whether a connection in clear is of no use.
func (c Config) mustEncrypt() bool {
	return c.Implicit || c.Auth != nil || c.Security == Encrypted || c.Security == Verified
}

// implicitTLS begins with the handshake where that is what the port wants.
func (c *Conn) implicitTLS() *Result {
	if !c.cfg.Implicit {
		return nil
	}
	return c.handshake()
}

// startTLS goes over to TLS when it is wanted and offered, and forgets all that
// the peer said before.
func (c *Conn) startTLS() *Result {
	switch {
	case c.tls != nil, c.cfg.Security == Clear && !c.cfg.mustEncrypt():
		return nil
	case !c.ext.StartTLS:
		return c.stayClear(ErrNotOffered)
	}
	reply, refused := c.ask(StageStartTLS, "STARTTLS")
	if refused != nil {
		return refused
	}
	if reply.Code != 220 {
		return c.stayClear(fmt.Errorf("peer answered STARTTLS with %d", reply.Code))
	}
	if refused := c.handshake(); refused != nil {
		return refused
	}
	return c.hello()
}

// stayClear goes on without TLS if that is allowed.
func (c *Conn) stayClear(why error) *Result {
	if c.broken == nil && !c.cfg.mustEncrypt() {
		return nil
	}
	return c.giveUp(StageStartTLS, fmt.Errorf("%w: %w", ErrNoTLS, why))
}

// handshake starts TLS on the connection. The new reader begins empty: what an
// attacker glued in clear behind the 220, and what was buffered with it, can not
// pass for something that the peer said under TLS (OUT-009).
func (c *Conn) handshake() *Result {
	conn := tls.Client(c.raw, c.tlsConfig())
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeouts.StartTLS)
	defer cancel()
	c.raw.SetDeadline(time.Now().Add(c.cfg.Timeouts.StartTLS))
	if err := conn.HandshakeContext(ctx); err != nil {
		return c.giveUp(StageStartTLS, fmt.Errorf("%w: %w", ErrNoTLS, err))
	}
	c.raw.SetDeadline(time.Time{})
	state := conn.ConnectionState()
	c.tls = &state
	c.ext = smtp.Extensions{}
	c.use(conn)
	return nil
}

func (c *Conn) tlsConfig() *tls.Config {
	base := c.cfg.TLS
	if base == nil {
		base = new(tls.Config)
	}
	base = base.Clone()
	base.ServerName = c.host
	if c.cfg.Security != Verified {
		// Whom we talk to is not known in clear either; TLS still keeps out those
		// who only listen.
		base.InsecureSkipVerify = true
	}
	if !c.cfg.mustEncrypt() && base.MinVersion == 0 {
		base.MinVersion = tls.VersionTLS10 // RFC 7435 §3: better than nothing
	}
	return base
}
