package imapd

import (
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// counts is what Dovecot's log tells of what a user did.
type counts struct {
	deleted, expunged    int64 // letters
	headers, headerBytes int64 // parts that were fetched, and their octets
	bodies, bodyBytes    int64
}

// fetched counts what is sent of a letter.
func (c *counts) fetched(s imap.Section, size int64) {
	switch s.Text {
	case imap.SectionAll, imap.SectionBody:
		c.bodies++
		c.bodyBytes += size
	default:
		c.headers++
		c.headerBytes += size
	}
}

// stored counts letters that got the flag \Deleted.
func (c *counts) stored(a imap.Store, letters int) {
	if flagOp(a.Op) != mailbox.FlagsRemove && slices.Contains(a.Flags, `\Deleted`) {
		c.deleted += int64(letters)
	}
}
