package lexicon

import (
	"sync"
	"sync/atomic"
)

// lesson is one letter that somebody says something about. Lessons are what the journal
// has, and the same lessons in the same order make the same book.
type lesson struct {
	key     uint64 // of the letter, and of the teacher if there is one
	teacher uint64 // 0: who may speak for the owner of the book
	day     uint16
	class   class
	tokens  []uint64 // 48 bits each, ascending, each once
	freely  bool     // the bounds of a day don't hold; not in the journal, where nothing is asked
}

// pages is what is learnt for one owner.
type pages struct {
	bounds bounds

	main       table
	spam, ham  atomic.Uint32 // letters
	epoch      uint8
	letters    letters
	today      uint16 // the day that lessons are counted for
	ofToday    uint32
	waiting    table // tokens that one teacher alone vouches for; the mark is his
	teachers   map[uint64]*teacher
	generation uint64       // of the file; 0: there is none
	size       atomic.Int64 // bytes in memory when the file was last read or written
}

// teacher is an account that teaches the server.
type teacher struct {
	spam, ham uint32 // letters that count
	day       uint16
	ofDay     uint16
}

func newPages(seed uint64, b bounds) *pages {
	return &pages{bounds: b, main: table{seed: seed}, waiting: table{seed: seed}, letters: newLetters(b.letters), teachers: make(map[uint64]*teacher)}
}

// Outcome is what came of teaching a letter.
type Outcome uint8

// The outcomes.
const (
	Refused Outcome = iota // there was enough for today, or this teacher has too large a share
	Same                   // that was known
	Learnt                 // it counts
	Turned                 // it counted for the other class before
	Undone                 // it counts no more
)

// String is the outcome in one word.
func (o Outcome) String() string {
	return [...]string{"refused", "same", "learnt", "turned", "undone"}[o]
}

// consider says what a lesson would do. What is beyond the bounds is refused; taking
// something back never is. A teacher who says the other thing of a letter, and has no more
// to say in that class, only takes back what he said: else who taught much of the one could
// make all of it the other, and have that class to himself.
func (p *pages) consider(l *lesson) Outcome {
	was := p.letters.known[l.key].class
	switch {
	case was == l.class:
		return Same
	case l.class == none:
		return Undone
	case was != none && l.teacher != 0 && !p.hasRoom(l):
		l.class = none
		return Undone
	case was != none:
		return Turned
	case l.freely:
	case l.teacher != 0 && !p.admits(l), l.teacher == 0 && p.bounds.perDay > 0 && p.today == l.day && p.ofToday >= p.bounds.perDay:
		return Refused
	}
	return Learnt
}

// admits says whether a teacher may add one letter more. Nobody adds more than so many a
// day.
func (p *pages) admits(l *lesson) bool {
	t := p.teachers[l.teacher]
	if t == nil {
		return len(p.teachers) < p.bounds.teachers
	}
	return (t.day != l.day || t.ofDay < p.bounds.perTeacher) && p.hasRoom(l)
}

// hasRoom says whether a teacher may have one letter more in a class: not more than half of
// what all others have.
func (p *pages) hasRoom(l *lesson) bool {
	t := p.teachers[l.teacher]
	if t == nil {
		return true // his letters were halved until none was left
	}
	his, all := t.ham, p.ham.Load()
	if l.class == spam {
		his, all = t.spam, p.spam.Load()
	}
	return his < max(freeShare, (all-min(his, all))/2)
}

// apply does what a lesson says.
func (p *pages) apply(l *lesson) {
	was := p.letters.known[l.key]
	if was.class == l.class {
		return
	}
	if was.class != none && was.epoch == p.epoch {
		p.count(l, was.class, -1)
	}
	if l.class != none {
		p.count(l, l.class, 1)
	}
	p.letters.expire(l.day - min(l.day, keepDays))
	p.letters.put(l.key, learnt{l.day, p.epoch, l.class})
	p.reckon(l, was.class)
	p.age()
	p.trim(l.day)
}

// count adds a letter to a class, or takes it out of it.
func (p *pages) count(l *lesson, c class, by int) {
	letters, spams, hams := &p.ham, 0, by
	if c == spam {
		letters, spams, hams = &p.spam, by, 0
	}
	letters.Store(shift(letters.Load(), by))
	for _, token := range l.tokens {
		if l.teacher == 0 {
			p.main.add(token, spams, hams, l.day)
			continue
		}
		p.vouch(token, spams, hams, l)
	}
	if t := p.teacher(l); t != nil {
		t.spam, t.ham = shift(t.spam, spams), shift(t.ham, hams)
	}
}

// shift adds to a number that is never below 0.
func shift(n uint32, by int) uint32 { return uint32(max(int(n)+by, 0)) }

