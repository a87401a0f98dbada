package lexicon

import (
	"math/bits"
	"sync/atomic"
)

const (
	// A table is divided, so that growing needs little room beside it.
	segments     = 64
	segmentLeast = 8
	entryBytes   = 12
	tokenMask    = 1<<48 - 1
	countMost    = 1<<16 - 1
)

// table counts in how many letters of each class a token was. One goroutine at a time
// writes; any number read meanwhile, without locks.
//
// It is open addressing over entries of twelve bytes. A segment is between 62 and 75
// percent full, so that a million tokens take 16 to 19 MB. Of a token 48 bits are kept: among
// a million, one unknown token in 280 million is taken for a known one.
type table struct {
	seed     uint64 // nobody outside can foresee which tokens meet
	segments [segments]atomic.Pointer[segment]
	tokens   int // whose counts are not 0
}

// segment is a part of a table. The length of its entries never changes, and no entry
// is ever given to another token: what grows or shrinks is replaced.
type segment struct {
	entries []entry
	taken   int
}

// entry is a token. All of it is read and written atomically; an entry whose high is
// 0 is free, and is the last word written when it is taken.
type entry struct {
	low    uint32 // of the token
	high   uint32 // the token's next 16 bits, and the mark, which is never 0
	counts uint32 // spam, ham
}

// counted is an entry as a value.
type counted struct {
	token     uint64
	mark      uint16
	spam, ham uint16
}

// place is in which segment a token is, and where it would like to stand.
func (t *table) place(token uint64) (number int, at uint32) {
	x := (token ^ t.seed) * 0x9e3779b97f4a7c15
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 29
	return int(x >> 58), uint32(x)
}

// find is the entry of a token, nil without one.
func (t *table) find(token uint64) *entry {
	token &= tokenMask
	number, at := t.place(token)
	s := t.segments[number].Load()
	if s == nil {
		return nil
	}
	return s.find(token, at)
}

func (s *segment) find(token uint64, at uint32) *entry {
	low, high := uint32(token), uint32(token>>32)
	for i := s.start(at); ; {
		e := &s.entries[i]
		h := atomic.LoadUint32(&e.high)
		if h == 0 {
			return nil
		}
		if h>>16 == high && atomic.LoadUint32(&e.low) == low {
			return e
		}
		if i++; i == len(s.entries) {
			i = 0
		}
	}
}

// start scales a place to the segment's length, which is no power of two.
func (s *segment) start(at uint32) int {
	high, _ := bits.Mul32(at, uint32(len(s.entries)))
	return int(high)
}

// count is in how many letters a token was.
func (t *table) count(token uint64) (spam, ham uint32) {
	if e := t.find(token); e != nil {
		c := atomic.LoadUint32(&e.counts)
		return c >> 16, c & countMost
	}
	return 0, 0
}

// add changes the counts of a token, which stay between 0 and 65,535. What is taken
// from a token that is not there is nothing.
func (t *table) add(token uint64, spam, ham int, mark uint16) {
	token &= tokenMask
	number, at := t.place(token)
	s := t.segments[number].Load()
	var e *entry
	if s != nil {
		e = s.find(token, at)
	}
	if e == nil {
		if spam <= 0 && ham <= 0 {
			return
		}
		e = t.take(number, token, at, mark)
	}
	was := atomic.LoadUint32(&e.counts)
	is := within(int(was>>16)+spam)<<16 | within(int(was&countMost)+ham)
	atomic.StoreUint32(&e.counts, is)
	atomic.StoreUint32(&e.high, uint32(token>>32)<<16|uint32(mark))
	t.tokens += change(was, is)
}

// within keeps a count in its bounds.
func within(n int) uint32 { return uint32(min(max(n, 0), countMost)) }

// change is by how much the number of tokens changes with a token's counts.
func change(was, is uint32) int {
	switch {
	case was == 0 && is != 0:
		return 1
	case was != 0 && is == 0:
		return -1
	}
	return 0
}

// take makes an entry for a token.
func (t *table) take(number int, token uint64, at uint32, mark uint16) *entry {
	s := t.segments[number].Load()
	if s == nil || (s.taken+1)*4 > len(s.entries)*3 {
		s = t.rebuild(number, 1, func(counted) bool { return true })
	}
	return s.take(token, at, mark)
}

func (s *segment) take(token uint64, at uint32, mark uint16) *entry {
	i := s.start(at)
	for atomic.LoadUint32(&s.entries[i].high) != 0 {
		if i++; i == len(s.entries) {
			i = 0
		}
	}
	s.taken++
	e := &s.entries[i]
	atomic.StoreUint32(&e.low, uint32(token))
	atomic.StoreUint32(&e.high, uint32(token>>32)<<16|uint32(mark))
	return e
}

// rebuild replaces a segment by one that has the tokens that are to stay, and room for
// a fifth more.
func (t *table) rebuild(number, more int, stays func(counted) bool) *segment {
	old, live := t.segments[number].Load(), more
	keeps := func(c counted) bool { return (c.spam != 0 || c.ham != 0) && stays(c) }
	old.each(func(c counted) {
		if keeps(c) {
			live++
		}
	})
	s := &segment{entries: make([]entry, max(segmentLeast, live*8/5+1))}
	old.each(func(c counted) {
		if !keeps(c) {
			return
		}
		_, at := t.place(c.token)
		s.take(c.token, at, c.mark).counts = uint32(c.spam)<<16 | uint32(c.ham)
	})
	t.segments[number].Store(s)
	return s
}

// each is for every entry, those without counts too. It is for who writes.
func (s *segment) each(fn func(counted)) {
	if s == nil {
		return
	}
	for i := range s.entries {
		e := &s.entries[i]
		if h := e.high; h != 0 {
			fn(counted{uint64(h>>16)<<32 | uint64(e.low), uint16(h), uint16(e.counts >> 16), uint16(e.counts)})
		}
	}
}

// each is for every token that has counts.
func (t *table) each(fn func(counted)) {
	for i := range t.segments {
		t.segments[i].Load().each(func(c counted) {
			if c.spam != 0 || c.ham != 0 {
				fn(c)
			}
		})
	}
}

// keep drops the tokens that are not to stay.
func (t *table) keep(stays func(counted) bool) {
	for i := range t.segments {
		if t.segments[i].Load() != nil {
			t.rebuild(i, 0, stays)
		}
	}
	t.tokens = 0
	t.each(func(counted) { t.tokens++ })
}

// halve halves all counts. Tokens that were in one letter are gone.
func (t *table) halve() {
	for i := range t.segments {
		s := t.segments[i].Load()
		if s == nil {
			continue
		}
		for j := range s.entries {
			e := &s.entries[j]
			atomic.StoreUint32(&e.counts, e.counts>>1&0x7fff7fff)
		}
	}
	t.keep(func(counted) bool { return true })
}

// bytes is what the table takes in memory.
func (t *table) bytes() (n int64) {
	for i := range t.segments {
		if s := t.segments[i].Load(); s != nil {
			n += int64(len(s.entries)) * entryBytes
		}
	}
	return n + segments*8
}
