package config

import (
	"fmt"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/mail/smtp"
)

// Session is what a client may do within an SMTP session, and in all of its sessions
// together. The limits are not for trusted and exempt networks, nor for who has logged
// in, but for those of errors, junk and messages.
type Session struct {
	// Whether addresses beyond ASCII are taken (SMTPUTF8).
	SMTPUTF8 bool `toml:"smtputf8"`
	// Extensions that are not offered, by their keywords in the reply to EHLO, such as
	// "CHUNKING" or "DSN". To strangers DSN, DELIVERBY, FUTURERELEASE and MT-PRIORITY
	// are not offered in any case: they would have notices sent to addresses that nobody
	// vouches for. Postfix calls this smtpd_discard_ehlo_keywords.
	DiscardEHLOKeywords []string `toml:"discard_ehlo_keywords"`
	// Whether a blank after "MAIL FROM:" and "RCPT TO:" is refused, which the standard
	// does not have and old devices send. Postfix calls this strict_rfc821_envelopes.
	StrictRFC821Envelopes bool `toml:"strict_rfc821_envelopes"`
	// The most messages of one session; then the client has to connect again.
	Messages int `toml:"messages"`
	// Networks of proxies that may say who their client is (XCLIENT). Postfix calls
	// this smtpd_authorized_xclient_hosts.
	XclientHosts []conf.Prefix `toml:"xclient_hosts"`
	// Networks of filters that may say where a message came from (XFORWARD), for the
	// log. Postfix calls this smtpd_authorized_xforward_hosts.
	XforwardHosts []conf.Prefix `toml:"xforward_hosts"`
	// Who may ask that the mail for a domain is tried at once (ETRN): "known"
	// (trusted networks and who has logged in), "anybody" or "nobody". Outside of the
	// trusted networks a domain is served once in a minute.
	ETRN ETRNClients `toml:"etrn"`
	// The domains that ETRN is served for. None: all. Postfix calls this
	// fast_flush_domains.
	ETRNDomains []string `toml:"etrn_domains"`
	// Whether clients that are not trusted may use the service "lmtp".
	LMTPStrangers bool `toml:"lmtp_strangers"`
	// After how many errors between two messages each further one is answered with a
	// pause. Postfix calls this smtpd_soft_error_limit.
	SoftErrorLimit int `toml:"soft_error_limit"`
	// How long that pause is. After three recipients that do not exist in one session,
	// each further one costs one to five of them. Postfix calls this
	// smtpd_error_sleep_time.
	ErrorSleepTime conf.Duration `toml:"error_sleep_time"`
	// After how many errors between two messages the session ends. For this limit and
	// the soft one, ten recipients that were taken make good for one error, so that a
	// list with some dead addresses gets through. More than five commands that nobody
	// knows end it, too. Postfix calls this smtpd_hard_error_limit.
	HardErrorLimit int `toml:"hard_error_limit"`
	// After how many commands that move nothing, such as NOOP, the session ends.
	// Postfix calls this smtpd_junk_command_limit.
	JunkCommandLimit int `toml:"junk_command_limit"`
	// The most messages of one client in a minute. A client is an IPv4 address or an
	// IPv6 /64; wider networks may send some times as many. Postfix calls this
	// smtpd_client_message_rate_limit.
	ClientMessageRate int `toml:"client_message_rate"`
	// The most recipients of one client in a minute. Postfix calls this
	// smtpd_client_recipient_rate_limit.
	ClientRecipientRate int `toml:"client_recipient_rate"`
	// How many recipients that do not exist one client may name in an hour. Then each
	// further one ends the session. Ten recipients of messages that were taken make good
	// for one, up to four times this number.
	ClientUnknownRecipients int `toml:"client_unknown_recipients"`
	// How many recipients that do not exist all clients may name at one domain in an
	// hour. Then each further one costs time from the first on.
	DomainUnknownRecipients int `toml:"domain_unknown_recipients"`
}

func defaultSession() Session {
	return Session{
		SMTPUTF8: true, Messages: 10000, ETRN: ETRNKnown,
		SoftErrorLimit: 10, ErrorSleepTime: conf.Duration(time.Second), HardErrorLimit: 20, JunkCommandLimit: 100,
		ClientMessageRate: 1000, ClientRecipientRate: 10000, ClientUnknownRecipients: 100, DomainUnknownRecipients: 1000,
	}
}

// ETRNClients is who may use ETRN.
type ETRNClients string

// The choices.
const (
	ETRNKnown   ETRNClients = "known"
	ETRNAnybody ETRNClients = "anybody"
	ETRNNobody  ETRNClients = "nobody"
)

// Form says what may be written.
func (ETRNClients) Form() string { return oneOf(ETRNKnown, ETRNAnybody, ETRNNobody) }

// UnmarshalText takes one of the choices.
func (e *ETRNClients) UnmarshalText(text []byte) error {
	return choose(e, text, ETRNKnown, ETRNAnybody, ETRNNobody)
}

// Withheld are the keywords of extensions that are not offered, in upper case.
func (s *Session) Withheld() []string {
	var out []string
	for _, keyword := range s.DiscardEHLOKeywords {
		out = append(out, strings.ToUpper(keyword))
	}
	if !s.SMTPUTF8 {
		out = append(out, "SMTPUTF8")
	}
	return out
}

func (k *checker) session() {
	s := k.c.Session
	for i, keyword := range s.DiscardEHLOKeywords {
		if !new(smtp.Extensions).Withhold(strings.ToUpper(keyword)) {
			k.failf(fmt.Sprintf("session.discard_ehlo_keywords[%d]", i), "%q is no keyword of an extension that is offered here", keyword)
		}
	}
	for i, domain := range s.ETRNDomains {
		if _, err := canonicalName(domain); err != nil {
			k.failf(fmt.Sprintf("session.etrn_domains[%d]", i), "%v", err)
		}
	}
	if s.Messages > 999999 {
		k.failf("session.messages", "expected at most 999999, which is all that can be announced")
	}
	if s.ErrorSleepTime < 0 || s.ErrorSleepTime.Std() > 10*time.Second {
		k.failf("session.error_sleep_time", "expected 0s to 10s")
	}
	k.atLeast("session.messages", int64(s.Messages), 1)
	k.atLeast("session.soft_error_limit", int64(s.SoftErrorLimit), 1)
	k.atLeast("session.hard_error_limit", int64(s.HardErrorLimit), 1)
	k.atLeast("session.junk_command_limit", int64(s.JunkCommandLimit), 1)
	k.atLeast("session.client_message_rate", int64(s.ClientMessageRate), 1)
	k.atLeast("session.client_recipient_rate", int64(s.ClientRecipientRate), 1)
	k.atLeast("session.client_unknown_recipients", int64(s.ClientUnknownRecipients), 1)
	k.atLeast("session.domain_unknown_recipients", int64(s.DomainUnknownRecipients), 1)
}
