// Package stress is many IMAP clients at once on a few mailboxes of one account, in the
// spirit of Dovecot's imaptest: each sends commands at random, some lose their
// connection in the midst, and letters come and files are renamed behind the server's
// back meanwhile. Each client believes only what the protocol lets it believe, and
// checks it (RFC 9051 §5.2, §7.4):
//
//   - an answer is well formed, and belongs to its command
//   - EXISTS does not shrink, EXPUNGE names a letter that is there, and comes neither
//     outside a command nor in FETCH, STORE and SEARCH by sequence number
//   - UIDs ascend with sequence numbers, and a letter keeps its own
//   - MODSEQ does not fall, neither a letter's nor the mailbox's (RFC 7162)
//
// All clients write into one Book what they know for certain, and it says when
//
//   - UIDVALIDITY changes, or a UID names other bytes than before (INV-10), or has
//     another envelope, structure, size or date
//   - COPY or MOVE leaves out a letter that is there
//   - a new UID is below a UIDNEXT that somebody was told before
//   - a UID is seen again after it was told as gone, or is told as gone although nobody
//     asked for that (INV-09)
//   - a letter's text does not have the checksum that it carries
//   - a letter is nowhere at the end that nobody deleted
//
// Every few seconds all hold still, and the picture that each has built from what it was
// told has to be what a fresh client sees: letters, order, flags. Another one then reads
// every letter whole, and they have to be those whose files are on the disk: an index or
// a cache may tell of a letter whose file is lost. Clients that know how
// come back with QRESYNC from an older picture and have to arrive at the same.
//
// TestCrashes kills the server in the midst of each round and starts it again: nothing of
// this may be otherwise then.
//
// A violation is told with the seed and the end of that client's conversation. The
// checks hold for any server: make stress runs them against Debian's Dovecot too.
package stress
