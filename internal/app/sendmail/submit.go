package sendmail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
	"facteur/internal/mail/smtp"
)

// Caller is who runs the command and where it speaks.
type Caller struct {
	// Socket is the path of the server's socket.
	Socket string
	// Login and Name are the user's, for the sender and the From that are not said.
	Login, Name string
	In          io.Reader
	// Told takes what -v shows.
	Told io.Writer
}

const (
	dialTimeout  = 10 * time.Second
	replyTimeout = 5 * time.Minute  // RFC 5321 §4.5.3.2
	endTimeout   = 10 * time.Minute // RFC 5321 §4.5.3.2.6
	quitTimeout  = time.Second
	// staleAfter is how long the input may take before the connection that was made
	// to look whether anybody is there is made anew.
	staleAfter = 20 * time.Second
	// window is how many recipients are asked for before an answer is waited for, so
	// that neither side's buffer fills while both only write.
	window = 100
	// partDefault is how many recipients one transaction has where the server does
	// not say (RFC 5321 §4.5.3.1.8).
	partDefault = 100
)

// Run sends a letter, as the options say. The error is an *Error.
func Run(ctx context.Context, o Options, c Caller) error {
	s, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer func() { s.close() }()
	connected := time.Now()
	l, env, err := s.prepare(o, c)
	if err != nil {
		return err
	}
	defer l.Close()
	if time.Since(connected) > staleAfter {
		s.close()
		if s, err = dial(ctx, c); err != nil {
			return err
		}
	}
	return s.send(env, l)
}

// envelope is what a letter goes out with.
type envelope struct {
	mail       smtp.Mail
	recipients []smtp.Rcpt
}

// prepare reads the letter and makes its envelope.
func (s *session) prepare(o Options, c Caller) (*letter, *envelope, error) {
	sender, err := s.sender(o, c)
	if err != nil {
		return nil, nil, err
	}
	if len(o.Recipients) == 0 && !o.FromHeader {
		return nil, nil, failf(Usage, "no recipients: name them on the command line, or give -t to take them from the message")
	}
	limit := int64(1 << 62)
	if s.offers.Size > 0 {
		limit = s.offers.Size
	}
	from := message.Mailbox{Name: oneLine(fullName(o, c)), Local: sender.Local, Host: sender.Domain}
	if sender.IsNull() {
		from.Local, from.Host = c.Login, s.offers.Host
	}
	l, err := readLetter(newInput(c.In, o.NoDot, limit), o.FromHeader, from)
	if err != nil {
		return nil, nil, err
	}
	env, err := s.envelope(o, sender, l)
	if err != nil {
		l.Close()
	}
	return l, env, err
}

func fullName(o Options, c Caller) string {
	if o.FullName != "" {
		return o.FullName
	}
	return c.Name
}

// sender is the reverse-path: "-f <>" and "-f ”" are the null one.
func (s *session) sender(o Options, c Caller) (address.Address, error) {
	text := c.Login
	if o.SenderGiven {
		text = o.Sender
	}
	if text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "<"), ">"); text == "" {
		return address.Address{}, nil
	}
	a, err := s.qualified(text)
	if err != nil {
		return a, failf(Usage, "the sender %q is no address: %v", text, err)
	}
	return a, nil
}

// qualified reads an address. One without a domain stays so: the server knows the origin
// of its settings. Only root is the machine's own, by its name, and what has to be quoted
// can't go without a domain.
func (s *session) qualified(text string) (address.Address, error) {
	a, err := address.Parse(text)
	if err != nil && !strings.Contains(text, "@") {
		if local, localErr := address.Parse(text + "@" + s.offers.Host); localErr == nil {
			if local.String() == local.Local+"@"+local.Domain && !strings.EqualFold(local.Local, "root") {
				local.Domain = ""
			}
			return local, nil
		}
	}
	return a, err
}

