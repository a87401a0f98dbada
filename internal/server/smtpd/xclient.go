package smtpd

import (
	"net/netip"

	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
)

// Replies of XCLIENT and XFORWARD, as Postfix gives them.
var (
	replyNotNamed    = smtp.NewReply(550, "5.7.1", "Error: insufficient authorization")
	replyXclientMail = smtp.NewReply(503, "5.5.1", "Error: MAIL transaction in progress")
)

// xclient makes the session that of a client whom our peer, a proxy named in the
// settings, speaks for. It begins again at the banner.
func (s *session) xclient(args []byte) *smtp.Reply {
	switch {
	case !s.named(s.rules.XclientHosts):
		return replyNotNamed
	case s.tx != nil:
		return replyXclientMail
	case s.in.Buffered() > 0:
		return s.improper()
	}
	x, reply := smtp.ParseXclient(string(args))
	if reply != nil {
		return reply
	}
	s.tally.add(smtp.XCLIENT, true)
	helo, esmtp, account := s.helo, s.esmtp, s.account
	s.reset(visitScope)
	s.remarks, s.barred, s.guesses, s.known = nil, false, 0, 0
	s.become(x)
	s.greet()
	if s.over {
		return nil
	}
	// What the proxy does not say stays as it was.
	s.account = x.Login.Or(account)
	if x.Login.State == smtp.Given {
		s.mechanism = "XCLIENT"
	}
	if x.Login.State > smtp.Given {
		s.account = ""
	}
	s.helo, s.esmtp = helo, esmtp
	if x.Helo.State == smtp.Given {
		s.helo = neuter(x.Helo.Text)
	}
	if x.Proto.State == smtp.Given {
		s.esmtp = x.Proto.Text == "ESMTP"
	}
	if s.helo != "" {
		s.offered = s.offer()
	}
	return nil
}

// become takes over a client's address and name.
func (s *session) become(x smtp.Xclient) {
	switch {
	case x.AddrState == smtp.Given:
		s.addr = x.Addr
	case x.AddrState > smtp.Given:
		s.addr = netip.IPv4Unspecified() // nobody in particular, and in no network
	}
	switch {
	case x.Name.State == smtp.Given:
		s.name.set(x.Name.Text)
	case x.Name.State > smtp.Given:
		s.name.set(noName)
	case x.AddrState == smtp.Given:
		s.name.stop()
		s.name = reverseName{}
		s.name.start(s.ctx, s.srv.ReverseName, s.addr)
	}
}

// xforward keeps what a filter in front of us says of the client, for the log of
// the next transaction; nothing is decided by it.
func (s *session) xforward(args []byte) *smtp.Reply {
	switch {
	case !s.named(s.rules.XforwardHosts):
		return replyNotNamed
	case s.tx != nil:
		return replyXclientMail
	}
	x, reply := smtp.ParseXforward(string(args))
	if reply != nil {
		return reply
	}
	f := intake.Forwarded{}
	if s.forward != nil {
		f = *s.forward // the attributes may come in several commands
	}
	merge(&f.Name, x.Name)
	merge(&f.Helo, x.Helo)
	merge(&f.Protocol, x.Proto)
	merge(&f.Ident, x.Ident)
	if x.AddrState != smtp.NotGiven {
		f.Addr = x.Addr
	}
	s.forward = &f
	return replyOk
}

func merge(to *string, a smtp.Attribute) {
	if a.State != smtp.NotGiven {
		*to = neuter(a.Or("")) // it stands among others in the log line
	}
}
