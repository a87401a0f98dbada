package mailbox

import (
	"errors"
	"strings"
)

// Rights is a set of the rights of RFC 4314 §2.1: what somebody may do with a
// mailbox.
type Rights uint16

// The rights, in the order in which they are written.
const (
	RightLookup     Rights = 1 << iota // l: LIST shows the mailbox
	RightRead                          // r: SELECT, FETCH, STATUS
	RightSeen                          // s: set and clear \Seen
	RightWrite                         // w: other flags and keywords, shared METADATA
	RightInsert                        // i: APPEND, COPY and MOVE into it
	RightPost                          // p: mail may be addressed to it
	RightCreate                        // k: make mailboxes below it
	RightDelete                        // x: DELETE it, RENAME it away
	RightDeleteMail                    // t: set and clear \Deleted
	RightExpunge                       // e: EXPUNGE
	RightAdmin                         // a: GETACL, SETACL

	// AllRights is what owners have.
	AllRights Rights = 1<<11 - 1
	// NoRights is what strangers have.
	NoRights Rights = 0
)

const rightLetters = "lrswipkxtea"

// The obsolete rights of RFC 2086, as sets of the new ones (RFC 4314 §2.1.1).
const (
	oldCreate = RightCreate | RightDelete
	oldDelete = RightDeleteMail | RightExpunge
)

// ErrBadRights is a letter that is no right.
var ErrBadRights = errors.New("no such right")

// ParseRights reads letters in any order, "c" and "d" of RFC 2086 among them.
func ParseRights(text string) (Rights, error) {
	var r Rights
	for i := range len(text) {
		switch c := text[i]; c {
		case 'c':
			r |= oldCreate
		case 'd':
			r |= oldDelete
		default:
			n := strings.IndexByte(rightLetters, c)
			if n < 0 {
				return 0, ErrBadRights
			}
			r |= 1 << n
		}
	}
	return r, nil
}

// String writes the letters in their fixed order.
func (r Rights) String() string {
	var b [len(rightLetters)]byte
	out := b[:0]
	for i := range len(rightLetters) {
		if r&(1<<i) != 0 {
			out = append(out, rightLetters[i])
		}
	}
	return string(out)
}

// Compatible is String with the letters "c" and "d" where any of the rights that
// they stood for is there: what ACL and MYRIGHTS tell (RFC 4314 §2.1.1).
func (r Rights) Compatible() string {
	text := r.String()
	if r&oldCreate != 0 {
		text += "c"
	}
	if r&oldDelete != 0 {
		text += "d"
	}
	return text
}

// Has says whether all of want are there.
func (r Rights) Has(want Rights) bool { return r&want == want }

// forFlag is the right that changing a system flag or a keyword needs.
func forFlag(f SystemFlags) Rights {
	switch f {
	case Seen:
		return RightSeen
	case Deleted:
		return RightDeleteMail
	}
	return RightWrite
}

// Permitted is those of the flags that somebody with these rights may change.
func (r Rights) Permitted(f Flags) Flags {
	var out Flags
	for bit := Seen; bit <= Draft; bit <<= 1 {
		if f.System&bit != 0 && r.Has(forFlag(bit)) {
			out.System |= bit
		}
	}
	if r.Has(RightWrite) {
		out.Keywords = f.Keywords
	}
	return out
}
