// Package smtpc speaks SMTP to other hosts: it hands them one message after the
// other and says, for each recipient, what became of it.
//
// # On the wire
//
// Greeting, EHLO (HELO for hosts that do not know it, LHLO in LMTP), STARTTLS when
// offered followed by a second EHLO, AUTH when there are credentials, then transactions.
// Where the peer offers PIPELINING, MAIL, all RCPT and DATA go out together;
// else each command waits for its reply. Lines end in CRLF and only in CRLF,
// whatever the body holds: a bare CR or LF in text becomes CRLF, so that no host
// behind the next one can see another end of the message than we do.
//
// Where the peer offers CHUNKING, messages go by BDAT (RFC 3030): a short one in one
// go with its envelope, a longer one in chunks of 128 KiB behind it, so that a peer can
// refuse it before it has all of it. A peer that does not understand BDAT, or loses a
// message in it, gets the next by DATA for a day, if there is a Memory; no message
// bounces because of BDAT. Binary messages go by BDAT, byte for byte.
//
// What the envelope asks for (RFC 3461, 6710, 2852) is told to peers that offer it.
// What it demands (REQUIRETLS, DELIVERBY with "R", SMTPUTF8) and a peer does not
// offer is an obstacle: nothing is tried in the hope that it works. A message that is
// not as demanding as it was called, or can be converted, is made to fit by Conn.Fit.
//
// A password goes out under TLS only, by the strongest mechanism that both know.
//
// # Results
//
// Each recipient gets a Result: the reply that decided it and the stage at which
// it came. Delivered needs two yeses, the recipient's own and that to the end of
// the data. What was made up here because there was no reply, or none that can be
// used, has Err set, and is temporary, except where the message can not go to this
// peer at all (ErrTooLarge, ErrNeeds8Bit, ErrNeedsUTF8, ErrNeedsBinary, ErrNeedsTLS,
// ErrDeadline, ErrAddress).
//
// A peer that breaks the protocol is not believed in anything: one reply too many
// or too few, and every recipient of the transaction is deferred, even those for
// whom a refusal was read, since it may have been meant for another one.
//
// An end of data that is answered with "unknown command" after BDAT is the one refusal that
// is not taken for one (ErrChunking).
//
// A connection lost after the end of the data leaves open whether the peer has
// the message. The result is temporary: the peer may get it twice, which is
// better than not at all.
//
// # Limits
//
// Each reply and each block of data has a deadline (RFC 5321 §4.5.3.2), counted
// for the whole reply, not for each byte of it. The data have a least rate, and a
// transaction an end, so that nobody holds a connection by being slow in small steps.
// A reply has at most 512 lines and 64 KiB; 1 KiB of it is kept, of printable characters.
package smtpc
