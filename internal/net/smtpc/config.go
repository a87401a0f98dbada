package smtpc

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Security says what TLS a connection has to have.
type Security uint8

// The levels of security.
const (
	// Opportunistic: TLS when it is offered and works, whoever the peer proves to
	// be; else in clear (RFC 7435).
	Opportunistic Security = iota
	// Clear: no TLS.
	Clear
	// Encrypted: TLS or nothing, whoever the peer proves to be.
	Encrypted
	// Verified: TLS with a certificate that is valid for Target.Host, or that passes
	// Config.Check, or nothing.
	Verified
)

// Config is what does not depend on the message. Zero fields take the defaults.
type Config struct {
	// Hello is the name that we greet with: a host name, or an address literal.
	Hello string
	// Security is the TLS that is needed; Implicit starts it without STARTTLS
	// (port 465), and then Opportunistic and Clear count as Encrypted.
	Security Security
	Implicit bool
	// TLS is the base of the TLS settings (roots, client certificate). ServerName
	// and the checking of the certificate are set here.
	TLS *tls.Config
	// ServerName is the name that we ask for in the handshake, and that a Verified
	// certificate is for; empty: Target.Host.
	ServerName string
	// NameTrusted: Target.Host was not found by a DNS answer that anybody could have
	// forged (Conn.Proved).
	NameTrusted bool
	// Check says what is wrong with the peer in place of the usual look at its
	// certificate. With Verified, an error ends the handshake; else it is only kept
	// (Conn.Verified) and told (Observe). It is called for resumed sessions too.
	Check func(tls.ConnectionState) error
	// Observe is told how each connection came to its TLS, or why not; nil: nobody is.
	// Connections that want none (Clear) are not told of.
	Observe func(Session)
	// Auth is what to log in with, or nil. It raises Opportunistic and Clear to
	// Encrypted: a password never goes out in clear. Use Verified with it, unless
	// the peer is known by other means.
	Auth *Credentials
	// Timeouts are the waits of RFC 5321 §4.5.3.2.
	Timeouts Timeouts
	// Bind are the local addresses to connect from, at most one of each family; the
	// system chooses for a family that has none.
	Bind []netip.Addr
	// LMTP speaks LMTP (RFC 2033): LHLO, and a reply for each recipient behind the
	// data.
	LMTP bool
	// NoChunking sends all mail by DATA, whatever the peer offers (RFC 3030).
	NoChunking bool
	// Memory is what earlier connections have taught, TLS sessions among it; or nil.
	// NoResumption begins each TLS connection anew.
	Memory       *Memory
	NoResumption bool
	// Policy keeps TLS sessions apart, besides the host's name and Security: whatever
	// else the check of the certificate depends on.
	Policy string
	// Dial opens a connection to an address, from another one if that is valid. Nil
	// is the system's own way; a simulated network has another.
	Dial func(ctx context.Context, network string, to netip.AddrPort, from netip.Addr) (net.Conn, error)
	// Permit tells whether an address may be connected to; nil permits all.
	// dns.Public is the one for hosts found by MX.
	Permit func(netip.Addr) bool

	place string // see Target.place
}

// localAddr is where to connect from to reach an address; the zero Addr: anywhere.
func (c Config) localAddr(to netip.Addr) netip.Addr {
	for _, a := range c.Bind {
		if a.Unmap().Is4() == to.Unmap().Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// Timeouts are how long to wait. Zero fields take the default in brackets.
type Timeouts struct {
	Connect   time.Duration // to reach one address (30 s)
	Search    time.Duration // before no other address is tried (10 min)
	Stagger   time.Duration // before the next address is tried beside one that does not answer (2 s)
	Greeting  time.Duration // for the 220 (5 min)
	Hello     time.Duration // for EHLO, HELO and AUTH (5 min)
	StartTLS  time.Duration // for the reply and the handshake (2 min)
	Mail      time.Duration // (5 min)
	Recipient time.Duration // (5 min)
	DataInit  time.Duration // for the 354 (2 min)
	DataBlock time.Duration // for one block of data, 32 KiB, to go out (3 min)
	DataEnd   time.Duration // for the reply to the end of the data (10 min)
	Reset     time.Duration // for RSET (20 s)
	Quit      time.Duration // for QUIT (5 s)

	// Introduction is for all from the greeting to the end of AUTH together (15 min).
	Introduction time.Duration
	// MinRate is how many bytes of a message have to go out in a second, on the whole
	// (1024); below that the peer only keeps a connection busy. Transaction is the most
	// time for one message, to which what its size needs at that rate is added (1 h).
	MinRate     int64
	Transaction time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Connect:   orDefault(t.Connect, 30*time.Second),
		Search:    orDefault(t.Search, 10*time.Minute),
		Stagger:   orDefault(t.Stagger, 2*time.Second),
		Greeting:  orDefault(t.Greeting, 5*time.Minute),
		Hello:     orDefault(t.Hello, 5*time.Minute),
		StartTLS:  orDefault(t.StartTLS, 2*time.Minute),
		Mail:      orDefault(t.Mail, 5*time.Minute),
		Recipient: orDefault(t.Recipient, 5*time.Minute),
		DataInit:  orDefault(t.DataInit, 2*time.Minute),
		DataBlock: orDefault(t.DataBlock, 3*time.Minute),
		DataEnd:   orDefault(t.DataEnd, 10*time.Minute),
		Reset:     orDefault(t.Reset, 20*time.Second),
		Quit:      orDefault(t.Quit, 5*time.Second),

		Introduction: orDefault(t.Introduction, 15*time.Minute),

		MinRate:     orDefault(t.MinRate, 1024),
		Transaction: orDefault(t.Transaction, time.Hour),
	}
}

func orDefault[T time.Duration | int64](d, otherwise T) T {
	if d <= 0 {
		return otherwise
	}
	return d
}

// of is how long the reply of a stage may take.
func (t Timeouts) of(s Stage) time.Duration {
	switch s {
	case StageConnect:
		return t.Connect
	case StageGreeting:
		return t.Greeting
	case StageStartTLS:
		return t.StartTLS
	case StageMail:
		return t.Mail
	case StageRecipient:
		return t.Recipient
	case StageData:
		return t.DataInit
	case StageEnd:
		return t.DataEnd
	case StageReset:
		return t.Reset
	case StageQuit:
		return t.Quit
	}
	return t.Hello
}
