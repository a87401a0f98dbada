package smtpd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/mail/address"
	"facteur/internal/mail/smtp"
)

// program is the name of these events in the traditional log.
const program = "postfix/smtpd"

// Client is who is connected.
type Client struct {
	Name string // "unknown" when it has none
	Addr netip.Addr
	// Session names the connection in journeys.
	Session string
}

// String is name[address], as Postfix writes it.
func (c Client) String() string {
	if !c.Addr.IsValid() {
		return "localhost[unix]"
	}
	return c.Name + "[" + c.Addr.String() + "]"
}

func (c Client) attrs() []slog.Attr {
	return []slog.Attr{slog.String("client", c.Addr.String()), slog.String("client_name", c.Name),
		slog.String("session", c.Session)}
}

func (s *session) client() Client { return Client{s.name.get(), s.addr, s.id} }

// announceConnect tells of the connection, once, as soon as its name matters.
func (s *session) announceConnect() {
	if !s.tally.announced {
		s.tally.announced = true
		s.srv.Events.Emit(Connected{Client: s.client(), Service: s.srv.Service})
		s.announceTLS()
	}
}

// announceTLS tells how the session is encrypted.
func (s *session) announceTLS() {
	if state := s.conn.TLS(); state != nil {
		s.srv.Events.Emit(Encrypted{Client: s.client(), State: state})
	}
}

// Connected: a client is there.
type Connected struct {
	Client  Client
	Service Service
}

// Level implements event.Event.
func (Connected) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Connected) Record() (string, []slog.Attr) {
	return "connected", append(e.Client.attrs(), slog.String("service", e.Service.String()))
}

// Line implements event.Event.
func (e Connected) Line() (string, string) { return program, "connect from " + e.Client.String() }

// tally counts the commands of a session.
type tally struct {
	ok, all   [smtp.NumVerbs]int
	announced bool
}

func (t *tally) add(v smtp.Verb, ok bool) {
	t.all[v]++
	if ok {
		t.ok[v]++
	}
}

// tallyOrder is Postfix's.
var tallyOrder = [...]smtp.Verb{smtp.HELO, smtp.EHLO, smtp.LHLO, smtp.STARTTLS, smtp.XCLIENT, smtp.XFORWARD, smtp.AUTH,
	smtp.MAIL, smtp.RCPT, smtp.DATA, smtp.BDAT, smtp.BURL, smtp.RSET, smtp.NOOP, smtp.VRFY, smtp.EXPN, smtp.ETRN, smtp.HELP,
	smtp.QUIT, smtp.Unknown}

// String is "ehlo=1 mail=1 rcpt=1/2 … commands=4/5": good ones of all.
func (t *tally) String() string {
	b := make([]byte, 0, 96)
	ok, all := 0, 0
	for _, v := range tallyOrder {
		if t.all[v] > 0 {
			b = appendCount(b, strings.ToLower(v.String()), t.ok[v], t.all[v])
		}
		ok, all = ok+t.ok[v], all+t.all[v]
	}
	return string(appendCount(b, "commands", ok, all)[1:])
}

func appendCount(b []byte, name string, ok, all int) []byte {
	b = append(append(append(b, ' '), name...), '=')
	if ok != all {
		b = append(strconv.AppendInt(b, int64(ok), 10), '/')
	}
	return strconv.AppendInt(b, int64(all), 10)
}

// Disconnected: the session is over.
type Disconnected struct {
	Client Client
	tally  tally
}

// Level implements event.Event.
func (Disconnected) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Disconnected) Record() (string, []slog.Attr) {
	return "disconnected", append(e.Client.attrs(), slog.String("commands", e.tally.String()))
}

// Line implements event.Event.
func (e Disconnected) Line() (string, string) {
	return program, "disconnect from " + e.Client.String() + " " + e.tally.String()
}