// vouch counts a token for a teacher: with the server's if another one vouched for it
// too, else apart.
func (p *pages) vouch(token uint64, spams, hams int, l *lesson) {
	mark := fingerprint(l.teacher)
	known, more := p.main.count(token)
	switch e := p.waiting.find(token); {
	case known+more > 0:
		p.main.add(token, spams, hams, l.day)
	case e == nil || e.counts == 0 || uint16(e.high) == mark:
		p.waiting.add(token, spams, hams, mark)
	case spams+hams > 0:
		s, h := int(e.counts>>16), int(e.counts&countMost)
		p.waiting.add(token, -s, -h, mark)
		p.main.add(token, s+spams, h+hams, l.day)
	}
}

// fingerprint is the mark of a teacher, never 0. Two who share one, one pair in 65,535,
// are taken for one, and no more than that.
func fingerprint(teacher uint64) uint16 { return uint16(teacher%countMost) + 1 }

// teacher is who gives a lesson, nil if he speaks for the owner.
func (p *pages) teacher(l *lesson) *teacher {
	if l.teacher == 0 {
		return nil
	}
	t := p.teachers[l.teacher]
	if t == nil {
		t = &teacher{}
		p.teachers[l.teacher] = t
	}
	return t
}

// reckon counts a new letter for the bounds of its day.
func (p *pages) reckon(l *lesson, was class) {
	if was != none || l.class == none {
		return
	}
	if p.today != l.day {
		p.today, p.ofToday = l.day, 0
	}
	p.ofToday++
	if t := p.teacher(l); t != nil {
		if t.day != l.day {
			t.day, t.ofDay = l.day, 0
		}
		t.ofDay++
	}
}

// age halves everything when there are many letters of one class, so that what is new
// weighs more than what is old.
func (p *pages) age() {
	if max(p.spam.Load(), p.ham.Load()) < p.bounds.halveAt {
		return
	}
	p.main.halve()
	p.waiting.halve()
	p.spam.Store(p.spam.Load() / 2)
	p.ham.Store(p.ham.Load() / 2)
	p.epoch++
	for id, t := range p.teachers {
		if t.spam, t.ham = t.spam/2, t.ham/2; t.spam+t.ham == 0 {
			delete(p.teachers, id)
		}
	}
}

// trim makes room when there are too many tokens. Of those that count, a quarter goes:
// those that were not seen for longest, where each doubling of the letters that a token
// was in is worth a month. Of those that wait, a half.
func (p *pages) trim(day uint16) {
	if p.main.tokens > p.bounds.tokens {
		p.trimMain(day)
	}
	if p.waiting.tokens > p.bounds.waiting {
		p.waiting.keep(func(c counted) bool { return p.lot(c.token) >= 128 })
	}
}

// lot is a number below 256 that a token draws, another one at each trimming: the same
// when the journal is read again.
func (p *pages) lot(token uint64) int {
	x := (token ^ uint64(p.spam.Load())<<32 ^ uint64(p.ham.Load())) * 0x9e3779b97f4a7c15
	return int((x ^ x>>31) * 0xd6e8feb86659fd93 >> 56)
}

func (p *pages) trimMain(day uint16) {
	var ages [oldest + 1]int
	p.main.each(func(c counted) { ages[c.age(day)]++ })
	limit, gone := oldest, 0
	for ; limit > 0 && gone+ages[limit] <= p.main.tokens/4; limit-- {
		gone += ages[limit]
	}
	// Of those of one age, if not all have to go, lots are drawn.
	part := 0
	if n := ages[limit]; n > 0 {
		part = 256 * (p.main.tokens/4 - gone) / n
	}
	p.main.keep(func(c counted) bool {
		a := c.age(day)
		return a < limit || a == limit && p.lot(c.token) >= part
	})
}

// oldest bounds the ages that are told apart, in days.
const oldest = 1000

// age is how many days ago a token was seen, less a month for each doubling of its
// letters, and from 0 to oldest.
func (c counted) age(day uint16) int {
	a := int(day) - int(c.mark) + 16*30
	for n := int(c.spam) + int(c.ham); n > 1; n /= 2 {
		a -= 30
	}
	return min(max(a, 0), oldest)
}

// book is what is learnt for one owner, with its files.
type book struct {
	owner string
	name  string // of its files, without what tells them apart

	used atomic.Int64          // when, in Unix seconds
	read atomic.Pointer[pages] // nil until it was read

	mu     sync.Mutex // held by who reads or writes the files, and who writes the pages
	gone   bool       // another book has taken its place
	failed int64      // when it could not be read, in Unix seconds; 0: never
	log    journal
}
