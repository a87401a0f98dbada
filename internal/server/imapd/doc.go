// Package imapd is the IMAP door: RFC 3501 and the extensions that Capability
// lists, over the mailboxes of package store/mailbox.
//
// # A session
//
// Serve runs one connection: not authenticated, authenticated, selected, gone.
// It reads a command, acts, tells what happened to the mailbox meanwhile, and
// answers; what a command has to say is written with one flush. While a client
// is in IDLE it is told of changes as they happen.
//
// # Invariants
//
// A password is taken only under TLS, or where both ends are the same machine.
// What a client sent before TLS is never acted on after it. A session gets its
// mailboxes from the one log-in that succeeded in it, and gives them back when
// it ends.
//
// Message numbers change only while they may (RFC 9051 §7.5.1): never during
// FETCH, STORE and SEARCH without UID, never between commands.
//
// Memory does not grow with messages: letters are streamed, in both directions,
// and sets of messages are kept as ranges. A session that waits has no buffers, one
// goroutine in IDLE as elsewhere, and with COMPRESS no more than what its client sent,
// 32 KiB at most. Every wait has a deadline: a minute
// to log in, 30 minutes of silence after that (RFC 9051 §5.4), five minutes for
// a client that does not take what it asked for.
//
// # After a crash
//
// Nothing is kept here. What was answered OK is in the store.
package imapd
