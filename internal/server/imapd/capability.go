package imapd

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/mail/imap"
)

// capabilities is what is true at this moment of the session: nothing that is
// not complete is named.
func (s *session) capabilities() string {
	names := []string{"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE"}
	if s.space == nil {
		return strings.Join(append(names, s.loginCapabilities()...), " ")
	}
	for _, family := range [][]string{s.sessionCapabilities(), mailboxCapabilities, s.letterCapabilities(), fetchCapabilities, searchCapabilities,
		rightsCapabilities, metadataCapabilities, notifyCapabilities, s.urlCapabilities(), s.quotaCapabilities()} {
		names = append(names, family...)
	}
	return strings.Join(names, " ")
}

// loginCapabilities is how a client may log in.
func (s *session) loginCapabilities() (names []string) {
	if s.canStartTLS() {
		names = append(names, "STARTTLS")
	}
	for _, m := range s.server.config.Gate.Mechanisms(s.applicant()) {
		names = append(names, "AUTH="+m)
	}
	if !s.server.config.Gate.TakesPasswords(s.applicant()) {
		names = append(names, "LOGINDISABLED")
	}
	return names
}

// sessionCapabilities is about the connection.
func (s *session) sessionCapabilities() []string {
	if s.wire.deflate != nil {
		return []string{"IDLE", "UNAUTHENTICATE"}
	}
	return []string{"IDLE", "UNAUTHENTICATE", "COMPRESS=DEFLATE"}
}

var mailboxCapabilities = []string{"NAMESPACE", "CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE"}

// letterCapabilities is about what is done to letters.
func (s *session) letterCapabilities() []string {
	return []string{"UIDPLUS", "UNSELECT", "MOVE", "MULTIAPPEND", "CATENATE", "REPLACE", "CONDSTORE", "QRESYNC", "UIDONLY", "UTF8=ACCEPT", fmt.Sprintf("APPENDLIMIT=%d", s.server.config.MaxMessage)}
}

func (s *session) capability(context.Context, imap.Command) (string, error) {
	s.untagged("CAPABILITY " + s.capabilities())
	return "CAPABILITY completed", nil
}

func (s *session) identify(_ context.Context, c imap.Command) (string, error) {
	if fields, told := c.Args.(imap.ID); told && len(fields) > 0 && !s.identified {
		s.identified = true // once: nobody fills our log with it
		s.emit(Identified{Who: s.who(), Fields: fields})
	}
	s.enc.Raw(`* ID ("name" "facteur" "version" `)
	s.enc.NString(s.server.config.Version)
	s.enc.Raw(")\r\n")
	return "ID completed", nil
}

func (s *session) logout(context.Context, imap.Command) (string, error) {
	s.untagged("BYE Logging out")
	s.closeView()
	s.over = errLogout
	return "LOGOUT completed", nil
}
