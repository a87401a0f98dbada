package queue

import (
	"slices"
	"time"
)

// Priority (RFC 6710) is a head start: an item of a higher one goes before others
// that have waited for up to a minute longer for each step between them. So mail
// without any waits at most minutes for the urgent, however much there is of it,
// and no mail starves.
const headStart = time.Minute

// schedule says when a recipient of a new item is tried first, and why not now. The
// urgent stand before others that are as due in the database, too.
func (it *Item) schedule(r *Recipient) {
	r.Due = it.Arrived
	switch {
	case it.Release.After(it.Arrived):
		r.Due = it.Release
		if r.LastReply == "" {
			r.LastReply = "held back until " + it.Release.UTC().Format(time.RFC3339) + ", as the sender asked"
		}
	case it.Priority > 0:
		r.Due = it.Arrived.Add(-time.Duration(it.Priority) * headStart)
	}
}

// Turn is what decides who goes first: how long somebody has waited, and his head
// start.
type Turn struct {
	Since    time.Time
	Priority int
}

// Before tells whether t goes before the other.
func (t Turn) Before(other Turn) bool { return t.compare(other) < 0 }

func (t Turn) compare(other Turn) int {
	return t.Since.Add(-time.Duration(t.Priority) * headStart).Compare(other.Since.Add(-time.Duration(other.Priority) * headStart))
}

// Enqueue puts x into a line in which everybody's turn is known. Among equals in
// priority it goes to the end, which costs one comparison.
func Enqueue[T any](line []T, x T, turn func(T) Turn) []T {
	mine, at := turn(x), len(line)
	for at > 0 {
		other := turn(line[at-1])
		if other.Priority == mine.Priority || !mine.Before(other) {
			break
		}
		at--
	}
	return slices.Insert(line, at, x)
}

// turn is that of an item among those that are due.
func (it *Item) turn() Turn { return Turn{it.Start(), it.Priority} }

// sorted puts what was found together in the order of priority; where nobody asked
// for any, it stays as it is.
func sorted(items []*Item) []*Item {
	if slices.ContainsFunc(items, func(it *Item) bool { return it.Priority != 0 }) {
		slices.SortStableFunc(items, func(a, b *Item) int { return a.turn().compare(b.turn()) })
	}
	return items
}
