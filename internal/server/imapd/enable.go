package imapd

import (
	"context"
	"strings"

	"facteur/internal/mail/imap"
)

// extension is a set of what a client can switch on with ENABLE (RFC 5161).
// Nothing of it is ever switched off again but by the end of the log-in.
type extension uint8

// What there is to enable.
const (
	CONDSTORE extension = 1 << iota // MODSEQs are told (RFC 7162 §3.1); commands that use them imply it
	QRESYNC                         // VANISHED instead of EXPUNGE (RFC 7162 §3.2); implies CONDSTORE
	UTF8                            // UTF8=ACCEPT (RFC 9755)
	IMAP4REV2                       // RFC 9051 where it says something else than RFC 3501
	UIDONLY                         // no message numbers (RFC 9586)
)

// enabled says whether all of x was switched on.
func (s *session) enabled(x extension) bool { return s.enables&x == x }

// enableable is what a name given to ENABLE switches on, and the name as ENABLED
// has it.
func enableable(name string) (x extension, as string) {
	switch name {
	case "CONDSTORE":
		return CONDSTORE, name
	case "QRESYNC":
		return QRESYNC | CONDSTORE, name
	case "UTF8=ACCEPT":
		return UTF8, name
	case "IMAP4REV2":
		return IMAP4REV2, "IMAP4rev2"
	case "UIDONLY":
		return UIDONLY, name
	}
	return 0, ""
}

// enable switches on what it knows; the rest is ignored (RFC 5161 §3.1). The
// response has what was switched on by this very command.
func (s *session) enable(_ context.Context, c imap.Command) (string, error) {
	var said, on = strings.Builder{}, s.enables
	for _, name := range c.Args.(imap.Enable) {
		x, as := enableable(name)
		if x == UIDONLY && s.view != nil {
			// Message numbers that the client was told of would lose their meaning
			// under its hands.
			return "", &imap.SyntaxError{Text: "UIDONLY can't be enabled while a mailbox is selected"}
		}
		if on&x != x {
			said.WriteString(" " + as)
		}
		on |= x
	}
	s.untagged("ENABLED" + said.String())
	s.switchOn(on)
	return "ENABLE completed", nil
}

// switchOn adds to what is enabled. A client that wants MODSEQs is told where
// the selected mailbox stands (RFC 7162 §3.1).
func (s *session) switchOn(x extension) {
	first := x&CONDSTORE != 0 && !s.enabled(CONDSTORE)
	s.enables |= x
	s.useNames()
	if first && s.view != nil {
		s.sayHighestModSeq()
	}
}

// useNames reads and writes mailbox names as they are to be in this session.
func (s *session) useNames() {
	utf8 := s.enables&(UTF8|IMAP4REV2) != 0
	s.dec.SetUTF8(utf8)
	s.enc.SetUTF8(utf8)
}