// envelope adds the recipients, each once, and what is to be declared of the bytes.
func (s *session) envelope(o Options, sender address.Address, l *letter) (*envelope, error) {
	env := &envelope{mail: smtp.Mail{Sender: sender, Size: l.size(), UTF8: l.utf8 || !sender.IsASCII()}}
	if s.offers.DSN {
		env.mail.Ret, env.mail.EnvID = o.Ret, o.EnvelopeID
	}
	if o.EightBit || l.eightBit {
		env.mail.Body = "8BITMIME"
	}
	seen := make(map[string]bool)
	for _, text := range append(o.Recipients, l.recipients...) {
		text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "<"), ">")
		a, err := s.qualified(text)
		if err != nil {
			return nil, failf(DataErr, "the recipient %q is no address: %v; the message was sent to nobody", text, err)
		}
		if seen[a.String()] {
			continue
		}
		seen[a.String()] = true
		env.mail.UTF8 = env.mail.UTF8 || !a.IsASCII()
		r := smtp.Rcpt{To: a}
		if s.offers.DSN {
			r.Notify = o.Notify
		}
		env.recipients = append(env.recipients, r)
	}
	if env.mail.UTF8 && !s.offers.UTF8 {
		return nil, failf(DataErr, "the message has characters in its header or addresses that the server does not take (no SMTPUTF8)")
	}
	switch n := len(env.recipients); {
	case n == 0:
		return nil, failf(Usage, "no recipients: neither on the command line nor in To, Cc or Bcc")
	case n >= recipientsMax:
		return nil, failf(DataErr, "%d recipients are more than the %d that one message may have; send it in parts", n, recipientsMax-1)
	}
	return env, nil
}

// session is the connection to the server.
type session struct {
	conn   net.Conn
	in     *bufio.Reader
	offers smtp.Extensions
	told   io.Writer
	// inStep: all that was sent was answered, and the server waits for a command.
	inStep bool
}

// dial connects and greets.
func dial(ctx context.Context, c Caller) (*session, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", c.Socket)
	if err != nil {
		return nil, down(c.Socket, err)
	}
	s := &session{conn: conn, in: bufio.NewReader(conn), told: c.Told}
	err = s.greet()
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) greet() error {
	banner, err := s.reply(replyTimeout)
	if err != nil {
		return err
	}
	if banner.Code != 220 {
		return refused(banner, "the server takes no mail now")
	}
	r, err := s.ask([]byte("EHLO localhost\r\n"))
	if err != nil {
		return err
	}
	if r.Code != 250 {
		return refused(r, "the server takes no mail now")
	}
	s.offers = smtp.ParseEHLO(r)
	if s.offers.Host, err = address.CanonicalDomain(s.offers.Host); err != nil {
		return failf(TempFail, "the server has no usable name: %v", err)
	}
	return nil
}

// close says goodbye, so that the log does not speak of a connection that was lost,
// and hangs up. The server needs no goodbye to keep what it has said 250 to.
func (s *session) close() {
	if s.conn == nil {
		return
	}
	s.conn.SetDeadline(time.Now().Add(quitTimeout))
	if s.inStep {
		if _, err := s.conn.Write([]byte("QUIT\r\n")); err == nil {
			smtp.ReadReply(s.in)
		}
	}
	s.conn.Close()
	s.conn = nil
}

// ask sends a command and waits for its reply.
func (s *session) ask(command []byte) (*smtp.Reply, error) {
	if err := s.write(command); err != nil {
		return nil, err
	}
	return s.reply(replyTimeout)
}

func (s *session) write(b []byte) error {
	s.inStep = false
	s.conn.SetWriteDeadline(time.Now().Add(replyTimeout))
	_, err := s.conn.Write(b)
	return lost(err)
}

func (s *session) reply(wait time.Duration) (*smtp.Reply, error) {
	s.conn.SetReadDeadline(time.Now().Add(wait))
	r, err := smtp.ReadReply(s.in)
	if err != nil {
		return nil, lost(err)
	}
	s.inStep = r.Code != 354 && r.Code != 421
	if s.told != nil {
		fmt.Fprintln(s.told, r.Error())
	}
	return r, nil
}

func lost(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failf(TempFail, "the mail system does not answer; the message was not accepted")
	}
	return failf(TempFail, "the mail system broke off the conversation (%v); the message was not accepted", err)
}

// refused is a reply as an error.
func refused(r *smtp.Reply, what string) error {
	return failf(statusOf(r), "%s: %s", what, r.Error())
}

// statusOf finds the exit code for a refusal (RFC 3463 for the enhanced codes).
func statusOf(r *smtp.Reply) Status {
	switch {
	case r.Temporary():
		return TempFail
	case strings.HasPrefix(r.Enhanced, "5.1.") && r.Enhanced != "5.1.7" && r.Enhanced != "5.1.8":
		return NoUser
	case r.Code == 552 || r.Enhanced == "5.3.4" || strings.HasPrefix(r.Enhanced, "5.6."):
		return DataErr
	case strings.HasPrefix(r.Enhanced, "5.7."):
		return NoPerm
	}
	return Unavailable
}

