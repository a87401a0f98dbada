package queue

import "time"

// Result is how an attempt ended for one recipient. The zero Result is Deferred:
// forgetting to say something keeps the mail.
type Result uint8

// The results.
const (
	// Deferred: try again at Due.
	Deferred Result = iota
	// Delivered: it is where it should be; nothing remains to be done.
	Delivered
	// Failed: it never will be; the notice is in the settlement's offspring, or
	// policy says that nobody gets one.
	Failed
	// Undeliverable: it never will be, and there is nobody whom we may tell. A
	// person decides: the recipient becomes Held.
	Undeliverable
	// Staged: the letter is durable in tmp; the recipient becomes Landing.
	Staged
)

// String names the result as Postfix's status= does.
func (r Result) String() string {
	switch r {
	case Delivered:
		return "sent"
	case Failed:
		return "bounced"
	case Undeliverable:
		return "held"
	case Staged:
		return "landing"
	}
	return "deferred"
}

// Outcome is what became of recipient N of an item.
type Outcome struct {
	N      int
	Result Result
	// Reply is what the other side said; kept and shown while deferred.
	Reply string
	// Due is when to try again; only for Deferred.
	Due time.Time
	// Delayed: the sender is being told of the delay with this settlement.
	Delayed bool
	// Forward are recipients of the same item who take this one's place; only with
	// Delivered. Their numbers are given in Settle.
	Forward []Recipient
}

// terminal tells the outcomes that end a recipient.
func (o Outcome) terminal() bool { return o.Result == Delivered || o.Result == Failed }

// final tells the outcomes that nobody can change any more: where others take the place
// of a recipient, he has not got his letter, and what a person says of him counts.
func (o Outcome) final() bool { return o.terminal() && len(o.Forward) == 0 || o.Result == Staged }

// Settlement is the outcomes of one item, and the new items that they cause:
// all are committed together or not at all.
type Settlement struct {
	Item      ID
	Outcomes  []Outcome
	Offspring []Draft
}

// Draft is an item to be, with its bytes.
type Draft struct {
	Item  *Item
	Spool *Spool
	// Announce, if set, is called when the item is durable and before anybody can
	// claim it, so that its first line in the log comes first.
	Announce func()
	// MessageID is that of a message of ours, for the log.
	MessageID string
}