// Rejected: the desk refused a sender, a recipient or a message.
type Rejected struct {
	Client   Client
	Stage    string // CONNECT, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE
	Reply    *smtp.Reply
	From     address.Address
	To       *address.Address // nil where there is not one
	Protocol string
	Helo     string
	Account  string
}

// Level implements event.Event.
func (Rejected) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Rejected) Record() (string, []slog.Attr) {
	attrs := append(e.Client.attrs(), slog.String("stage", e.Stage), slog.String("reply", e.Reply.Error()),
		slog.String("from", e.From.String()))
	if e.To != nil {
		attrs = append(attrs, slog.String("to", e.To.String()))
	}
	return "rejected", append(attrs, slog.String("proto", e.Protocol), slog.String("helo", e.Helo),
		slog.String("account", e.Account))
}

// Topic implements event.Topical.
func (e Rejected) Topic() event.Topic { return event.Policy }

// Line implements event.Event.
func (e Rejected) Line() (string, string) {
	proto := "ESMTP" // Postfix knows two here
	if e.Protocol == "SMTP" {
		proto = "SMTP"
	}
	envelope, helo := "", ""
	if !e.greeting() {
		envelope = " from=<" + e.From.String() + ">"
	}
	if e.To != nil {
		envelope += " to=<" + e.To.String() + ">"
	}
	if e.Stage != "CONNECT" {
		helo = " helo=<" + e.Helo + ">"
	}
	return program, fmt.Sprintf("NOQUEUE: reject: %s from %s: %s;%s proto=%s%s", e.Stage, e.Client, e.Reply.Error(), envelope, proto, helo)
}

// greeting tells that it happened before there was an envelope.
func (e Rejected) greeting() bool {
	switch e.Stage {
	case "CONNECT", "HELO", "EHLO", "LHLO":
		return true
	}
	return false
}

// Dropped: the session ended otherwise than with QUIT.
type Dropped struct {
	Client Client
	Reason string // "lost connection", "timeout", "too many errors", …
	After  string // the last command
	Text   string // what the peer sent, made harmless; or ""
}

// Level implements event.Event.
func (Dropped) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Dropped) Record() (string, []slog.Attr) {
	return "dropped", append(e.Client.attrs(), slog.String("reason", e.Reason), slog.String("after", e.After),
		slog.String("text", e.Text))
}

// Topic implements event.Topical. That a connection breaks is nobody's fault.
func (e Dropped) Topic() event.Topic {
	if e.Reason == "lost connection" || e.Reason == "timeout" {
		return event.NoTopic
	}
	return event.Protocol
}

// Line implements event.Event.
func (e Dropped) Line() (string, string) {
	s := fmt.Sprintf("%s after %s from %s", e.Reason, e.After, e.Client)
	if e.Text != "" {
		s += ": " + e.Text
	}
	return program, s
}

// AuthFailed: a log-in was refused. fail2ban reads its line.
type AuthFailed struct {
	Client    Client
	Mechanism string
	User      string
	Reply     *smtp.Reply
	Why       error // where the reply does not say all, or nil
}

// Level implements event.Event.
func (AuthFailed) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e AuthFailed) Record() (string, []slog.Attr) {
	attrs := append(e.Client.attrs(), slog.String("mechanism", e.Mechanism),
		slog.String("user", e.User), slog.String("reply", e.Reply.Error()))
	if e.Why != nil {
		attrs = append(attrs, slog.Any("error", e.Why))
	}
	return "authentication failed", attrs
}

// Line implements event.Event. When nobody could tell whether the password was
// right, it says so in the words by which fail2ban's filter knows that the client
// is not to blame.
func (e AuthFailed) Line() (string, string) {
	why := strings.TrimPrefix(e.Reply.Text(), "Error: authentication failed: ")
	if e.Reply.Temporary() {
		why = "Connection lost to authentication server"
		if e.Why != nil {
			why += " (" + e.Why.Error() + ")"
		}
	}
	return program, fmt.Sprintf("warning: %s: SASL %s authentication failed: %s, sasl_username=%s",
		e.Client, e.Mechanism, why, e.User)
}

