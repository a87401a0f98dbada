package mailbox

import "time"

// Retention says what becomes of letters that their owner expunges.
type Retention struct {
	// Mailbox is where they are kept; "" if they are not.
	Mailbox string
	// For is how long.
	For time.Duration
}
