package digest

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// pageLetters is how many UIDs share a page. Larger pages are read faster when a
// whole mailbox is listed, and written slower when one letter comes.
const pageLetters = 64

// parts is how many parts a digest has.
const parts = 4

// pageID names a page: see the package's doc. That of part 0 stands for all parts.
type pageID int64

func pageOf(validity, uid uint32) pageID {
	return pageID(int64(validity)<<28 | int64(uid/pageLetters)<<2)
}

func (id pageID) validity() uint32 { return uint32(id >> 28) }

// Key names the bytes of a letter. Size and Received are those of the index: of two
// letters that a mistake gave the same UID, the cache takes one for the other only
// if these are equal too.
type Key struct {
	Validity, UID  uint32
	Size, Received int64 // octets, Unix seconds
}

func (k Key) page() pageID { return pageOf(k.Validity, k.UID) }

// Beside tells whether two letters share a page.
func (k Key) Beside(other Key) bool { return k.page() == other.page() }

func (k Key) slot() int { return int(k.UID % pageLetters) }

// mark is what a digest of the letter bears.
func (k Key) mark() uint32 {
	var b [24]byte
	binary.LittleEndian.PutUint32(b[0:], k.Validity)
	binary.LittleEndian.PutUint32(b[4:], k.UID)
	binary.LittleEndian.PutUint64(b[8:], uint64(k.Size))
	binary.LittleEndian.PutUint64(b[16:], uint64(k.Received))
	return crc32.Checksum(b[:], castagnoli)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entry is one part of one digest.
type entry struct {
	mark uint32
	data []byte // nil: there is none
}

// page is a page in memory, by slot.
type page [pageLetters]entry

const (
	pageHead  = 4 + 8 // sum, bits
	entryHead = 4 + 4 // mark, end of the data
)

// sum is the checksum of a page's data.
func (id pageID) sum(data []byte) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(id))
	return crc32.Update(crc32.Checksum(b[:], castagnoli), castagnoli, data[4:])
}

// encode is the page as it stands in the file.
func (p *page) encode(id pageID) []byte {
	var there uint64
	size := pageHead
	for i := range p {
		if p[i].data != nil {
			there |= 1 << i
			size += entryHead + len(p[i].data)
		}
	}
	b := make([]byte, pageHead, size)
	binary.LittleEndian.PutUint64(b[4:], there)
	end := 0
	for i := range p {
		if p[i].data != nil {
			end += len(p[i].data)
			b = binary.LittleEndian.AppendUint32(b, p[i].mark)
			b = binary.LittleEndian.AppendUint32(b, uint32(end))
		}
	}
	for i := range p {
		b = append(b, p[i].data...)
	}
	binary.LittleEndian.PutUint32(b, id.sum(b))
	return b
}

// block is a page as it stands in the file, checked; nil is an empty page.
type block []byte

// check gives data as a block if it is one, nil else.
func check(id pageID, data []byte) block {
	if len(data) < pageHead || binary.LittleEndian.Uint32(data) != id.sum(data) {
		return nil
	}
	b := block(data)
	n := bits.OnesCount64(b.there())
	room := len(b) - pageHead - n*entryHead
	last := uint32(0)
	for i := range n {
		if room < 0 || b.end(i) < last {
			return nil
		}
		last = b.end(i)
	}
	if room != int(last) {
		return nil
	}
	return b
}

func (b block) there() uint64 { return binary.LittleEndian.Uint64(b[4:]) }

func (b block) mark(i int) uint32 { return binary.LittleEndian.Uint32(b[pageHead+i*entryHead:]) }

func (b block) end(i int) uint32 { return binary.LittleEndian.Uint32(b[pageHead+i*entryHead+4:]) }

// get is what stands in a slot; data is nil if nothing does.
func (b block) get(slot int) entry {
	if len(b) == 0 || b.there()>>slot&1 == 0 {
		return entry{}
	}
	n := bits.OnesCount64(b.there())
	i := bits.OnesCount64(b.there() & (1<<slot - 1))
	data := b[pageHead+n*entryHead:]
	from := uint32(0)
	if i > 0 {
		from = b.end(i - 1)
	}
	return entry{b.mark(i), data[from:b.end(i):b.end(i)]}
}

// page is the block as a page that can be changed; it shares the block's data.
func (b block) page() *page {
	p := new(page)
	for i := range p {
		p[i] = b.get(i)
	}
	return p
}
