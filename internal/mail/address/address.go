// Package address reads and writes the mailbox of the SMTP envelope
// (RFC 5321 §4.1.2, RFC 6531 §3.3) in one canonical form.
//
// There is one canonicalisation, and everybody uses it: look-up, relay check,
// quota, limits. Domain is lower-case A-labels without a trailing dot, or an
// address literal in brackets; Local is the local part with quoting removed,
// its case kept (Key folds it). A quoted "@" in Local is data, never routing.
package address

// Address is a mailbox. The zero value is the null reverse-path "<>".
type Address struct {
	// Local is the local part, dequoted, at most 64 octets, valid UTF-8.
	Local string
	// Domain is the canonical domain: lower-case ASCII A-labels, or a literal
	// such as "[192.0.2.1]" or "[IPv6:2001:db8::1]"; empty only for the null
	// path and for the bare "postmaster" of RFC 5321 §4.5.1.
	Domain string
}
