// Package dkim says who answers for a message: DomainKeys Identified Mail
// (RFC 6376, with 8301 and 8463, and the names of 8616). It verifies the
// signatures that a message came with, and makes ours.
//
// # On the wire
//
// A signature is a header field, DKIM-Signature, with a hash of the body (bh=),
// the names of the header fields that it covers (h=) and a signature of those
// fields and of itself (b=). The key is a TXT record at SELECTOR._domainkey.DOMAIN.
// What is hashed is not the bytes but their canonical form: simple (as they are)
// or relaxed (white space does not count).
//
// # How it is used
//
// A message is read once. Read looks at the header, before the body is there, and
// tells the Body what will be wanted; the body goes through Body.Write as it
// streams by; Verify asks for the keys and judges. Sign works in the same way,
// with Form.Wants in the place of Read. mail/arc uses the same Body.
//
// Header fields are canonicalised from the bytes as they stand in message.Header:
// nothing is parsed and written again. Line ends may be bare LF; they count as
// CRLF, as that is how mail travels.
//
// # Limits
//
// At most 8 signatures are evaluated, those of the author's domain first. RSA keys
// have 1024 to 4096 bits; larger ones are not calculated with. Key records have at
// most 16 KiB. Names are checked before the DNS is asked for them. Memory for a
// body is constant, and its time does not depend on how many signatures there are
// nor on their l=. SHA-1 is recognised, and not believed (RFC 8301).
//
// # Results
//
// They are in the words of RFC 8601 §2.7.1:
//
//	pass       it holds
//	fail       it does not: changed on the way, expired, an algorithm or key that proves nothing
//	policy     it was not judged, or holds for less than we want: too many, too large a key, l=
//	neutral    it can not be read, or fails while its owner says that he is testing (t=y)
//	temperror  the DNS did not answer
//	permerror  it can never be judged: no key, a broken key, a signer that can not be one
//
// A signature that does not hold is as good as none (RFC 6376 §6.1): no result but
// pass says anything about the message.
package dkim
