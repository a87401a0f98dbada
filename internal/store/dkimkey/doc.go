// Package dkimkey keeps the keys that sign mail (RFC 6376), of each domain apart.
//
// # On disk
//
//	DATA/dkim/example.org/keys           one line a key: selector, algorithm, state, since when
//	DATA/dkim/example.org/facteur1.pem   the private key, PKCS#8
//
// Both are text, and the truth: there is no copy of them in a database. An admin may read
// them, back them up and move them to another server. Directories have mode 0700, files
// 0600. A file is written whole, by another name, and renamed.
//
// # States
//
//	made       the key is there; its record was not seen in the DNS
//	published  all name servers asked show the record; it signs soon
//	active     it signs
//	retiring   it signs no more; its record stays for letters that are on their way
//	retired    the private key is gone; the record is to say so (an empty p=)
//
// A key signs nothing before its record was seen, for a letter with a signature that
// nobody can check is worse off than one without. The admin can overrule that.
//
// A domain has two selectors for each algorithm, used by turns. A new key is made under
// the one that no living key has, so that both records can stand side by side while mail
// goes over from one to the other.
//
// # Invariants, and what a crash leaves
//
// A private key is on the disk before the line that names it, and is removed after the
// line that calls it retired. So a crash leaves a file that no line names, which the next
// key of that selector replaces, or one of a retired key, which the next change removes;
// never a line without its key. What the record of a published key must be never changes.
package dkimkey
