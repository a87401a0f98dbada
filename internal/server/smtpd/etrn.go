package smtpd

import (
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/limit"
	"facteur/internal/mail/smtp"
)

// Replies of ETRN (RFC 1985 §5.3).
var (
	replyNoEtrn     = smtp.NewReply(502, "5.5.1", "Error: ETRN is not offered here")
	replyEtrnInMail = smtp.NewReply(503, "5.5.1", "Error: ETRN is not allowed during a mail transaction")
	replyEtrnNotYou = smtp.NewReply(459, "4.7.1", "Error: ETRN is for clients that are trusted or have logged in")
	replyEtrnNotIt  = smtp.NewReply(459, "4.7.1", "Error: ETRN is not served for this domain")
	replyEtrnAgain  = smtp.NewReply(458, "4.7.1", "Error: ETRN was served for this domain a moment ago; try again in a minute")
	replyEtrnLater  = smtp.NewReply(458, "4.3.0", "Error: unable to look at the queue now")
)

// etrn has the mail that waits for a domain tried now.
func (s *session) etrn(args []byte) *smtp.Reply {
	s.limits.junk++
	if reply := s.mayEtrn(); reply != nil {
		return reply
	}
	e, reply := smtp.ParseEtrn(string(args))
	switch {
	case reply != nil:
		return reply
	case e.Queue != "", !s.flushes(e):
		return replyEtrnNotIt
	}
	if s.flushedLately(e.Domain) {
		return replyEtrnAgain
	}
	name := e.Domain
	if e.Subdomains {
		name = "." + name // and all below
	}
	n, err := s.srv.Flush(s.ctx, name)
	switch {
	case err != nil:
		return replyEtrnLater
	case n == 0:
		return smtp.NewReply(251, "2.0.0", "Ok: no messages wait for "+e.Domain)
	}
	return smtp.NewReply(253, "2.0.0", fmt.Sprintf("Ok: %d pending messages for %s started", n, e.Domain))
}

// offersEtrn tells whether ETRN is served to this client as he stands there now. Who
// logs in may ask for it without another EHLO.
func (s *session) offersEtrn() bool {
	return s.srv.Flush != nil && s.srv.Service != LMTP && (s.rules.Etrn == Anybody || s.rules.Etrn == Known && s.trusted())
}

// mayEtrn tells what stands in the way.
func (s *session) mayEtrn() *smtp.Reply {
	switch {
	case s.srv.Flush == nil, s.srv.Service == LMTP, s.rules.Etrn == Nobody:
		return replyNoEtrn
	case s.helo == "":
		return replyNeedHelo
	case s.tx != nil:
		return replyEtrnInMail
	case s.rules.Etrn == Known && !s.trusted():
		return replyEtrnNotYou
	}
	return nil
}

// flushedLately bounds what ETRN costs us, who look through all that waits, and the
// domain's servers, which are tried again whenever somebody asks: once in a minute,
// but for the trusted networks.
func (s *session) flushedLately(domain string) bool {
	return s.srv.Crowd != nil && !limit.Contains(s.rules.Trusted, s.addr) && s.srv.Crowd.flushes.Add(domain, 1) > 1
}

// flushes tells a domain that ETRN is served for.
func (s *session) flushes(e smtp.Etrn) bool {
	return len(s.rules.EtrnDomains) == 0 ||
		slices.ContainsFunc(s.rules.EtrnDomains, func(d string) bool { return strings.EqualFold(d, e.Domain) })
}
