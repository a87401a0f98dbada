package queue

import "time"

// Shelf is one of Postfix's queues, as its tools name them.
type Shelf uint8

// The shelves. An item stands on the first that one of its recipients is on.
const (
	// ShelfAny is all of them.
	ShelfAny Shelf = iota
	// ShelfActive: an attempt is under way.
	ShelfActive
	// ShelfIncoming: not tried yet.
	ShelfIncoming
	// ShelfDeferred: tried, and waiting.
	ShelfDeferred
	// ShelfHold: waiting for a person.
	ShelfHold
)

// Filter picks items. All that is set must hold; the zero Filter picks everything.
type Filter struct {
	Shelf Shelf
	// IDs, unless empty, are the only ones.
	IDs []ID
	// Sender and Recipient are addresses, or domains with "@" before them;
	// "<>" is the null sender. Domain is a recipient's domain, ".example.org" that and
	// all below it. All are compared without regard to case.
	Sender, Recipient, Domain string
	// Before is when it arrived, at the latest; Larger is in bytes.
	Before time.Time
	Larger int64
	// Reason is a part of what the last attempt was told, without regard to case.
	Reason string
}

// Count is how much a Filter picks.
type Count struct {
	Items, Recipients int
	Bytes             int64
}
