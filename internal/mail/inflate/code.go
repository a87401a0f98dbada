package inflate

import "math/bits"

// The alphabets of RFC 1951 §3.2.
const (
	maxBits       = 15
	endOfBlock    = 256
	literalCodes  = 288
	distanceCodes = 32
	lengthCodes   = 19
	fastBits      = 9
)

// code is a Huffman code.
type code struct {
	count   [maxBits + 1]uint16   // codes of each length
	symbols [literalCodes]uint16  // by their codes
	fast    [1 << fastBits]uint16 // symbol and length<<fastBits of short codes, by the bits as they come
}

// set makes the code of these lengths (§3.2.2). It must be complete, but for one that
// has a single code or none.
func (c *code) set(lengths []uint8) error {
	c.count, c.fast = [maxBits + 1]uint16{}, [1 << fastBits]uint16{}
	for _, l := range lengths {
		c.count[l]++
	}
	used := len(lengths) - int(c.count[0])
	c.count[0] = 0
	var offset, next [maxBits + 2]uint16
	free := 1
	for l := 1; l <= maxBits; l++ {
		if free = free<<1 - int(c.count[l]); free < 0 {
			return ErrCorrupt
		}
		offset[l+1] = offset[l] + c.count[l]
		next[l+1] = (next[l] + c.count[l]) << 1
	}
	if free > 0 && (used > 1 || used == 1 && c.count[1] != 1) {
		return ErrCorrupt
	}
	for symbol, l := range lengths {
		if l == 0 {
			continue
		}
		c.symbols[offset[l]] = uint16(symbol)
		offset[l]++
		c.setFast(uint16(symbol), next[l], l)
		next[l]++
	}
	return nil
}

// setFast enters a short code wherever its bits are the first.
func (c *code) setFast(symbol, value uint16, length uint8) {
	if length > fastBits {
		return
	}
	for i := bits.Reverse16(value) >> (16 - length); i < 1<<fastBits; i += 1 << length {
		c.fast[i] = symbol | uint16(length)<<fastBits
	}
}

// find reads a symbol from the first of have bits. used is 0 if there are too few, and
// ok is false if they are no code.
func (c *code) find(b uint64, have uint) (symbol int, used uint, ok bool) {
	if e := c.fast[b&(1<<fastBits-1)]; e != 0 {
		if l := uint(e >> fastBits); l <= have {
			return int(e & (1<<fastBits - 1)), l, true
		}
		return 0, 0, true
	}
	value, first, index := 0, 0, 0
	for l := uint(1); l <= maxBits; l++ {
		if l > have {
			return 0, 0, true
		}
		value |= int(b & 1)
		b >>= 1
		count := int(c.count[l])
		if value-first < count {
			return int(c.symbols[index+value-first]), l, true
		}
		index, first = index+count, (first+count)<<1
		value <<= 1
	}
	return 0, 0, false
}

// symbol is a literal, the end of the block, or a copy.
type symbol struct {
	value        int
	length, back int
	bits         uint // that it took
}

// symbol reads the next one without taking it. found is false if bits are missing; if
// it is found and has no bits, it is none.
func (d *Reader) symbol() (s symbol, found bool) {
	b, have := d.bits, d.have
	value, used, ok := d.literals.find(b, have)
	if !ok || value >= literalCodes-2 {
		return symbol{}, true
	}
	if used == 0 {
		return s, false
	}
	s = symbol{value: value, bits: used}
	if value <= endOfBlock {
		return s, true
	}
	base, extra := lengthOf(value)
	b, have = b>>used, have-used
	if have < extra {
		return s, false
	}
	s.length = base + int(b&(1<<extra-1))
	b, have = b>>extra, have-extra
	value, used, ok = d.distances.find(b, have)
	if !ok || value >= distanceCodes-2 {
		return symbol{}, true
	}
	if used == 0 {
		return s, false
	}
	b, have = b>>used, have-used
	base, further := distanceOf(value)
	if have < further {
		return s, false
	}
	s.back = base + int(b&(1<<further-1))
	s.bits += extra + used + further
	return s, true
}

// lengthOf is the shortest length of a symbol, and how many bits add to it.
func lengthOf(value int) (base int, extra uint) {
	switch n := value - endOfBlock - 1; {
	case n < 8:
		return n + 3, 0
	case n == 28:
		return 258, 0
	default:
		extra = uint(n/4 - 1)
		return (4+n%4)<<extra + 3, extra
	}
}

// distanceOf is the same for distances.
func distanceOf(value int) (base int, extra uint) {
	if value < 4 {
		return value + 1, 0
	}
	extra = uint(value/2 - 1)
	return (2+value%2)<<extra + 1, extra
}

// useFixed sets the codes of §3.2.6.
func (d *Reader) useFixed() error {
	d.block = coded
	if d.fixed {
		return nil
	}
	d.fixed = true
	var lengths [literalCodes]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	if err := d.literals.set(lengths[:]); err != nil {
		return err
	}
	for i := range distanceCodes {
		lengths[i] = 5
	}
	return d.distances.set(lengths[:distanceCodes])
}

// lengthOrder is how the lengths of the code of lengths come.
var lengthOrder = [lengthCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodes reads the codes that a block brings along (§3.2.7).
func (d *Reader) readCodes() error {
	if err := d.need(14); err != nil {
		return err
	}
	literals, distances, own := d.take(5)+257, d.take(5)+1, d.take(4)+4
	var lengths [literalCodes + distanceCodes]uint8
	for _, at := range lengthOrder[:own] {
		if err := d.need(3); err != nil {
			return err
		}
		lengths[at] = uint8(d.take(3))
	}
	d.fixed = false
	if err := d.distances.set(lengths[:lengthCodes]); err != nil { // it is free until the end
		return err
	}
	clear(lengths[:lengthCodes])
	if literals > literalCodes-2 || distances > distanceCodes-2 {
		return ErrCorrupt
	}
	if err := d.readLengths(lengths[:literals+distances]); err != nil {
		return err
	}
	if lengths[endOfBlock] == 0 {
		return ErrCorrupt
	}
	if err := d.literals.set(lengths[:literals]); err != nil {
		return err
	}
	d.block = coded
	return d.distances.set(lengths[literals : literals+distances])
}

// readLengths reads run-length encoded lengths of codes.
func (d *Reader) readLengths(lengths []uint8) error {
	for i := 0; i < len(lengths); {
		value, used, ok := d.distances.find(d.bits, d.have)
		if !ok {
			return ErrCorrupt
		}
		if used == 0 {
			if err := d.need(d.have + 1); err != nil {
				return err
			}
			continue
		}
		d.take(used)
		if value < 16 {
			lengths[i] = uint8(value)
			i++
			continue
		}
		run, what, err := d.run(value, lengths[:i])
		if err != nil || i+run > len(lengths) {
			return cmpErr(err)
		}
		for range run {
			lengths[i] = what
			i++
		}
	}
	return nil
}

func cmpErr(err error) error {
	if err == nil {
		err = ErrCorrupt
	}
	return err
}

// run reads how often which length is repeated.
func (d *Reader) run(value int, before []uint8) (n int, what uint8, err error) {
	bits, base := uint(2), 3
	switch value {
	case 16:
		if len(before) == 0 {
			return 0, 0, ErrCorrupt
		}
		what = before[len(before)-1]
	case 17:
		bits = 3
	case 18:
		bits, base = 7, 11
	}
	if err := d.need(bits); err != nil {
		return 0, 0, err
	}
	return base + d.take(bits), what, nil
}
