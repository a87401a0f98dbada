package smtpd

import (
	"bytes"
	"errors"
	"strings"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
)

// Replies that are always the same.
var (
	replyOk          = smtp.NewReply(250, "2.0.0", "Ok")
	replySenderOk    = smtp.NewReply(250, "2.1.0", "Ok")
	replyRecipientOk = smtp.NewReply(250, "2.1.5", "Ok")
	replyBye         = smtp.NewReply(221, "2.0.0", "Bye")
	replyUnknown     = smtp.NewReply(500, "5.5.2", "Error: command not recognized")
	replyNotSMTP     = smtp.NewReply(221, "2.7.0", "Error: this is an SMTP server. Goodbye.")
	replyVrfy        = smtp.NewReply(252, "2.0.0", "Cannot verify the user; send mail to find out")
	replyStartData   = smtp.NewReply(354, "", "End data with <CR><LF>.<CR><LF>")
	replyReadyTLS    = smtp.NewReply(220, "2.0.0", "Ready to start TLS")

	replyLineTooLong = smtp.NewReply(500, "5.5.2", "Error: line too long")
	replyLineEnding  = smtp.NewReply(500, "5.5.2", "Error: bare <CR> or <LF>; lines end with <CR><LF>")
	replyPipelining  = smtp.NewReply(503, "5.5.0", "Error: improper command pipelining")
	replyNoArgs      = smtp.NewReply(501, "5.5.4", "Syntax error: no arguments allowed")
	replyNoExpn      = smtp.NewReply(502, "5.5.1", "Error: EXPN is not offered: lists are nobody else's business")
	replyLhlo        = smtp.NewReply(500, "5.5.1", "Error: this is LMTP; send LHLO")
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

// handle obeys one command. args are valid until the handler reads from the peer.
// A nil reply means that the handler answered, or ended the session, itself.
func (s *session) handle(v smtp.Verb, args []byte) *smtp.Reply {
	switch v {
	case smtp.EHLO:
		return s.ehlo(args)
	case smtp.HELO:
		return s.heloVerb(args)
	case smtp.LHLO:
		return s.lhlo(args)
	case smtp.MAIL:
		return s.mailFrom(args)
	case smtp.RCPT:
		return s.rcptTo(args)
	case smtp.DATA:
		return s.dataVerb(args)
	case smtp.BDAT:
		return s.bdat(args)
	case smtp.BURL:
		return s.burl(args)
	case smtp.RSET:
		return s.rset(args)
	case smtp.NOOP:
		return s.noop(args)
	case smtp.QUIT:
		return s.quitVerb(args)
	case smtp.VRFY:
		return s.vrfy(args)
	case smtp.EXPN:
		return s.expn(args)
	case smtp.HELP:
		return s.help(args)
	case smtp.STARTTLS:
		return s.startTLS(args)
	case smtp.AUTH:
		return s.auth(args)
	case smtp.ETRN:
		return s.etrn(args)
	case smtp.XCLIENT:
		return s.xclient(args)
	case smtp.XFORWARD:
		return s.xforward(args)
	}
	return replyUnknown
}

// obey does what a line says.
func (s *session) obey(line []byte) {
	s.announceConnect()
	cmd, reply := smtp.ParseCommand(line)
	s.story.heard(cmd.Verb, line)
	if cmd.Verb == smtp.Unknown && s.helo == "" && notSMTP(line) {
		if s.otherProtocol(line); s.over {
			return
		}
	}
	s.last = cmd.Verb.String()
	switch {
	case cmd.Verb == smtp.Unknown:
		s.limits.unknown++
	case reply == nil:
		reply = s.handle(cmd.Verb, cmd.Args)
	}
	if reply == nil {
		return
	}
	s.tally.add(cmd.Verb, reply.Code < 400)
	s.settle(reply)
}

// listenForSMTP waits for the first byte of a line before a greeting. TLS on a door
// without it, and whatever else is no text, may have no line ending for which one
// could wait (SMTP-014).
func (s *session) listenForSMTP() error {
	first, err := s.in.Peek(1)
	if err != nil || first[0] >= ' ' && first[0] < 0x7f || first[0] == '\r' || first[0] == '\n' || first[0] == '\t' {
		return err
	}
	said, _ := s.in.Peek(s.in.Buffered())
	if s.otherProtocol(said); s.over {
		return errNotSMTP
	}
	return nil
}

// errNotSMTP ends the reading of lines where the session ended because of the next one.
var errNotSMTP = errors.New("not SMTP")

// otherProtocol is about a browser or worse (SMTP-014).
func (s *session) otherProtocol(line []byte) {
	text := clean(line)
	if len(line) > 0 && line[0] == handshakeRecord {
		text = "(a TLS handshake)"
	}
	if s.last == "AUTH" { // refused, and the client sends its password all the same
		text = ""
	}
	s.remark(intake.NonSMTP)
	switch s.rules.Screen.NonSMTP {
	case Enforce:
		s.barred = true
	case Drop:
		s.tally.add(smtp.Unknown, false)
		s.quit("non-SMTP command", text, replyNotSMTP)
	}
}

// handshakeRecord is the first byte of a TLS connection (RFC 8446 §5.1).
const handshakeRecord = 0x16

// settle sends a handler's reply and counts it.
func (s *session) settle(reply *smtp.Reply) {
	switch {
	case reply == replyTooManyRcpt:
		s.limits.overshoot++
		s.answer(reply)
		s.checkLimits()
	case s.over:
		s.answer(reply)
	case reply.Code == 421, reply.Code == 521: // a policy server or a milter wants no more of it (RFC 7504 §3)
		s.over, s.abrupt = true, true
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
	s.remark(intake.Pipelining)
	s.quit("improper command pipelining", clean(word), nil)
	s.abrupt = true
	return replyPipelining
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

func (s *session) expn([]byte) *smtp.Reply {
	s.limits.junk++
	return replyNoExpn
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

// neuterLine is neuter for texts that may have blanks and a host's punctuation.
func neuterLine(s string) string { return strings.Map(printableASCII, s) }

func printableASCII(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
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
