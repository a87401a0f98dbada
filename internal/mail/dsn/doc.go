// Package dsn writes and reads delivery status notifications (RFC 3461, 3464,
// 6522; RFC 6533 where addresses need UTF-8).
//
// Build makes the whole message from values, dates and identifiers included; it
// is sent with the null reverse-path. It has three parts, as every bounce has:
//
//	text/plain                 for people, in English or French
//	message/delivery-status    for programs
//	the returned message       whole, or its header only
//
// The text for people is made from a template: the built-in ones, in templates/, or
// those of a file in the form of Postfix's bounce(5) that the admin wrote.
//
// # Invariants
//
// The result is 7-bit text in lines of at most 998 characters, whatever it was made
// from, with two exceptions: the field To has UTF-8 when the sender's address is written
// in it (such a notice can go nowhere without SMTPUTF8 anyway), and an 8-bit message
// that came as 8BITMIME goes back as that.
//
// The part for programs is message/delivery-status, in which addresses that need UTF-8
// have the 7-bit form of RFC 6533 §3. About a message that came with SMTPUTF8 it is
// message/global-delivery-status, and the message goes back as message/global: these
// types may be encoded, so the notice stays 7-bit.
//
// Texts of other hosts are data: they can not end a line, a field, a part or the
// message. A message that is larger than the limit, can't travel as it is, or is not
// there as a whole, comes back as its header only, so a notice is never much larger
// than that (LOOP-008).
package dsn
