package smtpd

import (
	"bytes"
	"strconv"

	"facteur/internal/mail/smtp"
)

// Replies that are always the same.
var (
	replyOk          = smtp.NewReply(250, "2.0.0", "Ok")
	replySenderOk    = smtp.NewReply(250, "2.1.0", "Ok")
	replyRecipientOk = smtp.NewReply(250, "2.1.5", "Ok")
	replyBye         = smtp.NewReply(221, "2.0.0", "Bye")
	replyNotSMTP     = smtp.NewReply(221, "2.7.0", "Error: this is an SMTP server. Goodbye.")
	replyVrfy        = smtp.NewReply(252, "2.0.0", "Cannot verify the user; send mail to find out")
	replyHelp        = smtp.NewReply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH")
	replyStartData   = smtp.NewReply(354, "", "End data with <CR><LF>.<CR><LF>")
	replyReadyTLS    = smtp.NewReply(220, "2.0.0", "Ready to start TLS")

	replyLineTooLong = smtp.NewReply(500, "5.5.2", "Error: line too long")
	replyLineEnding  = smtp.NewReply(500, "5.5.2", "Error: bare <CR> or <LF>; lines end with <CR><LF>")
	replyPipelining  = smtp.NewReply(503, "5.5.0", "Error: improper command pipelining")
	replyNoArgs      = smtp.NewReply(501, "5.5.4", "Syntax error: no arguments allowed")
	replyHeloSyntax  = smtp.NewReply(501, "5.5.4", "Syntax: EHLO hostname")
	replyVrfySyntax  = smtp.NewReply(501, "5.5.4", "Syntax: VRFY address")
	replyNeedHelo    = smtp.NewReply(503, "5.5.1", "Error: send HELO/EHLO first")
	replyNeedMail    = smtp.NewReply(503, "5.5.1", "Error: need MAIL command")
	replyNeedRcpt    = smtp.NewReply(503, "5.5.1", "Error: need RCPT command")
	replyNoRcpt      = smtp.NewReply(554, "5.5.1", "Error: no valid recipients")
	replyNested      = smtp.NewReply(503, "5.5.1", "Error: nested MAIL command")
	replyTooManyRcpt = smtp.NewReply(452, "4.5.3", "Error: too many recipients")
	replyNeedTLS     = smtp.NewReply(530, "5.7.0", "Must issue a STARTTLS command first")
	replyNeedAuth    = smtp.NewReply(530, "5.7.0", "Authentication required")
	replyNoTLS       = smtp.NewReply(502, "5.5.1", "Error: TLS not available")
	replyTLSActive   = smtp.NewReply(503, "5.5.1", "Error: TLS already active")
)

// verbHandlers obey one command each. args are valid until the handler reads
// from the peer. A nil reply means that the handler answered, or ended the
// session, itself.
var verbHandlers = [smtp.NumVerbs]func(s *session, args []byte) *smtp.Reply{
	smtp.EHLO: (*session).ehlo, smtp.HELO: (*session).heloVerb, smtp.MAIL: (*session).mailFrom,
	smtp.RCPT: (*session).rcptTo, smtp.DATA: (*session).dataVerb, smtp.RSET: (*session).rset,
	smtp.NOOP: (*session).noop, smtp.QUIT: (*session).quitVerb, smtp.VRFY: (*session).vrfy,
	smtp.HELP: (*session).help, smtp.STARTTLS: (*session).startTLS, smtp.AUTH: (*session).auth,
}

// obey does what a line says.
func (s *session) obey(line []byte) {
	s.announceConnect()
	cmd, reply := smtp.ParseCommand(line)
	if cmd.Verb == smtp.Unknown && s.helo == "" && notSMTP(line) {
		s.tally.add(smtp.Unknown, false)
		text := clean(line)
		if s.last == "AUTH" { // refused, and the client sends its password all the same
			text = ""
		}
		s.quit("non-SMTP command", text, replyNotSMTP)
		return
	}
	s.last = cmd.Verb.String()
	switch {
	case cmd.Verb == smtp.Unknown:
		s.limits.unknown++
	case reply == nil:
		reply = verbHandlers[cmd.Verb](s, cmd.Args)
	}
	if reply == nil {
		return
	}
	s.tally.add(cmd.Verb, reply.Code < 400)
	s.settle(reply)
}

