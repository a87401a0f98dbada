package queue

// State is where a recipient of an item stands. Terminal states have no row.
type State uint8

// The states of a recipient's row; the package doc draws their changes.
const (
	// Queued recipients are tried when they are due.
	Queued State = iota
	// Landing recipients have their letter durable in the tmp of their Maildir;
	// what remains is to rename it, once or again.
	Landing
	// Held recipients wait for a person.
	Held
	// Fresh recipients were committed by this process, which has them in memory.
	Fresh
	// Removed recipients were deleted by a person while they were being tried: if the
	// attempt does not deliver them, they have ended.
	Removed
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
	case Fresh:
		return "queued"
	case Removed:
		return "removed"
	}
	return "unknown"
}
