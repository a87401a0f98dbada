package anatomy

import (
	"bytes"
	"encoding/binary"
	"slices"

	"facteur/internal/mail/message"
)

// How much of an archive is looked through, in bytes, and how many names are told.
const (
	archiveBytes = 8 << 20
	maxEntries   = 100
)

// Entry is a file in an archive.
type Entry struct {
	Name string `json:"name"`
	// Runs: a double click on it would run something.
	Runs bool `json:"runs,omitempty"`
	// Locked: it is encrypted, so that no filter could look inside.
	Locked bool `json:"locked,omitempty"`
}

// zipEntries finds the files of a ZIP by their local headers, wherever these stand:
// in archives that were cut off, or glued to something else, and in archives that
// stand unpacked inside the archive. Directories are left out.
func zipEntries(data []byte) (entries []Entry, more int) {
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte("PK\x03\x04"))
		if i < 0 {
			return entries, more
		}
		at += i
		e, next, ok := zipEntry(data[at:])
		at += next
		switch {
		case !ok || slices.Contains(entries, e):
		case len(entries) == maxEntries:
			more++
		default:
			entries = append(entries, e)
		}
	}
}

// zipEntry reads a local header; next is where the search goes on.
func zipEntry(b []byte) (e Entry, next int, ok bool) {
	const fixed = 30
	if len(b) < fixed {
		return e, 4, false
	}
	flags, method := binary.LittleEndian.Uint16(b[6:]), binary.LittleEndian.Uint16(b[8:])
	length := int(binary.LittleEndian.Uint16(b[26:]))
	if length == 0 || length > 1024 || fixed+length > len(b) || method > 99 {
		return e, 4, false
	}
	name := string(b[fixed : fixed+length])
	if name[length-1] == '/' || bytes.IndexByte(b[fixed:fixed+length], 0) >= 0 {
		return e, 4, false
	}
	return Entry{Name: text(name), Runs: runs(message.SafeFileName(name)), Locked: flags&1 != 0}, fixed + length, true
}
