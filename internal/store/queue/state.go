package queue

// State is where a recipient of an item stands. Terminal states have no row.
type State uint8

// The states of a recipient; the package doc draws their changes.
const (
	// Queued recipients are tried when they are due, from memory or from the database.
	Queued State = iota
	// Landing recipients have their letter durable in the tmp of their Maildir;
	// what remains is to rename it, once or again.
	Landing
	// Held recipients wait for a person.
	Held
)

// String names the state as the queue tools show it.
func (s State) String() string {
	switch s {
	case Queued:
		return "queued"
	case Landing:
		return "landing"
	case Held:
		return "held"
	}
	return "unknown"
}

// What the column state has beyond the states: a Queued recipient that this process,
// or one that died, has in memory, one that was deleted while it was being tried, and one
// that is Held on the shelf of the quarantine.
const (
	rowFresh   = 3
	rowRemoved = 4
	// rowQuarantine is a Held recipient in quarantine. What is less than rowRemoved is the
	// queue that people see.
	rowQuarantine = 5
)

// row is the state of a recipient in its row.
func (r *Recipient) row() int {
	switch {
	case r.removed:
		return rowRemoved
	case r.fresh && r.State == Queued:
		return rowFresh
	case r.inQuarantine():
		return rowQuarantine
	}
	return int(r.State)
}

// setRow reads what row gave.
func (r *Recipient) setRow(state int) {
	switch r.removed, r.fresh = state == rowRemoved, state == rowFresh; {
	case r.removed, r.fresh:
		r.State = Queued
	case state == rowQuarantine:
		r.State = Held
	default:
		r.State = State(state)
	}
}
