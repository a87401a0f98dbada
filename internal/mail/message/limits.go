package message

import "cmp"

// Limits bound what Parse spends on one message. Zero means the default, never
// unlimited.
type Limits struct {
	// Depth is how deep multiparts and messages may nest: default 100, at most
	// 250. What is deeper is application/octet-stream.
	Depth int
	// Parts is how many parts are told apart: default 10,000. What follows in
	// the message is not split any more.
	Parts int
	// HeaderBytes is how much of one header is interpreted: default 1 MiB.
	HeaderBytes int
	// Fields is how many fields of one header are interpreted: default 10,000.
	Fields int
	// TotalHeaderBytes bounds the headers of all parts together, and with them
	// the memory of the tree: default 4 MiB.
	TotalHeaderBytes int
	// Addresses bounds the mailboxes of all envelopes together: default 10,000.
	Addresses int
}

// maxDepth bounds the recursion of Append and Decode.
const maxDepth = 250

func (l Limits) withDefaults() Limits {
	return Limits{
		Depth:            min(cmp.Or(l.Depth, 100), maxDepth),
		Parts:            cmp.Or(l.Parts, 10_000),
		HeaderBytes:      cmp.Or(l.HeaderBytes, 1<<20),
		Fields:           cmp.Or(l.Fields, 10_000),
		TotalHeaderBytes: cmp.Or(l.TotalHeaderBytes, 4<<20),
		Addresses:        cmp.Or(l.Addresses, MaxAddresses),
	}
}
