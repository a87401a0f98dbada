package smtpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"facteur/internal/mail/smtp"
)

// Session is how a connection came to its TLS, or did not.
type Session struct {
	// Host and Peer are the Conn's.
	Host, Peer    string
	Local, Remote netip.AddrPort
	// TLS is what was negotiated; nil: there is none.
	TLS *tls.ConnectionState
	// Verified: the certificate passed the check.
	Verified bool
	// Err is why there is no TLS (ErrNotOffered, ErrStartTLS, or the handshake's), or,
	// with TLS, what the Check found wrong although it is not required.
	Err error
	// Failed: for want of what was required there is no connection.
	Failed bool
}

// ErrStartTLS: the peer offers STARTTLS and refuses it.
var ErrStartTLS = errors.New("peer refuses STARTTLS")

// ErrNoCertificate: the peer showed no certificate.
var ErrNoCertificate = errors.New("peer has no certificate")

// CheckNames makes a Config.Check that wants a certificate signed by one of the roots
// (nil: the system's), good now, and for one of the names.
func CheckNames(roots *x509.CertPool, names ...string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return ErrNoCertificate
		}
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		leaf := s.PeerCertificates[0]
		if _, err := leaf.Verify(options); err != nil {
			return err
		}
		return matchAny(leaf, names)
	}
}

// matchAny gives the complaint about the first name when none fits.
func matchAny(leaf *x509.Certificate, names []string) (first error) {
	for _, name := range names {
		err := leaf.VerifyHostname(name)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("there is no name that the certificate could be for")
	}
	return first
}

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
		c.observe(refused.Err, c.cfg.mustEncrypt())
		return refused
	}
	if reply.Code != 220 {
		return c.stayClear(fmt.Errorf("%w: it answered with %d", ErrStartTLS, reply.Code))
	}
	if refused := c.handshake(); refused != nil {
		return refused
	}
	return c.hello()
}

// stayClear goes on without TLS if that is allowed.
func (c *Conn) stayClear(why error) *Result {
	allowed := c.broken == nil && !c.cfg.mustEncrypt()
	c.observe(why, !allowed)
	if allowed {
		return nil
	}
	return c.giveUp(StageStartTLS, fmt.Errorf("%w: %w", ErrNoTLS, why))
}

// handshake starts TLS on the connection. The new reader begins empty: what an
// attacker glued in clear behind the 220, and what was buffered with it, can not
// pass for something that the peer said under TLS (OUT-009).
func (c *Conn) handshake() *Result {
	conn := tls.Client(c.raw, c.tlsConfig())
	end := c.clock.limit(time.Now(), c.cfg.Timeouts.StartTLS)
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	c.raw.SetDeadline(end)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.observe(err, c.cfg.mustEncrypt())
		return c.giveUp(StageStartTLS, fmt.Errorf("%w: %w", ErrNoTLS, err))
	}
	c.raw.SetDeadline(time.Time{})
	state := conn.ConnectionState()
	c.tls = &state
	c.observe(c.untrusted, false)
	c.ext = smtp.Extensions{}
	c.use(conn)
	return nil
}

// fellSilent tells whether the connection broke right behind the handshake: with TLS 1.3
// a host that does not like it says so only then, and others break off at the first
// record. It is told of as TLS that failed.
func (c *Conn) fellSilent(r *Result) bool {
	if c.tls == nil || r.Stage != StageHello || !errors.Is(r.Err, ErrLost) || timedOut(r.Err) {
		return false
	}
	c.tls = nil
	c.observe(r.Err, c.cfg.mustEncrypt())
	return true
}

// observe tells who wants to know how it went.
func (c *Conn) observe(err error, failed bool) {
	if c.cfg.Observe == nil {
		return
	}
	local, _ := netip.ParseAddrPort(c.raw.LocalAddr().String())
	remote, _ := netip.ParseAddrPort(c.raw.RemoteAddr().String())
	c.cfg.Observe(Session{Host: c.host, Peer: c.peer, Local: local, Remote: remote, TLS: c.tls, Verified: c.verified, Err: err, Failed: failed})
}

func (c *Conn) tlsConfig() *tls.Config {
	base := c.cfg.TLS
	if base == nil {
		base = new(tls.Config)
	}
	base = base.Clone()
	base.ServerName = c.serverName()
	// The check is made in VerifyConnection, for resumed sessions too. Without one, whom
	// we talk to is not known in clear either; TLS still keeps out those who only listen.
	base.InsecureSkipVerify = true
	base.VerifyConnection = c.verify
	if !c.cfg.mustEncrypt() && base.MinVersion == 0 {
		base.MinVersion = tls.VersionTLS10 // RFC 7435 §3: better than nothing
	}
	c.resume(base)
	return base
}

func (c *Conn) serverName() string {
	if c.cfg.ServerName != "" {
		return c.cfg.ServerName
	}
	return c.host
}

// verify looks at the certificate as far as somebody wants to know.
func (c *Conn) verify(state tls.ConnectionState) error {
	check := c.cfg.Check
	if check == nil && c.cfg.Security == Verified {
		var roots *x509.CertPool
		if c.cfg.TLS != nil {
			roots = c.cfg.TLS.RootCAs
		}
		check = CheckNames(roots, c.serverName())
	}
	if check == nil {
		return nil
	}
	c.untrusted = check(state)
	c.verified = c.untrusted == nil
	if c.cfg.Security == Verified {
		return c.untrusted
	}
	return nil
}
