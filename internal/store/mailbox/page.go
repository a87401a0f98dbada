package mailbox

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A mailbox's letters stand in pages, each a row of the index: page n has the
// letters whose UID shifted by pageBits is n, with everything but the bases of
// their file names, which never change and have smaller pages of their own. Pages
// are compact and have a checksum that covers mailbox and number too: an index
// whose bytes were changed must not show one letter under the number of another.
const (
	pageBits = 8
	nameBits = 6
)

// record is a letter and where its file is, but for the base of its name.
type record struct {
	letter
	found
}

// named is the base of a letter's file name.
type named struct {
	uid  uint32
	base string
}

// file is where a letter's file is, by the index.
type file struct {
	base string
	found
}

// The bits of a letter's second byte above the system flags.
const (
	bitNew   = 1 << 5 // in new/
	bitOdd   = 1 << 6 // the end of the file name is not what its flags make: it follows
	bitWords = 1 << 7 // it has keywords: they follow
)

// plainInfo is the end of file names in cur/ by flags; never changed.
var plainInfo = func() (list [32]string) {
	for f := range list {
		list[f] = infoFor("", SystemFlags(f))
	}
	return list
}()

// plain is where a file with these flags is if only we have named it.
func plain(isNew bool, f SystemFlags) found {
	if isNew {
		return found{isNew: true}
	}
	return found{info: plainInfo[f&31]}
}

// The kinds of pages, for their checksums.
const (
	kindLetters = 'L'
	kindNames   = 'N'
	kindTodo    = 'T'
)

// polynomial is one that processors know; never changed.
var polynomial = crc32.MakeTable(crc32.Castagnoli)

func checksum(kind byte, id int64, data []byte) uint32 {
	head := binary.LittleEndian.AppendUint64([]byte{kind}, uint64(id))
	return crc32.Update(crc32.Checksum(head, polynomial), polynomial, data)
}

// seal appends the checksum.
func seal(kind byte, id int64, data []byte) []byte {
	return binary.LittleEndian.AppendUint32(data, checksum(kind, id, data))
}

// unseal checks and removes it.
func unseal(kind byte, id int64, blob []byte) (cursor, error) {
	n := len(blob) - 4
	if n < 0 || binary.LittleEndian.Uint32(blob[n:]) != checksum(kind, id, blob[:n]) {
		return cursor{}, fmt.Errorf("%w: page %c%x", errCorrupt, kind, id)
	}
	return cursor{data: blob[:n]}, nil
}

// cursor reads a page. After an error everything is zero, and bad is true.
type cursor struct {
	data []byte
	bad  bool
}

func (c *cursor) more() bool { return len(c.data) > 0 && !c.bad }

func (c *cursor) byte() byte {
	if len(c.data) == 0 {
		c.bad = true
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.data)
	if n <= 0 {
		c.bad, c.data = true, nil
		return 0
	}
	c.data = c.data[n:]
	return v
}

func (c *cursor) varint() int64 {
	v := c.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// bytes reads a length and so many bytes, which stay part of the page.
func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.data)) {
		c.bad, c.data = true, nil
		return nil
	}
	b := c.data[:n:n]
	c.data = c.data[n:]
	return b
}

// end is the verdict on a page that was read to its end.
func (c *cursor) end(kind byte, id int64) error {
	if c.bad || len(c.data) > 0 {
		return fmt.Errorf("%w: page %c%x", errCorrupt, kind, id)
	}
	return nil
}

func appendBytes[T string | []byte](out []byte, b T) []byte {
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

// encodeRecords makes the page id of letters, ascending by UID. words gives the
// keywords of a set in the form of packWords.
func encodeRecords(id int64, list []record, words func(uint32) string) []byte {
	out := make([]byte, 0, 16*len(list)+8)
	var modSeq uint64
	var received int64
	for i := range list {
		r := &list[i]
		bits := byte(r.flags)
		if r.isNew {
			bits |= bitNew
		}
		odd := r.found != plain(r.isNew, r.flags)
		if odd {
			bits |= bitOdd
		}
		if r.words != 0 {
			bits |= bitWords
		}
		out = append(out, byte(r.uid), bits)
		out = binary.AppendVarint(out, int64(r.modSeq-modSeq))
		out = binary.AppendVarint(out, r.received-received)
		out = binary.AppendVarint(out, int64(r.saved)-r.received)
		out = binary.AppendUvarint(out, uint64(r.size))
		if odd {
			out = appendBytes(out, r.info)
		}
		if r.words != 0 {
			out = appendBytes(out, words(r.words))
		}
		modSeq, received = r.modSeq, r.received
	}
	return seal(kindLetters, id, out)
}

// decodeRecords appends a page's letters to list. set gives the number of a
// combination of keywords; it may be nil.
func decodeRecords(id int64, blob []byte, list []record, set func([]byte) uint32) ([]record, error) {
	c, err := unseal(kindLetters, id, blob)
	if err != nil {
		return list, err
	}
	first := uint32(id) << pageBits
	var modSeq uint64
	var received int64
	last := -1
	for c.more() {
		low := c.byte()
		bits := c.byte()
		modSeq += uint64(c.varint())
		received += c.varint()
		saved := c.varint() + received
		r := record{letter: letter{uid: first | uint32(low), flags: SystemFlags(bits & 31), modSeq: modSeq,
			received: received, saved: uint32(saved), size: int64(c.uvarint())}}
		r.found = plain(bits&bitNew != 0, r.flags)
		if bits&bitOdd != 0 {
			r.info = string(c.bytes())
		}
		if bits&bitWords != 0 {
			if words := c.bytes(); set != nil {
				r.words = set(words)
			}
		}
		c.bad = c.bad || int(low) <= last
		last = int(low)
		list = append(list, r)
	}
	return list, c.end(kindLetters, id)
}

// shared is how many bytes two strings have in common at their start.
func shared(x, y string) int {
	n := min(len(x), len(y))
	for i := range n {
		if x[i] != y[i] {
			return i
		}
	}
	return n
}

// encodeNames makes the page id of names, ascending by UID. A name begins with as
// many bytes of the one before as the first number says.
func encodeNames(id int64, list []named) []byte {
	var out []byte
	last := ""
	for _, x := range list {
		same := shared(last, x.base)
		out = append(out, byte(x.uid)&(1<<nameBits-1))
		out = binary.AppendUvarint(out, uint64(same))
		out = appendBytes(out, x.base[same:])
		last = x.base
	}
	return seal(kindNames, id, out)
}

// decodeNames appends a page's names to list.
func decodeNames(id int64, blob []byte, list []named) ([]named, error) {
	c, err := unseal(kindNames, id, blob)
	if err != nil {
		return list, err
	}
	first := uint32(id) << nameBits
	start := len(list)
	var all []byte // the names, one after the other
	var ends []int // where each ends
	from, low := 0, -1
	for c.more() {
		n := c.byte()
		same := c.uvarint()
		rest := c.bytes()
		if int(n) <= low || n >= 1<<nameBits || same > uint64(len(all)-from) {
			c.bad = true
			break
		}
		low = int(n)
		next := len(all)
		all = append(all, all[from:from+int(same)]...)
		all = append(all, rest...)
		from = next
		ends = append(ends, len(all))
		list = append(list, named{uid: first | uint32(n)})
	}
	text := string(all)
	from = 0
	for i, end := range ends {
		list[start+i].base = text[from:end]
		from = end
	}
	return list, c.end(kindNames, id)
}
