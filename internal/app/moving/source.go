package moving

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"facteur/internal/app/control"
	"facteur/internal/store/mailbox"
)

// Source is where mail comes from. There are three: a Maildir, files in the form mbox,
// and a server that speaks IMAP.
type Source interface {
	// Boxes lists the mailboxes.
	Boxes(ctx context.Context) ([]Box, error)
	// Letters gives the letters of a mailbox in order of their UIDs, but for those that
	// have says came before. give reads the letter before it returns; what it fails with
	// ends Letters. What can't be read is given to bad.
	Letters(ctx context.Context, b *Box, have func(mailbox.Key) bool, give func(Letter, io.Reader) error, bad func(what string, err error)) error
	// Close ends it.
	Close() error
}

// Box is a mailbox of a source.
type Box struct {
	// Name is the one here, with "/" between the levels.
	Name string
	// ID names the mailbox of the source for ever, whatever its name here.
	ID         string
	SpecialUse string
	Subscribed bool
	// Virtual is only a name that is subscribed, or that others stand below.
	Virtual bool
	// Validity and UIDNext are those of the source; 0: it has none.
	Validity, UIDNext uint32
	// ACL is a file dovecot-acl; "" for none.
	ACL string
	// Count and Bytes are how much there is, as far as the source tells; -1: it does not.
	Count, Bytes int64
	// Refused is why the source does not open the mailbox; nil: it does. Such a mailbox
	// is told, and nothing of it comes.
	Refused error

	place string // of the source
}

// Letter is one of a source.
type Letter struct {
	control.ImportLetter
	// Size is in bytes, for progress; -1: it is not known before it was read.
	Size int64
	// After is called when the letter is safe here; nil: nothing is to be done.
	After func() error
}

// keyOf names a letter by what its source says of it.
func keyOf(words ...string) (k mailbox.Key) {
	h := sha256.New()
	for _, w := range words {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(w)))
		h.Write(n[:])
		io.WriteString(h, w)
	}
	copy(k[:], h.Sum(nil))
	return k
}

// journalName is the source and its mailbox as the name of a file.
func journalName(kind, id string) string {
	k := keyOf(kind, id)
	return fmt.Sprintf("%s-%x", kind, k[:])
}
