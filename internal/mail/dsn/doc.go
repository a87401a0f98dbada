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
// # Invariants
//
// The result is 7-bit text in lines of at most 998 characters, whatever it was
// made from. Only the field To has UTF-8, when the sender's address is written in
// it; such a notice can go nowhere without SMTPUTF8 anyway.
//
// The part for programs is message/delivery-status also where an address needs
// UTF-8: it has it in the 7-bit form of RFC 6533 §3, which readers of both kinds
// know, so that message/global-delivery-status is never needed.
//
// Texts of other hosts are data: they can not end a line, a field, a part or the
// message. A message that is not 7-bit itself, is larger than MaxReturn, or is not
// there as a whole, comes back as its header only, so a notice is never much larger
// than that (LOOP-008).
package dsn
