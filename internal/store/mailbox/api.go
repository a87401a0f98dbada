package mailbox

import (
	"context"
	"errors"
	"io"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
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

// Owner is whose mailboxes to open.
type Owner struct {
	Address string // for events only
	Home    string // absolute directory that holds Maildir/ and index.db
	Quota   int64  // most bytes that all mailboxes together may hold; 0: no limit
}

// Store opens accounts and shares them among sessions.
type Store struct{}

// New makes a store on a file system.
func New(fs vfs.FS, events event.Sink) *Store { panic("not yet") }

// Open gives the mailboxes of an account. All sessions of one Home share them;
// each must Close what it got. The first Open makes what is missing: the
// Maildir, the index, and the mailboxes Drafts, Sent, Junk, Trash and Archive.
func (s *Store) Open(ctx context.Context, o Owner) (*Account, error) { panic("not yet") }

// Usage is the bytes that an account keeps, opened or not.
func (s *Store) Usage(ctx context.Context, o Owner) (int64, error) { panic("not yet") }

// Notify tells that something was delivered below home by this process.
func (s *Store) Notify(home string) { panic("not yet") }

// Close waits for nothing and closes what is still open.
func (s *Store) Close() error { panic("not yet") }

// Account is what a logged-in user has: all mailboxes of one account. It is
// safe for concurrent use and shared by all sessions of the account.
type Account struct{}

// List gives every mailbox and every subscribed name, sorted, INBOX first.
func (a *Account) List(ctx context.Context) ([]Info, error) { panic("not yet") }

// Create makes a mailbox, and its parents as bare names.
func (a *Account) Create(ctx context.Context, name string) error { panic("not yet") }

// Delete removes the mailbox and its letters; INBOX can't be deleted. One that
// has children stays as a bare parent (\NoSelect).
func (a *Account) Delete(ctx context.Context, name string) error { panic("not yet") }

// Rename renames with all children. Renaming INBOX moves its letters into the
// new mailbox and leaves INBOX empty (RFC 9051 §6.3.6).
func (a *Account) Rename(ctx context.Context, from, to string) error { panic("not yet") }

// Subscribe puts a name on the list of subscriptions or takes it off.
func (a *Account) Subscribe(ctx context.Context, name string, on bool) error { panic("not yet") }

// Status tells about a mailbox without opening it.
func (a *Account) Status(ctx context.Context, name string) (Status, error) { panic("not yet") }

// Append stores a message whole or not at all and gives its UID. It is durable
// when Append returns.
func (a *Account) Append(ctx context.Context, name string, r io.Reader, size int64, o AppendOptions) (uidValidity, uid uint32, err error) {
	panic("not yet")
}

// Select opens a mailbox for one session.
func (a *Account) Select(ctx context.Context, name string, readOnly bool) (*View, error) {
	panic("not yet")
}

// Usage is the bytes kept, and the quota in bytes (0: none).
func (a *Account) Usage(ctx context.Context) (used, quota int64, err error) { panic("not yet") }

// Check tells what is inconsistent between index, views and files; for tests.
func (a *Account) Check() error { panic("not yet") }

// Close gives the account back.
func (a *Account) Close() error { panic("not yet") }

// View is one session's picture of a mailbox. Sequence numbers change only in
// Poll. It is used by one goroutine at a time, except for Wake.
type View struct{}

// Name is the mailbox's name when it was opened.
func (v *View) Name() string { panic("not yet") }

// ReadOnly is true after EXAMINE.
func (v *View) ReadOnly() bool { panic("not yet") }

// UIDValidity is the mailbox's UIDVALIDITY.
func (v *View) UIDValidity() uint32 { panic("not yet") }

// UIDNext is above every UID in use.
func (v *View) UIDNext() uint32 { panic("not yet") }

// HighestModSeq is the highest MODSEQ in the mailbox.
func (v *View) HighestModSeq() uint64 { panic("not yet") }

// Keywords are the names that letters of this mailbox have or had.
func (v *View) Keywords() []string { panic("not yet") }

// Len is how many letters this session knows.
func (v *View) Len() uint32 { panic("not yet") }

// Letter gives the letter at seq (1 … Len) with its flags as of now.
func (v *View) Letter(seq uint32) Letter { panic("not yet") }

// Seq finds a UID (0: not in the view).
func (v *View) Seq(uid uint32) uint32 { panic("not yet") }

// Poll catches up with the store. Unless expunges is true, removals stay unsaid
// (and their letters keep their numbers) until a later Poll.
func (v *View) Poll(ctx context.Context, expunges bool) ([]Change, error) { panic("not yet") }

// Wake gets a token when Poll would find something. Never closed before Close.
func (v *View) Wake() <-chan struct{} { panic("not yet") }

// Open reads a message; ErrGone if another session expunged it.
func (v *View) Open(ctx context.Context, uid uint32) (Reader, error) { panic("not yet") }

// Structure is the parsed message, from the cache where it is there.
func (v *View) Structure(ctx context.Context, uid uint32) (*message.Part, error) { panic("not yet") }

// Store changes flags and gives the letters that it touched, as they are
// afterwards. Sessions other than this one hear of it through Poll.
func (v *View) Store(ctx context.Context, uids []uint32, op FlagOp, f Flags) ([]Letter, error) {
	panic("not yet")
}

// Expunge removes the letters of uids (nil: all) that are \Deleted. This session
// hears of it through Poll too.
func (v *View) Expunge(ctx context.Context, uids []uint32) error { panic("not yet") }

// Copy copies letters, all or none of them.
func (v *View) Copy(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error) {
	panic("not yet")
}

// Move moves letters, all or none of them. The removals come through Poll.
func (v *View) Move(ctx context.Context, uids []uint32, to string) (uidValidity uint32, pairs []UIDPair, err error) {
	panic("not yet")
}

// Close ends the session's use of the mailbox.
func (v *View) Close() error { panic("not yet") }
