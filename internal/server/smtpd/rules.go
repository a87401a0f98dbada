package smtpd

import (
	"net/netip"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/mail/smtp"
)

// Rules is what the admin set for the sessions of a door. A Rules is not changed
// once it is in use; a session keeps those with which it began.
type Rules struct {
	// Withheld are extensions that are not offered, by their keywords in upper case
	// (Postfix's smtpd_discard_ehlo_keywords).
	Withheld []string
	// MaxMessages is the most transactions of a session, and announced so
	// (RFC 9422).
	MaxMessages int
	// MaxHold is the longest that a message is held back for its sender (RFC 4865);
	// 0: it is not offered.
	MaxHold time.Duration
	// StrictEnvelopes refuses a blank between the colon and the path, which RFC 5321
	// does not have and old devices send (Postfix's strict_rfc821_envelopes).
	StrictEnvelopes bool
	// Trusted networks may use what strangers may not: ETRN, LMTP, DSN, DELIVERBY,
	// FUTURERELEASE, MT-PRIORITY.
	Trusted []netip.Prefix
	// Exempt networks are spared the tests before the banner, the tarpit and the
	// rates.
	Exempt []netip.Prefix
	// XclientHosts and XforwardHosts may say who their client is (Postfix's
	// smtpd_authorized_xclient_hosts and smtpd_authorized_xforward_hosts).
	XclientHosts, XforwardHosts []netip.Prefix
	// Etrn is who may ask for the mail of a domain, EtrnDomains the domains; none:
	// any.
	Etrn        Who
	EtrnDomains []string
	// LMTPStrangers lets clients that are not trusted use LMTP.
	LMTPStrangers bool
	// Transcripts has some KB of each session kept until it ends: the postmaster wants
	// letters about what goes wrong.
	Transcripts bool
	// Screen is what is looked for before the banner.
	Screen Screen
	// What a peer may afford between two messages: errors, after SoftErrors each of
	// them with a pause of ErrorSleep, and commands that move nothing (Postfix's
	// smtpd_soft_error_limit, smtpd_error_sleep_time, smtpd_hard_error_limit,
	// smtpd_junk_command_limit).
	SoftErrors, HardErrors, Junk int
	ErrorSleep                   time.Duration
	// Rates are the limits over all sessions.
	Rates Rates
}

// Who is a kind of clients.
type Who uint8

// The kinds.
const (
	Known Who = iota // trusted or logged in
	Nobody
	Anybody
)

// Action is what follows when a client fails a test.
type Action uint8

// The actions, by Postfix's names. In every case the desk hears of it.
const (
	Ignore  Action = iota // nothing more
	Enforce               // every recipient is refused with 550
	Drop                  // the session ends
)

// Screen is the tests for strangers at the service SMTP.
type Screen struct {
	// Wait is how long a client has to be silent before the banner, StressWait the
	// same under stress (postscreen_greet_wait). 0: there is no such test.
	Wait, StressWait time.Duration
	// Teaser is the text of a first line of the banner, which tempts clients that do
	// not wait for the end of it (postscreen_greet_banner); "": none.
	Teaser string
	// What follows on talking before the banner, on a command that is not of SMTP,
	// on a line that ends with LF alone, and on not waiting for a reply.
	Greet, NonSMTP, BareNewline, Pipelining Action
}

// DefaultRules are those of an empty settings file.
func DefaultRules() *Rules {
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	return &Rules{
		MaxMessages: 10000, MaxHold: 30 * 24 * time.Hour, Trusted: local, Exempt: local,
		Screen:     Screen{Wait: 6 * time.Second, StressWait: 2 * time.Second, NonSMTP: Drop, Pipelining: Drop},
		SoftErrors: 10, HardErrors: 20, Junk: 100, ErrorSleep: time.Second,
		Rates: DefaultRates(),
	}
}

// trusted tells a peer who may use what strangers may not.
func (s *session) trusted() bool {
	return s.account != "" || s.user != nil || limit.Contains(s.rules.Trusted, s.addr)
}

// spared tells a peer whom the limits of strangers are not for.
func (s *session) spared() bool {
	return s.trusted() || limit.Contains(s.rules.Exempt, s.addr)
}

// offer is what this session offers now, and so which parameters it takes. What is
// answered with a notice (DSN, DELIVERBY) is for those whom we may send one: whoever
// comes from outside may have forged the sender, and RFC 3461 §3 wants that what is
// offered be kept (see package bounce). A server that hands over mail by LMTP has it
// from anybody, however well we know the server.
func (s *session) offer() smtp.Extensions {
	size, most := s.srv.desk.Limits()
	encrypted, insider := s.conn.TLS() != nil, s.submission() || s.trusted()
	tells := insider && s.srv.Service != LMTP
	x := smtp.Extensions{
		Host: s.srv.Hostname, Pipelining: true, SizeOffered: true, Size: size, StartTLS: s.srv.TLS != nil && !encrypted,
		Enhanced: true, EightBitMIME: true, DSN: tells, UTF8: true, Chunking: true, BinaryMIME: true,
		RequireTLS: encrypted, ETRN: s.offersEtrn(),
		DeliverBy: tells, Priority: insider, Bare: insider, Burl: s.mayBurl(),
		Limits: smtp.Limits{Mails: s.rules.MaxMessages, Recipients: most},
	}
	if s.mayAuth() && s.secure() {
		x.Auth = s.mechanisms()
	}
	if s.rules.MaxHold > 0 && tells {
		x.FutureRelease, x.MostHold = true, s.rules.MaxHold
		x.LastHold = time.Now().Add(s.rules.MaxHold)
	}
	if s.named(s.rules.XclientHosts) {
		x.Xclient = smtp.XclientAttributes
	}
	if s.named(s.rules.XforwardHosts) {
		x.Xforward = smtp.XforwardAttributes
	}
	for _, keyword := range s.rules.Withheld {
		x.Withhold(keyword)
	}
	return x
}

// submission tells a door for our own users.
func (s *session) submission() bool {
	return s.srv.Service == Submission || s.srv.Service == Submissions || s.srv.Service == Local
}

// named tells that the real client, not the one he speaks for, is on a list.
func (s *session) named(hosts []netip.Prefix) bool {
	return len(hosts) > 0 && limit.Contains(hosts, s.conn.Remote.Addr())
}
