// Package arc follows and makes Authenticated Received Chains (RFC 8617): what the
// servers say that a message came through, each with a seal over what those before it
// said.
//
// # On the wire
//
// A set is three header fields with the same instance, i=1 to 50:
//
//	ARC-Authentication-Results  what the server found out when the message came (AAR)
//	ARC-Message-Signature       a signature of the message as it left, like DKIM's (AMS)
//	ARC-Seal                    a signature of all ARC fields so far; cv= says whether the
//	                            chain held when the message came: none, pass, fail (AS)
//
// # Verifying
//
// Read looks at the header before the body is there and tells the dkim.Body what the
// newest AMS needs. What is wrong with the shape of a chain is found there, before
// anything is asked or calculated: more than 50 sets, a gap, a field twice, a seal that
// contradicts its place. Verify takes the newest set first, and asks for the keys of the
// others only when that holds: a chain that was made up costs two look-ups. Its time grows
// with the length of the chain, not with its square.
//
//	none       there is no chain
//	pass       the newest AMS holds, and so do all seals
//	fail       the chain is broken; for good, as no later seal mends it
//	temperror  the DNS did not answer: nothing is known (RFC 8617 knows no word for it)
//
// # What a pass is worth
//
// Anybody can seal anything: a chain that passes proves who said what, and no more. It
// speaks for a message only as far as its sealers are trusted, going back from the newest
// (RFC 8617 §9); see flow/filter.
//
// # Sealing
//
// Seal adds a set. What it says of the message is what the caller found out; it is not
// for this package to know. A chain that failed is sealed once more with cv=fail, by
// whoever found out, so that all after him know; then it has ended, as with 50 sets.
package arc
