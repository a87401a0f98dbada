// Package policy asks policy servers: programs such as postgrey that are told of
// a client, a sender or a recipient and answer with an action (the delegation
// protocol of Postfix, SMTPD_POLICY_README).
//
//	request=smtpd_access_policy      action=DEFER_IF_PERMIT 4.2.0 Greylisted
//	protocol_state=RCPT              (empty line)
//	client_address=192.0.2.1
//	…
//	(empty line)
//
// Connections are TCP (IPv4 and IPv6) or Unix sockets; they are kept and used
// again. The protocol has no request numbers, so a connection is used again only
// after exactly one whole answer, and only while nothing else has arrived on it.
// After anything else (a time-out, an answer that is too long, torn or malformed,
// bytes too many) it is closed; what comes next is never guessed.
//
// Invariants: a value that can not be framed (NUL, CR or LF in it) is not sent;
// an answer is at most maxAnswer bytes, whatever the server sends; each wait has a
// deadline; a server that is down is an error, which its caller turns into the
// default action and tells of. Nothing is kept on disk.
package policy
