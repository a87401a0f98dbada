package queue

import (
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

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
	// ShelfQuarantine: in quarantine, which is none of Postfix's queues. What is there is
	// on no other shelf, and ShelfAny does not have it either.
	ShelfQuarantine
)

// Shelf is where the item stands; active is what Queue.Active says of it.
func (it *Item) Shelf(active bool) Shelf {
	if active {
		return ShelfActive
	}
	shelf := ShelfQuarantine
	for i := range it.Recipients {
		shelf = min(shelf, it.Recipients[i].shelf())
	}
	return shelf
}

func (r *Recipient) shelf() Shelf {
	switch {
	case r.State == Landing:
		return ShelfActive
	case r.inQuarantine():
		return ShelfQuarantine
	case r.State == Held:
		return ShelfHold
	case r.Attempts == 0:
		return ShelfIncoming
	}
	return ShelfDeferred
}

// Filter picks items. All that is set must hold; the zero Filter picks everything.
//
// Of an item that is picked, Recipient, Domain and Reason pick the recipients, too:
// an operation leaves those alone of which they do not hold.
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

	notHeld bool // any shelf but ShelfHold
}

// Count is how much a Filter picks, or an operation has changed.
type Count struct {
	// Items have at least one of the Recipients; Bytes are of their messages.
	Items, Recipients int
	Bytes             int64
	// Busy is how many recipients of these items are being tried right now. What is
	// under way is not torn from a worker: each operation says what it does with it.
	Busy int
}

// picks tells whether the filter picks an item that has all its recipients.
func (f *Filter) picks(it *Item, active bool) bool {
	shelf := it.Shelf(active)
	return (f.Shelf == ShelfAny || f.Shelf == shelf) && !(f.notHeld && shelf == ShelfHold) &&
		(len(f.IDs) == 0 || f.wants(it.ID)) &&
		f.picksSender(it.Sender) &&
		(f.Before.IsZero() || !it.Arrived.After(f.Before)) &&
		(f.Larger == 0 || it.Size > f.Larger) &&
		slices.ContainsFunc(it.Recipients, f.picksRecipient)
}

// wants tells whether an item is one of those wanted, which pages has sorted.
func (f *Filter) wants(id ID) bool {
	_, found := slices.BinarySearch(f.IDs, id)
	return found
}

func (f *Filter) picksSender(a address.Address) bool {
	switch f.Sender {
	case "":
		return true
	case "<>":
		return a.IsNull()
	}
	return names(f.Sender, a)
}

// picksRecipient tells whether an operation on an item is for this recipient, too.
func (f *Filter) picksRecipient(r Recipient) bool {
	return (f.Recipient == "" || names(f.Recipient, r.Address)) &&
		(f.Domain == "" || covers(f.Domain, r.Address.Domain)) &&
		(f.Reason == "" || strings.Contains(strings.ToLower(r.LastReply), strings.ToLower(f.Reason)))
}

// names tells whether a pattern, an address or "@domain", is of an address.
func names(pattern string, a address.Address) bool {
	if domain, whole := strings.CutPrefix(pattern, "@"); whole {
		return strings.EqualFold(domain, a.Domain)
	}
	return strings.EqualFold(pattern, mailbox(a)) || strings.EqualFold(pattern, a.String())
}

// covers tells whether a domain is the one wanted, or below it where the dot says so.
func covers(wanted, domain string) bool {
	parent, below := strings.CutPrefix(wanted, ".")
	if !below || strings.EqualFold(parent, domain) {
		return strings.EqualFold(parent, domain)
	}
	cut := len(domain) - len(wanted)
	return cut > 0 && parent != "" && strings.EqualFold(domain[cut:], wanted)
}
