package smtp

import "time"

// Ret is how much of a message a notice of failure returns (RFC 3461 §4.3).
type Ret uint8

// The choices of RET. RetUnset leaves it to the server.
const (
	RetUnset Ret = iota
	RetFull
	RetHeaders
)

// Notify is when the sender wants a notice, as a set (RFC 3461 §4.1). The zero
// Notify was not said: on failure, and on delay if the server is so kind.
type Notify uint8

// The members. NotifyNever stands alone.
const (
	NotifySuccess Notify = 1 << iota
	NotifyFailure
	NotifyDelay
	NotifyNever
)

// Original is the ORCPT parameter (RFC 3461 §4.2): a recipient as the sender wrote
// him. Its zero value was not said.
type Original struct {
	Type    string // "rfc822", "utf-8" (RFC 6533), …
	Address string // decoded
}

// Hold is FUTURERELEASE (RFC 4865 §4): For, or Until, or neither.
type Hold struct {
	For   time.Duration
	Until time.Time
}

// DeliverBy is the BY parameter (RFC 2852 §4).
type DeliverBy struct {
	Given bool
	// Within is the time left; negative when it is over.
	Within time.Duration
	// Return asks for a return after it ("R"), else for a notice of delay ("N").
	Return bool
	// Trace asks each hop to report that it relayed ("T").
	Trace bool
}
