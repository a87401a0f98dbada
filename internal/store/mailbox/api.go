package mailbox

import (
	"context"
	"errors"
	"io"
	"time"

	"facteur/internal/mail/message"
)

// The errors that doors translate. Everything else is a fault of ours.
var (
	ErrNoMailbox   = errors.New("no such mailbox")
	ErrExists      = errors.New("mailbox already exists")
	ErrBadName     = errors.New("mailbox name not allowed")
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
	SpecialUse  string // "\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive" or ""
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

// AccountBox is what a logged-in user has: all mailboxes of one account. It is
// safe for concurrent use and shared by all sessions of the account.
type AccountBox interface {
	// List gives every mailbox and every subscribed name, sorted, INBOX first.
	List(ctx context.Context) ([]Info, error)
	Create(ctx context.Context, name string) error
	// Delete removes the mailbox and its letters; INBOX can't be deleted. One
	// that has children stays as a bare parent (\NoSelect).
	Delete(ctx context.Context, name string) error
	// Rename renames with all children. Renaming INBOX moves its letters into
	// the new mailbox and leaves INBOX empty (RFC 9051 §6.3.6).
	Rename(ctx context.Context, from, to string) error
	Subscribe(ctx context.Context, name string, on bool) error
	Status(ctx context.Context, name string) (Status, error)
	// Append stores a message whole or not at all and gives its UID. It is
	// durable when Append returns.
	Append(ctx context.Context, name string, r io.Reader, size int64, o AppendOptions) (uidValidity, uid uint32, err error)
	// Select opens a mailbox for one session.
	Select(ctx context.Context, name string, readOnly bool) (View, error)
	// Usage is the bytes kept, and the quota in bytes (0: none).
	Usage(ctx context.Context) (used, quota int64, err error)
	Close() error
}

// View is one session's picture of a mailbox. Sequence numbers change only in
// Poll. It is used by one goroutine at a time, except for Wake.
type View interface {
	Name() string
	ReadOnly() bool
	UIDValidity() uint32
	UIDNext() uint32
	HighestModSeq() uint64
	Keywords() []string
	// Len is how many letters this session knows; Letter gives the one at seq
	// (1 … Len) with its flags as of now; Seq finds a UID (0: not in the view).
	Len() uint32
	Letter(seq uint32) Letter
	Seq(uid uint32) uint32
	// Poll catches up with the store. Unless expunges is true, removals stay
	// unsaid (and their letters keep their numbers) until a later Poll.
	Poll(ctx context.Context, expunges bool) ([]Change, error)
	// Wake gets a token when Poll would find something. Never closed before Close.
	Wake() <-chan struct{}
	// Open reads a message; ErrGone if another session expunged it.
	Open(ctx context.Context, uid uint32) (Reader, error)
	// Structure is the parsed message, from the cache where it is there.
	Structure(ctx context.Context, uid uint32) (*message.Part, error)
	// Store changes flags and gives the letters that it touched, as they are
	// afterwards. Sessions other than this one hear of it through Poll.
	Store(ctx context.Context, uids []uint32, op FlagOp, f Flags) ([]Letter, error)
	// Expunge removes the letters of uids (nil: all) that are \Deleted. This
	// session hears of it through Poll too.
	Expunge(ctx context.Context, uids []uint32) error
	// Copy and Move are all or nothing. Move's removals come through Poll.
	Copy(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error)
	Move(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error)
	Close() error
}
