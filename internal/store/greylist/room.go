package greylist

import (
	"cmp"
	"slices"
)

// makeRoom forgets some who wait: who is long due and has not come back; and of the
// networks that have more than their fair share, those who came last, so that nobody is
// driven out by whoever comes after him. false: there is none.
func (s *Store) makeRoom(now int64) bool {
	if now < s.hungry+10 && s.hungry <= now { // it was looked for in vain just now
		return false
	}
	var late, crowd []*Entry
	for _, e := range s.entries {
		switch {
		case e.State != Waiting:
		case e.expires <= now, e.due+seconds(patience) <= now:
			late = append(late, e)
		case s.tallies[e.Network].waiting > fairShare:
			crowd = append(crowd, e)
		}
	}
	want := max(s.most.waiting/16, 1)
	slices.SortFunc(late, func(a, b *Entry) int { return cmp.Compare(a.due, b.due) })
	slices.SortFunc(crowd, func(a, b *Entry) int { return cmp.Compare(b.since, a.since) })
	freed := 0
	for _, e := range late {
		if freed < want {
			s.gone(e)
			freed++
		}
	}
	for _, e := range crowd {
		if freed < want && s.tallies[e.Network].waiting > fairShare {
			s.remove(e)
			freed++
		}
	}
	if freed == 0 {
		s.hungry = now
	}
	return freed > 0
}

// makeRoomForPassed forgets, of a few who have passed, the one that would expire first; not
// the one that was just let in.
func (s *Store) makeRoomForPassed(newest *Entry) {
	if s.passed <= s.most.passed {
		return
	}
	const few = 16
	var first *Entry
	seen := 0
	for _, e := range s.entries { // in an order by chance
		if e.State != Passed || e == newest {
			continue
		}
		if first == nil || e.worth() < first.worth() {
			first = e
		}
		if seen++; seen == few {
			break
		}
	}
	if first != nil {
		s.remove(first)
	}
}

// worth is when an entry expires, and later for one that has brought more letters: a flood
// of those who came back once does not drive out who writes for long.
func (e *Entry) worth() int64 {
	const day = 24 * 60 * 60
	return e.expires + int64(min(e.Letters, 60))*day
}

// gone notes that somebody never came back.
func (s *Store) gone(e *Entry) {
	d := s.day(s.dayOf(e.since))
	d.Gone++
	d.Bytes += e.Size
	s.remove(e)
}