// send hands the letter over, in as many transactions as its recipients need. When
// that is more than one, all recipients are asked for before any part is sent.
func (s *session) send(env *envelope, l *letter) error {
	most := s.offers.Limits.Recipients
	if most <= 0 {
		most = partDefault
	}
	if len(env.recipients) > most {
		for from := 0; from < len(env.recipients); from += most {
			if err := s.open(env.mail, env.recipients[from:min(from+most, len(env.recipients))]); err != nil {
				return err
			}
			if r, err := s.ask([]byte("RSET\r\n")); err != nil {
				return err
			} else if r.Code != 250 {
				return refused(r, "the server is out of step; the message was not accepted")
			}
		}
	}
	for from := 0; from < len(env.recipients); from += most {
		err := s.part(env.mail, env.recipients[from:min(from+most, len(env.recipients))], l)
		if err != nil && from > 0 {
			return failf(StatusOf(err), "%v; %d of %d recipients had been served before, up to <%s>",
				err, from, len(env.recipients), env.recipients[from-1].To)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// part is one transaction.
func (s *session) part(m smtp.Mail, to []smtp.Rcpt, l *letter) error {
	if err := s.open(m, to); err != nil {
		return err
	}
	r, err := s.ask([]byte("DATA\r\n"))
	if err != nil {
		return err
	}
	if r.Code != 354 {
		return refused(r, "the message was refused")
	}
	if err := s.text(l); err != nil {
		return err
	}
	if r, err = s.reply(endTimeout); err != nil {
		return failf(TempFail, "the mail system went away before it answered; whether it has the message is not certain")
	}
	if r.Code != 250 {
		return refused(r, "the message was refused")
	}
	return nil
}

// open begins a transaction. One recipient that is refused ends it: nobody gets the
// letter unless all do, so that the caller knows what he has.
func (s *session) open(m smtp.Mail, to []smtp.Rcpt) error {
	r, err := s.ask(m.AppendTo(nil))
	if err != nil {
		return err
	}
	if r.Code != 250 {
		return refused(r, "the sender <"+m.Sender.String()+"> was refused")
	}
	var bad []string
	var why *smtp.Reply
	for len(to) > 0 {
		n := 1
		if s.offers.Pipelining {
			n = min(window, len(to))
		}
		replies, err := s.askAll(to[:n])
		if err != nil {
			return err
		}
		for i, r := range replies {
			if r.Code != 250 && r.Code != 251 {
				bad = append(bad, "<"+to[i].To.String()+">: "+r.Error())
				if why == nil || r.Permanent() {
					why = r
				}
			}
		}
		to = to[n:]
	}
	if why != nil {
		return failf(statusOf(why), "%s; the message was sent to nobody", firstFew(bad))
	}
	return nil
}

// askAll sends RCPT commands together and reads their replies.
func (s *session) askAll(to []smtp.Rcpt) ([]*smtp.Reply, error) {
	var commands []byte
	for _, r := range to {
		commands = r.AppendTo(commands)
	}
	if err := s.write(commands); err != nil {
		return nil, err
	}
	replies := make([]*smtp.Reply, len(to))
	for i := range replies {
		var err error
		if replies[i], err = s.reply(replyTimeout); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// firstFew is a list that a terminal has room for.
func firstFew(lines []string) string {
	const most = 5
	if n := len(lines); n > most {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(lines, "; ")
}

// text sends the letter and the end of data. A letter that can't be read back is cut
// off without one.
func (s *session) text(l *letter) error {
	w := bufio.NewWriterSize(deadlined{s.conn}, 32<<10)
	dots := smtp.NewDotWriter(w)
	if _, err := io.Copy(dots, l.open()); err != nil {
		return lost(err)
	}
	if err := dots.Close(); err != nil {
		return lost(err)
	}
	return lost(w.Flush())
}

// deadlined gives each write a time of its own.
type deadlined struct{ net.Conn }

func (d deadlined) Write(p []byte) (int, error) {
	d.SetWriteDeadline(time.Now().Add(replyTimeout))
	return d.Conn.Write(p)
}
