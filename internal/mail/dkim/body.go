package dkim

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"hash"
	"slices"
)

// Body hashes a body while it streams by, once for each canonical form that
// anybody wants, whatever the number of those who want it.
type Body struct {
	forms  [2]*canonical // by Canon; nil: nobody wants it
	begun  bool
	closed bool
}

// NewBody is a Body that nobody wants anything of.
func NewBody() *Body { return &Body{} }

// Digest is a claim to one hash of a Body. The zero Digest claims nothing.
type Digest struct {
	canon Canon
	limit int64
	valid bool
}

// Want claims the hash h of the first limit bytes of the canonical body; all of
// them, if limit is negative. It has to come before the first Write. Of the hashes
// there is SHA-256 only: a claim to another one is void.
func (b *Body) Want(c Canon, h crypto.Hash, limit int64) Digest {
	if h != crypto.SHA256 || c > Simple || b.begun || b.closed {
		return Digest{}
	}
	if b.forms[c] == nil {
		b.forms[c] = &canonical{canon: c, sum: sha256.New(), buf: make([]byte, 0, most)}
	}
	d := Digest{canon: c, limit: max(limit, -1), valid: true}
	if limit >= 0 {
		b.forms[c].mark(limit)
	}
	return d
}

// Write takes the next bytes of the body, as they were received. It never fails.
func (b *Body) Write(p []byte) (int, error) {
	b.begun = b.begun || len(p) > 0
	for _, f := range b.forms {
		switch {
		case f == nil:
		case f.canon == Simple:
			f.writeSimple(p)
		default:
			f.writeRelaxed(p)
		}
	}
	return len(p), nil
}

// Sum ends the body and gives the hash that was claimed; nil for a void claim.
func (b *Body) Sum(d Digest) []byte {
	b.close()
	if !d.valid || b.forms[d.canon] == nil {
		return nil
	}
	return b.forms[d.canon].at(d.limit)
}

// Length ends the body and tells how many bytes its canonical form has; 0 if
// nobody wanted that form.
func (b *Body) Length(c Canon) int64 {
	b.close()
	if c > Simple || b.forms[c] == nil {
		return 0
	}
	return b.forms[c].length
}

func (b *Body) close() {
	if b.closed {
		return
	}
	b.closed = true
	for _, f := range b.forms {
		if f != nil {
			f.end()
		}
	}
}

// canonical is a body in one form, and the hash of it. Hashes of its beginning
// (l=) are read off the same hash when it gets there.
type canonical struct {
	canon  Canon
	sum    hash.Hash
	length int64  // bytes of the canonical form so far
	marks  []mark // by limit, rising
	next   int    // the first mark that is not reached

	lines int64 // line ends held back: they count when something follows
	gap   bool  // relaxed: white space is held back
	cr    bool  // a CR is held back: LF may follow
	buf   []byte
}

type mark struct {
	limit int64
	sum   []byte
}

func (f *canonical) mark(limit int64) {
	i, found := slices.BinarySearchFunc(f.marks, limit, func(m mark, l int64) int { return int(min(max(m.limit-l, -1), 1)) })
	if !found {
		f.marks = slices.Insert(f.marks, i, mark{limit: limit})
	}
}

// at is the hash of the first limit bytes; of all if there are fewer.
func (f *canonical) at(limit int64) []byte {
	for _, m := range f.marks {
		if m.limit == limit && m.sum != nil {
			return m.sum
		}
	}
	return f.sum.Sum(nil)
}

var lineEnd, bareCR, oneSpace = []byte("\r\n"), []byte("\r"), []byte(" ")

// writeSimple lets all pass but line ends, which wait for what follows.
func (f *canonical) writeSimple(p []byte) {
	for len(p) > 0 {
		if f.cr && p[0] != '\n' {
			f.text(bareCR)
		}
		f.cr = false
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			f.cr = p[len(p)-1] == '\r'
			if f.cr {
				p = p[:len(p)-1]
			}
			f.text(p)
			return
		}
		f.text(bytes.TrimSuffix(p[:i], []byte("\r")))
		f.lines++
		p = p[i+1:]
	}
}

// writeRelaxed also makes one space of each run of white space, and nothing of
// those at the end of a line.
func (f *canonical) writeRelaxed(p []byte) {
	for len(p) > 0 {
		switch c := p[0]; {
		case c == '\n':
			f.cr, f.gap = false, false
			f.lines++
		case f.cr:
			f.cr = false
			f.text(bareCR) // nothing but a CR, after all
			continue
		case c == '\r':
			f.cr = true
		case c == ' ' || c == '\t':
			f.gap = true
		default:
			n := plain(p)
			f.text(p[:n])
			p = p[n:]
			continue
		}
		p = p[1:]
	}
}

// plain is the length of what relaxed does not change at the start of p: up to the
// end of the line, to a tab, or to a space that is not a single one between words.
// Most bytes are letters, and cost one comparison.
func plain(p []byte) int {
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c > ' ' || !special(c):
		case c != ' ' || i+1 == len(p) || special(p[i+1]):
			return i
		default:
			i++ // the letter after a single space
		}
	}
	return len(p)
}

func special(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// text is content that may be empty.
func (f *canonical) text(p []byte) {
	if len(p) == 0 {
		return
	}
	f.release()
	f.emit(p)
}

// release lets go what was held back.
func (f *canonical) release() {
	for ; f.lines > 0; f.lines-- {
		f.emit(lineEnd)
	}
	if f.gap {
		f.gap = false
		f.emit(oneSpace)
	}
}

// end writes the last line end: one, unless the body is empty and relaxed.
func (f *canonical) end() {
	if f.cr {
		f.cr = false
		f.text(bareCR)
	}
	if f.canon == Simple || f.length > 0 {
		f.emit(lineEnd)
	}
	f.flush()
	f.marks = f.marks[:f.next] // what lies behind the end is the whole
}

// most is how many bytes wait for being hashed together.
const most = 4096

// emit counts and hashes, and stops at each mark to read the hash.
func (f *canonical) emit(p []byte) {
	for f.next < len(f.marks) && f.length+int64(len(p)) >= f.marks[f.next].limit {
		n := f.marks[f.next].limit - f.length
		f.add(p[:n])
		p = p[n:]
		f.flush()
		f.marks[f.next].sum = f.sum.Sum(nil)
		f.next++
	}
	f.add(p)
}

func (f *canonical) add(p []byte) {
	f.length += int64(len(p))
	if len(f.buf)+len(p) > most {
		f.flush()
	}
	if len(p) >= most {
		f.sum.Write(p)
		return
	}
	f.buf = append(f.buf, p...)
}

func (f *canonical) flush() {
	f.sum.Write(f.buf)
	f.buf = f.buf[:0]
}
