package fulltext

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"

	"facteur/internal/mail/collate"
)

const (
	// Beside is how many UIDs share a page.
	Beside = 64
	// rows is how many bits a signature has.
	rows = 4096
	// gram is how many octets a bit is of.
	gram = 3

	pageMarks = 4 + 8
	pageHead  = pageMarks + Beside*4
	pageSize  = pageHead + rows*8
)

// row is the bit of three octets.
func row(a, b, c byte) uint16 {
	h := (uint32(a)<<16 | uint32(b)<<8 | uint32(c)) * 0x9E3779B1
	return uint16(h >> (32 - 12))
}

// Rows is the bits that a letter must have to have the text in it; nil if it is too
// short to tell. The text is folded.
func Rows(folded string) []uint16 {
	var out []uint16
	for i := 0; i+gram <= len(folded) && i < 64; i++ {
		out = append(out, row(folded[i], folded[i+1], folded[i+2]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Signature is what letters' texts are gathered in, one letter after the other.
type Signature struct {
	bits    [rows / 64]uint64
	scratch []byte
}

// Reset begins the next letter.
func (s *Signature) Reset() { clear(s.bits[:]) }

// Add adds a text in UTF-8.
func (s *Signature) Add(text []byte) {
	s.scratch = collate.Append(s.scratch[:0], text)
	t := s.scratch
	for i := gram; i <= len(t); i++ {
		r := row(t[i-3], t[i-2], t[i-1])
		s.bits[r/64] |= 1 << (r % 64)
	}
}

// Fill gives the letter all bits: it is never ruled out.
func (s *Signature) Fill() {
	for i := range s.bits {
		s.bits[i] = ^uint64(0)
	}
}

// Page is the signatures of 64 neighbouring UIDs.
type Page []byte

// NewPage is a page without letters.
func NewPage() Page { return make(Page, pageSize) }

// Letter is what a letter is known by: its size, in octets, and the time when it was
// received, in s since 1970, tell it from one that had the same UID in an index of
// mailboxes that was lost or exchanged.
type Letter struct {
	UID            uint32
	Size, Received int64
}

func (l Letter) mark() uint32 {
	var b [20]byte
	binary.LittleEndian.PutUint32(b[0:], l.UID)
	binary.LittleEndian.PutUint64(b[4:], uint64(l.Size))
	binary.LittleEndian.PutUint64(b[12:], uint64(l.Received))
	return crc32.Checksum(b[:], castagnoli)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Has says whether the letter is in the page.
func (p Page) Has(l Letter) bool {
	return p.known()>>(l.UID%Beside)&1 == 1 && binary.LittleEndian.Uint32(p.markOf(l)) == l.mark()
}

func (p Page) markOf(l Letter) []byte { return p[pageMarks+4*(l.UID%Beside):] }

func (p Page) known() uint64 {
	if p == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(p[4:])
}

// Put puts a letter in. Bits of another one that had its place stay, and rule nothing
// out.
func (p Page) Put(l Letter, s *Signature) {
	bit := uint64(1) << (l.UID % Beside)
	binary.LittleEndian.PutUint32(p.markOf(l), l.mark())
	binary.LittleEndian.PutUint64(p[4:], p.known()|bit)
	for i, word := range s.bits {
		for ; word != 0; word &= word - 1 {
			at := p[pageHead+8*(i*64+bits.TrailingZeros64(word)):]
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|bit)
		}
	}
}

// May says whether the letter may have a text with these rows (see Rows): false only
// if it can't.
func (p Page) May(l Letter, rows []uint16) bool {
	if !p.Has(l) {
		return true
	}
	mask := uint64(1) << (l.UID % Beside)
	for _, r := range rows {
		if mask &= binary.LittleEndian.Uint64(p[pageHead+8*int(r):]); mask == 0 {
			return false
		}
	}
	return true
}

// seal puts the sum in.
func (p Page) seal(id int64) { binary.LittleEndian.PutUint32(p, p.sum(id)) }

func (p Page) whole(id int64) bool {
	return len(p) == pageSize && binary.LittleEndian.Uint32(p) == p.sum(id)
}

func (p Page) sum(id int64) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, uint64(id)), castagnoli), castagnoli, p[4:])
}
