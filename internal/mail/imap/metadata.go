package imap

import (
	"math"
	"strings"
)

// GetMetadata is GETMETADATA (RFC 5464 §4.2). Mailbox "" means the server.
type GetMetadata struct {
	Mailbox string
	Entries []string // in lower case
	// MaxSize is the largest value wanted, in octets; -1: any.
	MaxSize int64
	// Depth is how many levels below the entries are wanted, -1: all.
	Depth int
}

// SetMetadata is SETMETADATA (RFC 5464 §4.3).
type SetMetadata struct {
	Mailbox string
	Entries []MetadataEntry
}

// MetadataEntry is a name, in lower case, and a value, nil for NIL.
type MetadataEntry struct {
	Name  string
	Value []byte
}

const maxEntries = 1000

// metadataGrammar is the commands of RFC 5464.
func (d *Decoder) metadataGrammar(name string) (read func() any, known bool) {
	switch name {
	case "GETMETADATA":
		return d.getMetadata, true
	case "SETMETADATA":
		return d.setMetadata, true
	}
	return nil, false
}

// getMetadata takes the options before the mailbox, as the grammar has them, and
// behind it, as the RFC's examples do.
func (d *Decoder) getMetadata() any {
	g := GetMetadata{MaxSize: -1}
	if d.peek() == '(' {
		d.metadataOptions(&g)
		d.space()
	}
	g.Mailbox = d.mailbox()
	d.space()
	if d.ahead("(MAXSIZE ") || d.ahead("(DEPTH ") {
		d.metadataOptions(&g)
		d.space()
	}
	g.Entries = d.entries()
	return g
}

func (d *Decoder) metadataOptions(g *GetMetadata) {
	d.list(func() {
		switch w := d.word(); w {
		case "MAXSIZE":
			d.space()
			g.MaxSize = int64(d.number32())
		case "DEPTH":
			d.space()
			g.Depth = d.depthOption()
		default:
			d.fail("Unknown option %s", clip(w))
		}
	})
}

func (d *Decoder) depthOption() int {
	switch w := d.word(); w {
	case "0":
		return 0
	case "1":
		return 1
	case "INFINITY":
		return math.MaxInt
	default:
		d.fail("Unknown depth %s", clip(w))
		return 0
	}
}

// entries is one entry, or several in parentheses.
func (d *Decoder) entries() (names []string) {
	if d.peek() != '(' {
		return []string{d.entry()}
	}
	d.list(func() {
		if names = append(names, d.entry()); len(names) > maxEntries && d.err == nil {
			d.err = &LimitError{"Too many entries"}
		}
	})
	if len(names) == 0 {
		d.fail("Expected an entry")
	}
	return names
}

// entry is the name of one, which means the same in any case.
func (d *Decoder) entry() string {
	name := strings.ToLower(d.astring())
	if !strings.HasPrefix(name, "/") {
		d.fail("Bad entry name")
	}
	return name
}

func (d *Decoder) setMetadata() any {
	s := SetMetadata{Mailbox: d.mailbox()}
	d.space()
	d.list(func() {
		e := MetadataEntry{Name: d.entry()}
		d.space()
		e.Value = d.value()
		if s.Entries = append(s.Entries, e); len(s.Entries) > maxEntries && d.err == nil {
			d.err = &LimitError{"Too many entries"}
		}
	})
	if len(s.Entries) == 0 {
		d.fail("Expected an entry")
	}
	return s
}

// value is an nstring or a literal8; nil for NIL.
func (d *Decoder) value() []byte {
	if d.acceptWord("NIL") {
		return nil
	}
	if d.peek() == '~' {
		return append([]byte{}, d.literal8()...)
	}
	return append([]byte{}, d.str()...)
}
