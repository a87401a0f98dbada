// Package filter finds out who really sent a stranger's letter, and says what is to be
// done about it.
//
// A Case is about one transaction of one stranger. It is told what is known, at the
// moments of the dialogue, and asks the DNS for the rest:
//
//	RCPT   Sender   SPF of HELO and MAIL FROM, where somebody wants to know by then
//	DATA   Read     which signatures there are, before the body is read
//	       Body     is written to as the body comes: one pass for all signatures
//	.      Judge    SPF if not yet asked, keys, DKIM, ARC, DMARC → Evidence → Verdict
//
// What is cheap comes first, and nothing is asked that nobody wants to know. All questions
// about one letter together are bounded in number (dns.WithBudget) and in time.
//
// # Checks
//
// Beside who sent it, Checks look at a letter, each of one family of tests. A Case starts
// each in the background as soon as the stage is reached whose facts it needs, and collects
// what all have found at the end of DATA: what is known early costs no time later. What was
// found about the client at Connect and Helo belongs to its Visitor and serves all its
// letters. A transaction that ends early ends its checks. One that panics or does not end in
// time counts for nothing.
//
//	connect  Meet ──► Visitor ── Greet (HELO)
//	MAIL     Open ──► Case    ── Addressed (DATA: all recipients) ── Holds, Judge (.) ── Close
//
// # Evidence and verdict
//
// Evidence is what was found; it decides nothing. Rules.Verdict is a pure function of it:
// accept, junk, reject or defer, and a sentence that says why. A single check condemns
// nothing by default: a broken signature is as good as none, SPF is evidence only, and
// what a domain asks for by DMARC is done only where nothing hints at an honest way
// around: a list that changed the letter, a forwarder. Who vouches for such a letter is
// looked for in the order of proof (see vouch.go).
//
// What the DNS did not answer (temperror) is never held against a letter for good: it is
// accepted, or deferred where the admin wants that.
//
// # On the wire
//
// The fields that tell of it stand above our Received: Received-SPF in the form of
// policyd-spf, and one Authentication-Results (RFC 8601) under our own name. Fields of
// strangers under our name are removed (Strip); all others stay.
//
// A Case lives in memory only; a crash forgets it with its transaction. What is kept with
// the item is in store/queue: the junk folder, and that the sender is authentic.
package filter
