package collate

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf8"
)

// Needle is a text that is looked for without regard to case. It is used by one
// goroutine: it keeps the memory that it works in.
type Needle struct {
	folded []byte
	narrow bool // folded is ASCII
	// The octet that is looked for first: the rarest one, where it stands in
	// folded, and its other case.
	rare       int
	big, small byte

	scratch []byte // folded pieces of what is searched
	chunk   []byte // of InReader
}

// NewNeedle makes one of a text in UTF-8. The empty one is in everything.
func NewNeedle(text string) *Needle {
	n := &Needle{folded: []byte(Fold(text))}
	n.narrow = nextWide(n.folded, 0) == len(n.folded)
	if !n.narrow || len(n.folded) == 0 {
		return n
	}
	for i, c := range n.folded {
		if rarity(c) > rarity(n.folded[n.rare]) {
			n.rare = i
		}
	}
	n.big = n.folded[n.rare]
	if n.small = n.big; n.big >= 'A' && n.big <= 'Z' {
		n.small = n.big - 'A' + 'a'
	}
	return n
}

// Folded is the needle as it is compared.
func (n *Needle) Folded() string { return string(n.folded) }

// common is the octets of letters in the order of how often they stand there; what
// is not in it is digits and punctuation, which are rarer than most.
const common = " ETAOINSRHLDCUMFPGWYB"

func rarity(c byte) int {
	if i := strings.IndexByte(common, c); i >= 0 {
		return i
	}
	return len(common)
}

// In says whether the text has the needle in it.
func (n *Needle) In(text []byte) bool {
	if len(n.folded) == 0 {
		return true
	}
	if n.narrow && n.inNarrow(text) {
		return true
	}
	return n.inWide(text)
}

// inNarrow looks at the ASCII in the text: from one place where the rarest octet
// stands to the next. Should that come to nothing too often, as it does in a text
// made for it, all is folded once: time stays in proportion to the text.
func (n *Needle) inNarrow(text []byte) bool {
	last := len(text) - len(n.folded) // where a match may start
	if last < 0 {
		return false
	}
	places := text[n.rare : last+n.rare+1]
	big, small := -1, -1 // the next of each case, from at on
	work := 4*len(text) + 64
	for at := 0; at < len(places); at++ {
		big, small = next(places, n.big, big, at), next(places, n.small, small, at)
		if at = min(big, small); at == len(places) {
			return false
		}
		same := n.same(text[at:])
		if same == len(n.folded) {
			return true
		}
		if work -= same + 1; work < 0 {
			n.scratch = appendUpper(n.scratch[:0], text[at:])
			return bytes.Contains(n.scratch, n.folded)
		}
	}
	return false
}

// next keeps a place that was found, or finds the first from at on.
func next(text []byte, c byte, found, at int) int {
	if found >= at {
		return found
	}
	if i := bytes.IndexByte(text[at:], c); i >= 0 {
		return at + i
	}
	return len(text)
}

// same is how many octets of the needle the text starts with.
func (n *Needle) same(text []byte) int {
	for i, c := range n.folded {
		if upper(text[i]) != c {
			return i
		}
	}
	return len(n.folded)
}

func appendUpper(dst, text []byte) []byte {
	for _, c := range text {
		dst = append(dst, upper(c))
	}
	return dst
}

// inWide folds what is not ASCII, with as much around it as a match can reach.
func (n *Needle) inWide(text []byte) bool {
	reach := len(n.folded) - 1
	for i := nextWide(text, 0); i < len(text); {
		after, following := n.wideEnd(text, i, reach)
		from, to := max(0, i-reach), min(len(text), after+reach)
		n.scratch = Append(n.scratch[:0], text[from:to])
		if bytes.Contains(n.scratch, n.folded) {
			return true
		}
		i = following
	}
	return false
}

// wideEnd is where a stretch of wide characters ends, with what lies so near that
// it is folded together, and where the next one starts.
func (n *Needle) wideEnd(text []byte, i, reach int) (after, following int) {
	for {
		for i < len(text) && text[i] >= utf8.RuneSelf {
			i++
		}
		following = nextWide(text, i)
		if following == len(text) || following-i > 2*reach {
			return i, following
		}
		i = following
	}
}

// nextWide is the first octet from i on that is not ASCII; len(text) for none.
func nextWide(text []byte, i int) int {
	for ; i+8 <= len(text); i += 8 {
		if binary.LittleEndian.Uint64(text[i:])&0x8080808080808080 != 0 {
			break
		}
	}
	for ; i < len(text) && text[i] < utf8.RuneSelf; i++ {
	}
	return i
}

// chunkSize is how much of a stream is searched at a time, in octets.
const chunkSize = 64 << 10

// InReader looks for the needle in a stream of UTF-8, in bounded memory: the last
// octets of each chunk that could be the start of a match are looked at again.
func (n *Needle) InReader(r io.Reader) (bool, error) {
	if len(n.folded) == 0 {
		return true, nil
	}
	// A character may have four octets and fold to one.
	reach := utf8.UTFMax * len(n.folded)
	if n.chunk == nil {
		n.chunk = make([]byte, max(chunkSize, 2*reach))
	}
	kept := 0
	for {
		got, err := io.ReadFull(r, n.chunk[kept:])
		text := n.chunk[:kept+got]
		if err == nil {
			text = text[:wholeRunes(text)]
		}
		if n.In(text) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		from := runeStart(text, max(0, len(text)-reach))
		kept = copy(n.chunk, n.chunk[from:kept+got])
	}
}

// wholeRunes is how much of b is finished characters.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}
			return i
		}
	}
	return len(b)
}

// runeStart is the first character that starts at i or after.
func runeStart(b []byte, i int) int {
	for range utf8.UTFMax {
		if i < len(b) && !utf8.RuneStart(b[i]) {
			i++
		}
	}
	return i
}
