package words

// A token's hash is FNV-1a of 64 bits over its text, mixed; views begin differently, and
// so do pairs, so that one word means different tokens in each. Counts are kept by these
// numbers: they must never change.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211

	seedWord  = fnvOffset
	seedShape = fnvOffset ^ 0x53686170
)

func hash(seed uint64, s string) uint64 {
	h := seed
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return mix(h)
}

// hashPair is the hash of two words that stand near each other, in this order; how far apart
// is no part of it.
func hashPair(first, second uint64) uint64 {
	return mix(first*0x9e3779b97f4a7c15 + second ^ 0x70616972)
}

// mix spreads what FNV leaves in the lower bits (the finish of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// set finds the tokens of a view by their hashes: open addressing, at most half full. It
// grows with what is in it, as most letters are short.
type set struct {
	view  *View
	slots []int32 // index in view.tokens, plus one
	limit int
}

// newSet is a set for about as many tokens as expected, and limit at most.
func newSet(limit, expected int) *set {
	size := 64
	for size < 2*min(expected, limit) {
		size *= 2
	}
	return &set{view: &View{tokens: make([]token, 0, size/2)}, slots: make([]int32, size), limit: limit}
}

// find gives the token with this hash, nil where there is none, and its slot.
func (s *set) find(h uint64) (*token, int) {
	mask := uint64(len(s.slots) - 1)
	i := h & mask
	for ; s.slots[i] != 0; i = (i + 1) & mask {
		if t := &s.view.tokens[s.slots[i]-1]; t.hash == h {
			return t, int(i)
		}
	}
	return nil, int(i)
}

// add adds a token, unless it is there or there is no more room.
func (s *set) add(t token) {
	if old, slot := s.find(t.hash); old == nil {
		s.put(t, slot)
	}
}

// put adds a token that find did not find.
func (s *set) put(t token, slot int) {
	if s.full() {
		return
	}
	s.view.tokens = append(s.view.tokens, t)
	s.slots[slot] = int32(len(s.view.tokens))
	if 2*len(s.view.tokens) > len(s.slots) {
		s.grow()
	}
}

func (s *set) full() bool { return len(s.view.tokens) >= s.limit }

func (s *set) grow() {
	s.slots = make([]int32, 2*len(s.slots))
	for i := range s.view.tokens {
		_, slot := s.find(s.view.tokens[i].hash)
		s.slots[slot] = int32(i + 1)
	}
}
