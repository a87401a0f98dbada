package mailbox

import (
	"errors"
	"io"
	"time"

	"facteur/internal/store/maildir"
)

// The errors that doors translate. Everything else is a fault of ours.
var (
	ErrNoMailbox   = errors.New("no such mailbox")
	ErrExists      = errors.New("mailbox already exists")
	ErrBadName     = maildir.ErrBadName
	ErrOverQuota   = errors.New("over quota")
	ErrReadOnly    = errors.New("mailbox is open read-only")
	ErrGone        = errors.New("message is gone")
	ErrMailboxGone = errors.New("mailbox was deleted or renamed")
	ErrLimit       = errors.New("limit reached")
)

// Flags is a set of system flags and keywords. Keywords are numbered per
// mailbox; Mailbox.Keywords gives their names.
type Flags struct {
	System   SystemFlags
	Keywords []string // sorted, canonical case as first used
}

// SystemFlags are the flags of RFC 9051 §2.3.2 as bits.
type SystemFlags uint8

// The system flags.
const (
	Seen SystemFlags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// FlagOp is how Store changes flags.
type FlagOp uint8

// The three forms of STORE (RFC 9051 §6.4.6).
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// Letter is what is known of a message without opening it.
type Letter struct {
	UID      uint32
	ModSeq   uint64
	Flags    Flags
	Received time.Time // INTERNALDATE
	Saved    time.Time // SAVEDATE (RFC 8514): when it came into this mailbox; zero: not known
	Size     int64     // octets with CRLF line ends: RFC822.SIZE
	Recent   bool      // \Recent of RFC 3501, true in one session only
}

// Info is one line of LIST.
type Info struct {
	Name       string // UTF-8, hierarchy separator "/", "INBOX" in upper case
	Subscribed bool
	// Exists is false for a subscribed name or a parent without a mailbox.
	Exists      bool
	HasChildren bool
	Rights      Rights // of who asked; with ListFor only
	// SpecialUse is the uses of RFC 6154, "\\Sent" and the like, with blanks
	// between them; "" for none.
	SpecialUse string
}

// Status is what STATUS answers.
type Status struct {
	Messages, Recent, Unseen, Deleted uint32
	UIDNext, UIDValidity              uint32
	HighestModSeq                     uint64
	Size                              int64
}

// AppendOptions go with a message that a user stores.
type AppendOptions struct {
	Flags    Flags
	Received time.Time // zero: now
}

// ChangeKind says what a Change tells.
type ChangeKind uint8

// What may happen to an open mailbox, in the order in which IMAP must say it.
const (
	// Expunged: the letter at Seq is gone; all above it move down by one.
	Expunged ChangeKind = iota
	// Arrived: the mailbox now has Seq letters.
	Arrived
	// Reflagged: the flags of the letter at Seq changed.
	Reflagged
	// KeywordsChanged: the list of keywords grew.
	KeywordsChanged
)

// Change is one untagged response to be.
type Change struct {
	Kind ChangeKind
	Seq  uint32 // 1 …; for Arrived the new count
	UID  uint32
}

// UIDPair is one copied message: RFC 4315's COPYUID.
type UIDPair struct{ From, To uint32 }

// Reader is a message opened for reading: CRLF line ends whatever the file has.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}
