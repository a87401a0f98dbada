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

// rank orders items: the lower goes first.
func (it *Item) rank() time.Time { return it.Start().Add(-time.Duration(it.Priority) * headStart) }

// Enqueue puts x, which holds an item, into a line of such by priority. Among equals
// it goes to the end, which costs one comparison.
func Enqueue[T any](line []T, x T, item func(T) *Item) []T {
	it, at := item(x), len(line)
	for at > 0 {
		before := item(line[at-1])
		if before.Priority >= it.Priority || !it.rank().Before(before.rank()) {
			break
		}
		at--
	}
	return slices.Insert(line, at, x)
}

func itself(it *Item) *Item { return it }

// sorted puts what was found together in the order of priority; where nobody asked
// for any, it stays as it is.
func sorted(items []*Item) []*Item {
	if slices.ContainsFunc(items, func(it *Item) bool { return it.Priority != 0 }) {
		slices.SortStableFunc(items, func(a, b *Item) int { return a.rank().Compare(b.rank()) })
	}
	return items
}
