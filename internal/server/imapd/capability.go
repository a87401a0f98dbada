package imapd

import (
	"context"
	"fmt"

	"facteur/internal/mail/imap"
)

// capabilities is what is true at this moment of the session: nothing that is
// not complete is named.
func (s *session) capabilities() string {
	const always = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE"
	if s.account != nil {
		return always + fmt.Sprintf(" IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE LIST-EXTENDED LIST-STATUS"+
			" SPECIAL-USE ESEARCH WITHIN STATUS=SIZE APPENDLIMIT=%d", s.server.config.MaxMessage)
	}
	text := always
	if s.canStartTLS() {
		text += " STARTTLS"
	}
	for _, m := range s.server.config.Gate.Mechanisms(s.applicant()) {
		text += " AUTH=" + m
	}
	if !s.server.config.Gate.TakesPasswords(s.applicant()) {
		text += " LOGINDISABLED"
	}
	return text
}

func (s *session) capability(context.Context, imap.Command) (string, error) {
	s.untagged("CAPABILITY " + s.capabilities())
	return "CAPABILITY completed", nil
}

func (s *session) identify(context.Context, imap.Command) (string, error) {
	s.enc.Raw(`* ID ("name" "facteur" "version" `)
	s.enc.NString(s.server.config.Version)
	s.enc.Raw(")\r\n")
	return "ID completed", nil
}

// enable has nothing to enable: what is not known is ignored (RFC 5161 §3.1).
func (s *session) enable(context.Context, imap.Command) (string, error) {
	s.untagged("ENABLED")
	return "ENABLE completed", nil
}

func (s *session) namespace(context.Context, imap.Command) (string, error) {
	s.untagged(`NAMESPACE (("" "/")) NIL NIL`)
	return "NAMESPACE completed", nil
}

func (s *session) logout(context.Context, imap.Command) (string, error) {
	s.untagged("BYE Logging out")
	s.closeView()
	s.over = errLogout
	return "LOGOUT completed", nil
}
