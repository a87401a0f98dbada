package words

// A token's hash is FNV-1a of 64 bits over its text, mixed; views begin differently, and
// so do pairs, so that one word means different tokens in each. Counts are kept by these
// numbers: they must never change.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211

	seedWord    = fnvOffset
	seedSubject = fnvOffset ^ 0x5375626a
	seedShape   = fnvOffset ^ 0x53686170
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

// set is a set of hashes of bounded size: open addressing, at most half full.
type set struct {
	slots []uint64
	left  int
}

func newSet(limit int) *set {
	size := 64
	for size < 2*limit {
		size *= 2
	}
	return &set{slots: make([]uint64, size), left: limit}
}

// add tells whether the hash is new and there was room for it.
func (s *set) add(h uint64) bool {
	if h == 0 {
		h = 1
	}
	mask := uint64(len(s.slots) - 1)
	i := h & mask
	for s.slots[i] != 0 {
		if s.slots[i] == h {
			return false
		}
		i = (i + 1) & mask
	}
	if s.left == 0 {
		return false
	}
	s.slots[i] = h
	s.left--
	return true
}
