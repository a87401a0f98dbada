// Package sign puts our DKIM signatures on mail (RFC 6376): on what our own users,
// machines and devices send, and on what the server itself writes. Nothing that came from
// a stranger is ever signed, whatever its From says; forwarded mail gets a seal (package
// arc) and no signature (AUT-021).
//
// # Whose key
//
// The author decides, as readers and DMARC see him: the domain of From. A [[dkim_key]] of
// the admin's that is for this author comes first; then the keys of the domain in
// store/dkimkey, or of the nearest domain above it, which is alignment enough for DMARC
// (relaxed). Where From has several authors, the Sender speaks for them. A letter with two
// From fields, or with none, is not signed: nobody could tell what that says.
//
// All keys that sign do, RSA and Ed25519: the reader takes which he knows. A letter that
// bears a good signature of ours already gets a fresh one above it.
//
// # When there is none
//
// A letter is never lost for want of a signature. It leaves without, and the journey says
// why: its author's domain has no key, or one whose record nobody has seen yet, or the key
// can't be read. The log warns once a day of what the admin can mend. Where he has set
// "require", a letter of ours that can't be signed is not taken, and its sender comes
// again.
//
// # What departs otherwise
//
// What is changed at departure (addresses, 8-bit text made 7-bit) breaks the signature:
// Resign takes ours off and signs what goes over the wire, with the keys of that moment.
//
// # Seals
//
// What came from a stranger and goes on to another machine, by an alias or somebody's wish,
// is sealed as it leaves: three ARC fields on top tell what we found out when it came, and
// that it is as it left here. The key is that of our domain, and says nothing about the
// author. See Seal for when there is none.
//
// # Keeper
//
// The Keeper makes keys for domains that have none, asks the name servers for the records
// of keys that wait, and moves keys on when their time has come.
package sign
