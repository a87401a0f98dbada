package lexicon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// magic begins a file of counts; its last byte is the version.
const magic = "FACTLEX\x01"

var (
	errDamaged = errors.New("the file is damaged")
	errVersion = errors.New("the file is of another version of facteur")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	order      = binary.LittleEndian
)

const tokenBytes = 6

func appendToken(b []byte, token uint64) []byte {
	return append(b, byte(token), byte(token>>8), byte(token>>16), byte(token>>24), byte(token>>32), byte(token>>40))
}

func readToken(b []byte) uint64 {
	return uint64(order.Uint32(b)) | uint64(order.Uint16(b[4:]))<<32
}

// encode writes all of a book.
func (p *pages) encode(owner string) []byte {
	b := make([]byte, 0, 256+(p.main.tokens+p.waiting.tokens+len(p.letters.known))*entryBytes)
	b = append(b, magic...)
	b = order.AppendUint64(b, p.generation)
	b = order.AppendUint16(b, uint16(len(owner)))
	b = append(b, owner...)
	b = order.AppendUint32(b, p.spam.Load())
	b = order.AppendUint32(b, p.ham.Load())
	b = append(b, p.epoch)
	b = order.AppendUint16(b, p.today)
	b = order.AppendUint32(b, p.ofToday)
	b = p.main.encode(b)
	b = p.waiting.encode(b)
	b = order.AppendUint32(b, uint32(len(p.letters.known)))
	p.letters.each(func(key uint64, what learnt) {
		b = order.AppendUint64(b, key)
		b = order.AppendUint16(b, what.day)
		b = append(b, what.epoch, byte(what.class))
	})
	b = order.AppendUint32(b, uint32(len(p.teachers)))
	for id, t := range p.teachers {
		b = order.AppendUint64(b, id)
		b = order.AppendUint32(b, t.spam)
		b = order.AppendUint32(b, t.ham)
		b = order.AppendUint16(b, t.day)
		b = order.AppendUint16(b, t.ofDay)
	}
	return order.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (t *table) encode(b []byte) []byte {
	b = order.AppendUint32(b, uint32(t.tokens))
	t.each(func(c counted) {
		b = appendToken(b, c.token)
		b = order.AppendUint16(b, c.mark)
		b = order.AppendUint16(b, c.spam)
		b = order.AppendUint16(b, c.ham)
	})
	return b
}

// decode reads a book that encode wrote.
func (p *pages) decode(b []byte) (owner string, err error) {
	if len(b) < len(magic)+4 || string(b[:len(magic)-1]) != magic[:len(magic)-1] {
		return "", errDamaged
	}
	if b[len(magic)-1] != magic[len(magic)-1] {
		return "", fmt.Errorf("%w (%d)", errVersion, b[len(magic)-1])
	}
	body, sum := b[:len(b)-4], order.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return "", errDamaged
	}
	r := reader{rest: body[len(magic):]}
	p.generation = order.Uint64(r.take(8))
	owner = string(r.take(int(order.Uint16(r.take(2)))))
	p.spam.Store(order.Uint32(r.take(4)))
	p.ham.Store(order.Uint32(r.take(4)))
	p.epoch = r.take(1)[0]
	p.today, p.ofToday = order.Uint16(r.take(2)), order.Uint32(r.take(4))
	p.main.decode(&r)
	p.waiting.decode(&r)
	for range r.number(12) {
		e := r.take(12)
		p.letters.put(order.Uint64(e), learnt{order.Uint16(e[8:]), e[10], class(e[11])})
	}
	for range r.number(20) {
		e := r.take(20)
		p.teachers[order.Uint64(e)] = &teacher{order.Uint32(e[8:]), order.Uint32(e[12:]), order.Uint16(e[16:]), order.Uint16(e[18:])}
	}
	if r.short || len(r.rest) > 0 {
		return "", errDamaged
	}
	return owner, nil
}

func (t *table) decode(r *reader) {
	n := r.number(entryBytes)
	t.expect(n)
	for range n {
		e := r.take(entryBytes)
		t.add(readToken(e), int(order.Uint16(e[8:])), int(order.Uint16(e[10:])), max(order.Uint16(e[6:]), 1))
	}
}

// expect makes room for so many tokens in an empty table.
func (t *table) expect(n int) {
	if n < segments*segmentLeast {
		return
	}
	// The segments differ by chance; most have room enough with three deviations.
	each := n / segments
	each += 3 * int(math.Sqrt(float64(each)))
	for i := range t.segments {
		t.segments[i].Store(&segment{entries: make([]entry, each*4/3+1)})
	}
}

// reader reads numbers; once there was too little it gives zeros.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return make([]byte, max(n, 8))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// number is how many things of a size follow; 0 if there is no room for so many.
func (r *reader) number(size int) int {
	n := int(order.Uint32(r.take(4)))
	if n > len(r.rest)/size {
		r.short, r.rest = true, nil
		return 0
	}
	return n
}
