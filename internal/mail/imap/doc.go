// Package imap is the language of IMAP (RFC 9051, RFC 3501): bytes in, values
// out. It has no socket, clock or store; server/imapd gives it a stream and
// acts on what it returns.
//
// # Commands
//
// A Decoder reads one command at a time. A command is one or more lines; a line
// that ends in {n} or {n+} is followed by n octets of literal and then by the
// rest of the command. Literals are read into memory within the Limits, except
// the one of APPEND, which is handed out as a stream. For a synchronising
// literal the Decoder calls back so that the client is told to go on.
//
// # Errors
//
// A *SyntaxError is answered BAD and a *LimitError NO [LIMIT]; after both the
// Decoder stands at the next command. After a *FatalError the stream can't be
// followed any more and the connection has to end. Anything else is what the
// stream itself said.
//
// # Invariants
//
// Nothing is allocated by a number that the client announced. Sequence sets are
// kept as ranges and never expanded. Recursion is bounded by Limits.Depth, and
// the work for a command is at most proportional to its length times the size
// of one line.
package imap
