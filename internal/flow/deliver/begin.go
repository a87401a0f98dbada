package deliver

import "facteur/internal/store/queue"

// begin takes out of an attempt whom a person has held or deleted since it was claimed
// (OUT-022), and gives their places back; false when nobody is left. From here on the
// attempt ends as it ends.
func begin(q *queue.Queue, a *attempt, done func(*attempt, int)) bool {
	left := q.Still(a.item)
	if n := len(a.item.Recipients) - len(left); n > 0 {
		done(a, n)
		item := *a.item
		item.Recipients = left
		a.item = &item
	}
	return len(left) > 0
}