// settle sends a handler's reply and counts it.
func (s *session) settle(reply *smtp.Reply) {
	switch {
	case reply == replyTooManyRcpt:
		s.limits.overshoot++
		s.answer(reply)
		s.checkLimits()
	case s.over:
		s.answer(reply)
	case reply.Code >= 400:
		s.fault(reply)
	default:
		s.answer(reply)
		s.checkLimits()
	}
}

// notSMTP tells a web browser or a TLS client that came to the wrong door, which
// somebody may have sent (cross-protocol attacks). Going on would help only them.
// It is asked before a greeting only: later, a line may be a password.
func notSMTP(line []byte) bool {
	if len(line) > 0 && (line[0]|0x20 < 'a' || line[0]|0x20 > 'z') {
		return true
	}
	word, _, _ := bytes.Cut(line, []byte{' '})
	switch string(word) {
	case "GET", "POST", "CONNECT", "PUT", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// improper ends a session whose peer did not wait for a reply that it needed.
// The log gets a word of what came too early, and nothing of what may be a
// password.
func (s *session) improper() *smtp.Reply {
	rest, _ := s.in.Peek(min(s.in.Buffered(), 60))
	word, _, _ := bytes.Cut(rest, []byte{' '})
	if s.last == "AUTH" {
		word = nil
	}
	s.quit("improper command pipelining", clean(word), nil)
	return replyPipelining
}

func (s *session) ehlo(args []byte) *smtp.Reply {
	return s.greeted(args, true)
}

func (s *session) heloVerb(args []byte) *smtp.Reply {
	return s.greeted(args, false)
}

// greeted takes HELO and EHLO, which also end a transaction (RFC 5321 §4.1.4).
// Any name is taken, as many clients know no better; it is made harmless.
func (s *session) greeted(args []byte, esmtp bool) *smtp.Reply {
	if s.early() {
		return s.improper()
	}
	s.limits.junk++
	name := bytes.TrimSpace(args)
	if len(name) == 0 || len(name) > 255 || !isASCII(name) {
		return replyHeloSyntax
	}
	s.reset(transactionScope)
	s.helo, s.esmtp = "", esmtp
	p := s.peer()
	p.Helo = neuter(string(name))
	if reply := s.visit.Helo(s.ctx, p); reply != nil {
		return reply
	}
	s.helo, s.esmtp = neuter(string(name)), esmtp
	if esmtp {
		return s.capabilities()
	}
	return &smtp.Reply{Code: 250, Lines: []string{s.srv.Hostname}}
}

// capabilities is the reply to EHLO.
func (s *session) capabilities() *smtp.Reply {
	size, _ := s.srv.desk.Limits()
	lines := make([]string, 0, 10)
	lines = append(lines, s.srv.Hostname, "PIPELINING", "SIZE "+strconv.FormatInt(size, 10))
	if s.srv.TLS != nil && s.conn.TLS() == nil {
		lines = append(lines, "STARTTLS")
	}
	if s.mayAuth() && s.secure() {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	return &smtp.Reply{Code: 250, Lines: append(lines, "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8")}
}

func (s *session) rset(args []byte) *smtp.Reply {
	s.limits.junk++
	if len(args) > 0 {
		return replyNoArgs
	}
	s.reset(transactionScope)
	return replyOk
}

func (s *session) noop([]byte) *smtp.Reply {
	s.limits.junk++
	return replyOk
}

func (s *session) vrfy(args []byte) *smtp.Reply {
	s.limits.junk++
	if len(args) == 0 {
		return replyVrfySyntax
	}
	return replyVrfy
}

func (s *session) help([]byte) *smtp.Reply {
	s.limits.junk++
	return replyHelp
}

func (s *session) quitVerb(args []byte) *smtp.Reply {
	if len(args) > 0 {
		return replyNoArgs
	}
	s.over = true
	return replyBye
}

// neuter replaces what could be mistaken for structure in a header, a log line
// or a page (Postfix's neuter_characters), and everything not printable.
func neuter(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`<>()\";@&'`), c) >= 0 {
			b[i] = '?'
		}
	}
	return string(b)
}

// clean is the beginning of what a peer sent, fit for a log line.
func clean(b []byte) string {
	b = bytes.Clone(b[:min(len(b), 60)])
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
