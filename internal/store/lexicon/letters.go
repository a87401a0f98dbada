package lexicon

// class is what a letter was said to be.
type class uint8

const (
	none class = iota // nothing any more
	ham
	spam
)

func classOf(isSpam bool) class {
	if isSpam {
		return spam
	}
	return ham
}

// learnt is what is remembered of one letter.
type learnt struct {
	day   uint16
	epoch uint8 // how often the counts had been halved
	class class
}

// letters is which letters were learnt, the oldest first. It holds so many at most; one
// that is dropped counts anew when it is taught again.
type letters struct {
	most  int
	known map[uint64]learnt
	order []uint64 // from first on, each key of known once
	first int
}

func newLetters(most int) letters {
	return letters{most: most, known: make(map[uint64]learnt)}
}

// put remembers a letter; one that is known keeps its place.
func (l *letters) put(key uint64, what learnt) {
	if _, there := l.known[key]; !there {
		for len(l.known) >= l.most {
			l.drop()
		}
		l.order = append(l.order, key)
	}
	l.known[key] = what
}

// drop forgets the oldest.
func (l *letters) drop() {
	delete(l.known, l.order[l.first])
	l.first++
	if l.first > len(l.order)/2+64 {
		l.order = append([]uint64(nil), l.order[l.first:]...)
		l.first = 0
	}
}

// expire forgets what was learnt before a day.
func (l *letters) expire(before uint16) {
	for l.first < len(l.order) && l.known[l.order[l.first]].day < before {
		l.drop()
	}
}

// each is for every letter, the oldest first.
func (l *letters) each(fn func(key uint64, what learnt)) {
	for _, key := range l.order[l.first:] {
		fn(key, l.known[key])
	}
}
