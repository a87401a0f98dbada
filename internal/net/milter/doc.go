// Package milter speaks the mail server's side of the milter protocol, versions 2
// to 6, as Sendmail and Postfix speak it: programs such as opendkim or
// clamav-milter follow an SMTP dialogue and may refuse it at each step, and change
// the message at its end.
//
//	packet = length (32 bits, big-endian, of what follows) code (1 byte) data
//
//	we: OPTNEG → CONNECT → HELO → MAIL → RCPT … → DATA → HEADER … → EOH → BODY … → EOM
//	before each a MACRO packet with what it may want to know; ABORT after a message
//	that comes to nothing, UNKNOWN for a command that is none, QUIT at the end
//
// Every step but MACRO, ABORT and QUIT is answered, unless the milter said in the
// negotiation that it does not; steps that it does not want are left out. Strings
// end with NUL, lines of a folded header value with LF.
//
// A Conn is one connection; a Session is one SMTP dialogue as one milter sees it,
// which makes the connection when it is needed and remembers what was accepted.
//
// Invariants. Nothing is allocated by a length that a milter announced: a reply is
// at most maxReply bytes and read as it comes, a new body goes straight to the
// writer that the caller gives. Changes are bounded in number and bytes. Each wait
// ends with the context or the step's time-out. After anything but a whole, well
// formed, expected answer the connection is closed, and the Session has an error
// to tell until the message is over: a verdict is never guessed. An envelope that
// can not be framed (NUL, CR, LF) is not sent. Changes that were not negotiated are
// errors.
package milter
