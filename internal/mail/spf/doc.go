// Package spf tells whether a host may send mail for a domain: the Sender Policy
// Framework of RFC 7208.
//
// # What it does
//
// Check answers one question: may this address use this reverse-path, or with the null
// reverse-path this HELO name? It asks the DNS through the functions of a Resolver, and
// the answer says more than pass or fail: which term of whose record decided, by which
// includes it was reached, what it cost, what is wrong with the record, and what the
// domain's owner wants to be told to those who fail (exp=). Parse reads a record alone;
// View says what all the records of a domain come to; Policy turns results into what an
// admin wants done, and Header writes them down.
//
// There is one parser: what is judged at the door and what is shown to an admin are the
// same terms.
//
// # Limits
//
// RFC 7208 §4.6.4: ten terms that cost DNS look-ups in one check, includes and redirects
// and the %{p} macro among them, two of those without any answer, ten hosts of an MX,
// ten names of a client. A check ends after 20 seconds with a temporary error. Records
// longer than 16 KiB or with more than 512 terms are a permanent one. Names made of
// macros are cut to 253 octets from the left (§7.3).
//
// # Invariants
//
// The DNS being out of order is TempError and never Fail. A record is understood
// completely before any of it counts: an error in its last term is an error in all
// cases. Nothing of a record or a client reaches the text of a Result unless it is
// printable ASCII.
package spf
