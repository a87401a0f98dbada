package imap

import (
	"slices"
	"strconv"
	"strings"
)

// Star is "*" in a SequenceSet: the largest number in use.
const Star uint32 = 0

// Range is the numbers From to To, both included.
type Range struct{ From, To uint32 }

// SequenceSet is a set of message numbers or UIDs as the client wrote it, with
// Star for "*". It is never expanded (ATTACKS IMAP-005). One without ranges, but not
// nil, is "$".
type SequenceSet []Range

// Saved says whether the set is "$": what the last SEARCH with SAVE found
// (RFC 5182). It is told apart from others before it is resolved.
func (s SequenceSet) Saved() bool { return s != nil && len(s) == 0 }

// Ranges is a SequenceSet that was resolved: ascending, without overlaps or
// neighbours, without Star.
type Ranges []Range

// maxRanges bounds a set; a line of 64 KiB can't hold many more.
const maxRanges = 32 << 10

func (d *Decoder) sequenceSet() SequenceSet {
	if d.accept('$') {
		return SequenceSet{}
	}
	var set SequenceSet
	for d.err == nil {
		r := Range{From: d.seqNumber()}
		r.To = r.From
		if d.accept(':') {
			r.To = d.seqNumber()
		}
		if set = append(set, r); len(set) > maxRanges {
			d.err = &LimitError{"Too many ranges"}
		}
		if !d.accept(',') {
			break
		}
	}
	return set
}

func (d *Decoder) seqNumber() uint32 {
	if d.accept('*') {
		return Star
	}
	return d.positive()
}

// Resolve puts last for Star and brings the set into order. last is 0 in an
// empty mailbox, where a range with Star is empty.
func (s SequenceSet) Resolve(last uint32) Ranges {
	out := make(Ranges, 0, len(s))
	for _, r := range s {
		if r.From == Star {
			r.From = last
		}
		if r.To == Star {
			r.To = last
		}
		if r.From > r.To {
			r.From, r.To = r.To, r.From
		}
		if r.From > 0 {
			out = append(out, r)
		}
	}
	return normalise(out)
}

// normalise sorts and joins, in place.
func normalise(rs Ranges) Ranges {
	slices.SortFunc(rs, func(a, b Range) int {
		switch {
		case a.From < b.From:
			return -1
		case a.From > b.From:
			return 1
		}
		return 0
	})
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && uint64(r.From) <= uint64(out[n-1].To)+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains says whether n is in one of the ranges.
func (rs Ranges) Contains(n uint32) bool {
	_, found := slices.BinarySearchFunc(rs, n, func(r Range, n uint32) int {
		switch {
		case r.To < n:
			return -1
		case r.From > n:
			return 1
		}
		return 0
	})
	return found
}

// Max is the largest number, 0 for the empty set.
func (rs Ranges) Max() uint32 {
	if len(rs) == 0 {
		return 0
	}
	return rs[len(rs)-1].To
}

// Count is how many numbers there are.
func (rs Ranges) Count() uint64 {
	var n uint64
	for _, r := range rs {
		n += uint64(r.To) - uint64(r.From) + 1
	}
	return n
}

// Slice is the numbers from the from-th, counted from 0, to before the to-th.
func (rs Ranges) Slice(from, to int) Ranges {
	var out Ranges
	skip, take := uint64(from), uint64(max(to-from, 0))
	for _, r := range rs {
		n := uint64(r.To) - uint64(r.From) + 1
		if skip >= n {
			skip -= n
			continue
		}
		n = min(n-skip, take)
		if n == 0 {
			break
		}
		first := uint64(r.From) + skip
		out = append(out, Range{uint32(first), uint32(first + n - 1)})
		skip, take = 0, take-n
	}
	return out
}

// Union is the numbers in either.
func (rs Ranges) Union(other Ranges) Ranges {
	return normalise(append(slices.Clone(rs), other...))
}

// Intersect is the numbers in both.
func (rs Ranges) Intersect(other Ranges) Ranges {
	var out Ranges
	for len(rs) > 0 && len(other) > 0 {
		a, b := rs[0], other[0]
		if from, to := max(a.From, b.From), min(a.To, b.To); from <= to {
			out = append(out, Range{from, to})
		}
		if a.To < b.To {
			rs = rs[1:]
		} else {
			other = other[1:]
		}
	}
	return out
}

// String writes the ranges as a sequence-set; "" for the empty set, which has
// no form in IMAP.
func (rs Ranges) String() string {
	parts := make([]string, len(rs))
	for i, r := range rs {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

// String writes n or n:m.
func (r Range) String() string {
	if r.From == r.To {
		return number(r.From)
	}
	return number(r.From) + ":" + number(r.To)
}

func number(n uint32) string {
	if n == Star {
		return "*"
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Runs joins numbers that follow each other and keeps the order, as the two
// sets of COPYUID need it (RFC 4315 §3).
func Runs(numbers []uint32) Ranges {
	var out Ranges
	for _, n := range numbers {
		if k := len(out); k > 0 && out[k-1].To+1 == n && n != 0 {
			out[k-1].To = n
			continue
		}
		out = append(out, Range{n, n})
	}
	return out
}

// At is the number with index i, in order, from 0; 0 beyond the last one.
func (rs Ranges) At(i uint64) uint32 {
	for _, r := range rs {
		n := uint64(r.To) - uint64(r.From) + 1
		if i < n {
			return r.From + uint32(i)
		}
		i -= n
	}
	return 0
}
