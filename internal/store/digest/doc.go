// Package digest is what letters say, worked out once: the answers to ENVELOPE,
// BODY and BODYSTRUCTURE as they go to an IMAP client, the lines of the header
// that clients ask for in their lists, the keys of SORT and THREAD, a preview, the
// ids of RFC 8474. A Maker works it out of a letter, a Cache keeps it.
//
// # On disk
//
//	HOME/cache.db    SQLite with one table: page (id INTEGER PRIMARY KEY, data BLOB)
//
// A page has what one part of the digests (see Want) says of the letters with 64
// neighbouring UIDs of one mailbox. Its id is UIDVALIDITY·2²⁸ + UID/64·4 + part; so
// a page belongs to one mailbox for ever, and a UID in it to the same bytes for
// ever. Its data is: CRC-32C (of id and all that follows), a bit for each UID that
// is there, for each of these a mark and the end of its data, then the data. The
// mark is a sum over UID, size and INTERNALDATE of the letter that was looked at.
//
// # Invariants
//
// The file is a cache and nothing else. It can be deleted at any time. What is
// damaged, cut off, of another version or from another time is not believed: a
// page must have the right sum, a digest the mark of the letter as the index knows
// it. Where the file as a whole is no good it is deleted and begun anew. An error
// of the disk costs time, never an answer.
//
// It is bounded: letters with very long headers or thousands of parts are not kept
// in it, and a file that grew over 4 GiB is begun anew. Pages of mailboxes and
// letters that are gone are swept.
//
// # What a crash leaves
//
// Nothing is synced: after a power cut the file may be anything, see above. What
// was worked out in the last seconds is worked out again.
//
// # In memory
//
// A Cache that nobody asks costs some hundred bytes: the file is opened when it is
// needed and closed five seconds later. At most 1 MiB waits to be written.
package digest
