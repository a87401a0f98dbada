// Package fulltext rules out, without reading them, letters that can't have a text in
// them. What is left is to be read: an answer is never taken from here.
//
// Each letter has a signature of 4096 bits, one for each group of three neighbouring
// octets (in the fold of package collate) that is somewhere in its text, by a hash. A
// text that is looked for can only be in letters that have all of its bits. What is
// shorter than three octets rules nothing out.
//
// # Why not FTS5
//
// FTS5 with trigrams was measured beside it: an index of 40 % of the text, made at 0.6
// to 1.7 MB/s. This one has half a KiB a letter and lets a few letters more through,
// which are then read. For 100,000 letters (of 2 KB): 47 MB, made in at least 3 s of one
// processor (its beginning was not measured); a text that is in 100 of them is found in 0.13 s of processor time, where
// reading them all takes 1.4 s.
//
// # On disk
//
//	HOME/search.db   SQLite with one table: page (id INTEGER PRIMARY KEY, data BLOB)
//
// A page has the signatures of the letters of 64 neighbouring UIDs of one mailbox: its
// id is UIDVALIDITY·2²⁶ + UID/64. Its data is a CRC-32C (of the id and all that
// follows), 64 bits for the UIDs that are there, for each of these a CRC-32C of UID,
// size and time of receipt, then for each of the 4096 bits the 64 letters that have it.
//
// # Invariants
//
// The file is a cache: it can be deleted at any time and costs speed only. A page
// with a wrong sum is not believed; a file that is no database, or of another version,
// is begun anew. A UIDVALIDITY is given to one mailbox and a UID to one text for ever,
// so a page is never wrong, only incomplete; should an index of mailboxes be restored
// from yesterday, or this file come from another home, the letters of today have
// another size or time than those that the page knows. Pages of mailboxes that are
// gone, and pages whose letters are all gone, are swept when something is added.
//
// # What a crash leaves
//
// Pages old or new; nothing is synced, and what is torn has a wrong sum.
//
// # In memory
//
// Nothing until something is asked, then the open file, for five seconds.
package fulltext