// TLSFailed: a client did not get through STARTTLS.
type TLSFailed struct {
	Client Client
	Err    error
}

// Level implements event.Event.
func (TLSFailed) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e TLSFailed) Record() (string, []slog.Attr) {
	return "TLS handshake failed", append(e.Client.attrs(), slog.Any("error", e.Err))
}

// Line implements event.Event.
func (e TLSFailed) Line() (string, string) {
	return program, fmt.Sprintf("SSL_accept error from %s: %v", e.Client, e.Err)
}

// Encrypted: TLS is on.
type Encrypted struct {
	Client Client
	State  *tls.ConnectionState
}

// Level implements event.Event.
func (Encrypted) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e Encrypted) Record() (string, []slog.Attr) {
	return "encrypted", append(e.Client.attrs(), slog.String("tls_version", tls.VersionName(e.State.Version)),
		slog.String("tls_cipher", tls.CipherSuiteName(e.State.CipherSuite)), slog.String("peer", e.peer()))
}

// Line implements event.Event.
func (e Encrypted) Line() (string, string) {
	cipher := tls.CipherSuiteName(e.State.CipherSuite)
	bits := "256/256"
	if strings.Contains(cipher, "AES_128") {
		bits = "128/128"
	}
	return program, fmt.Sprintf("%s TLS connection established from %s: %s with cipher %s (%s bits)", e.peer(), e.Client,
		strings.Replace(tls.VersionName(e.State.Version), "TLS 1", "TLSv1", 1), cipher, bits)
}

// peer is what is known of the client's certificate, in Postfix's words.
func (e Encrypted) peer() string {
	switch {
	case len(e.State.VerifiedChains) > 0:
		return "Trusted"
	case len(e.State.PeerCertificates) > 0:
		return "Untrusted"
	}
	return "Anonymous"
}

// PreGreeted: a client talked before the banner.
type PreGreeted struct {
	Client Client
	Bytes  int
	After  time.Duration
	Text   string // made harmless
}

// Level implements event.Event.
func (PreGreeted) Level() slog.Level { return slog.LevelInfo }

// Record implements event.Event.
func (e PreGreeted) Record() (string, []slog.Attr) {
	return "talked before the banner", append(e.Client.attrs(), slog.Int("bytes", e.Bytes),
		slog.Duration("after", e.After), slog.String("text", e.Text))
}

// Line implements event.Event: postscreen's words.
func (e PreGreeted) Line() (string, string) {
	return "postfix/postscreen", fmt.Sprintf("PREGREET %d after %s from [%s]: %s", e.Bytes, hundredths(e.After), e.Client.Addr, e.Text)
}

// hundredths is a time in seconds as postscreen writes it: 0, 0.15, 2.
func hundredths(d time.Duration) string {
	return strconv.FormatFloat(d.Round(10*time.Millisecond).Seconds(), 'f', -1, 64)
}

// Guessing: a client, or all clients at one domain, named too many mailboxes that
// do not exist. It is told once in an hour.
type Guessing struct {
	Client Client
	Domain string // "" when it is about the client
	Limit  int    // unknown recipients in an hour
}

// Level implements event.Event.
func (Guessing) Level() slog.Level { return slog.LevelWarn }

// Record implements event.Event.
func (e Guessing) Record() (string, []slog.Attr) {
	return "too many unknown recipients", append(e.Client.attrs(), slog.String("domain", e.Domain), slog.Int("limit", e.Limit))
}

// Line implements event.Event.
func (e Guessing) Line() (string, string) {
	if e.Domain != "" {
		return program, fmt.Sprintf("warning: more than %d unknown recipients in an hour at %s, the last from %s: addresses are being guessed",
			e.Limit, e.Domain, e.Client)
	}
	return program, fmt.Sprintf("warning: more than %d unknown recipients in an hour from %s: addresses are being guessed", e.Limit, e.Client)
}
