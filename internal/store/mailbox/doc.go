// Package mailbox is what IMAP and POP3 see of an account: mailboxes with UIDs,
// flags and sequence numbers, on top of Maildir++ directories.
//
// # On disk
//
//	HOME/Maildir/                the letters; see package maildir
//	HOME/Maildir/facteur-uids    which index is the right one (text)
//	HOME/Maildir/dovecot-uidlist the UIDs of INBOX, in Dovecot's form (text);
//	HOME/Maildir/.X/dovecot-…    those of the mailbox X
//	HOME/Maildir/subscriptions   subscribed names, in Dovecot's form
//	HOME/index.db                the index: SQLite in WAL mode, synchronous=FULL
//	HOME/cache.db                what the letters say; see package digest
//
// The files are the truth about which letters exist and what their system flags
// are. The index adds UIDs, MODSEQs and keywords, and keeps what would take long
// to find out: sizes and dates. It can be deleted at any time while nobody
// uses the account (for some ten seconds: facteur-uids says "open false", and has the
// UIDVALIDITY of every mailbox); then keywords are lost, but not UIDs. The same happens
// when it is corrupt or is not the one that facteur-uids names: an index from a backup,
// older than the mail, would give UIDs a second time. It is made under another name, so
// that a file of its name is whole, and no connection makes one in place of what was
// deleted. UIDVALIDITYs come from the clock and only rise; a
// number is given to one mailbox only.
//
// In the index letters stand in pages: a row has the letters of 256 consecutive
// UIDs, 7 to 12 bytes each, another the bases of the file names of 64. To change a
// flag is to write one page, to change all flags one for 256 letters; a mailbox is
// opened by reading some hundred rows. Each page has a checksum over its mailbox,
// number and bytes. A damaged one is mended from the files: where the letters'
// page is lost they keep their UIDs and get a new MODSEQ, and lose their keywords;
// where the names are lost nobody knows which UID is which file: these UIDs are
// gone, and the files are new letters. Where SQLite itself finds its file damaged the
// index is made anew, as if it had been deleted; the operation that met it fails, and
// sessions find their mailboxes gone. There is no index of names: when a letter
// came into its mailbox follows from its name alone, and finds the page.
//
// An index of an older version (a row for each letter) is brought up to date when
// it is opened, in one transaction.
//
// The lists of UIDs are written when the account goes to rest, for mailboxes whose
// letters are others than those listed; facteur-uids then has each mailbox's
// UIDVALIDITY, UIDNEXT and MODSEQ. An index that is made anew takes UIDs from a
// list that has that UIDVALIDITY and reaches that UIDNEXT: letters keep their
// UIDs, those that are not listed get higher ones, MODSEQs go on. Without such a
// list, or after a crash, the mailbox gets new UIDs under a new, larger
// UIDVALIDITY. So it does if there is an index younger than facteur-uids, which
// then is from a backup. Whoever restores the whole HOME from a backup must delete
// index.db and facteur-uids: nothing else can tell that UIDs were given since.
//
// # Coming from Dovecot, and going back
//
// A mailbox that is new to the account and has a list of Dovecot's (version 3)
// keeps its UIDVALIDITY and UIDs, if that UIDVALIDITY is above all that the
// account ever had; of two mailboxes with the same one, the second gets another.
// Later UIDVALIDITYs are larger than all of these. Letters seen for the first
// time have the keywords that dovecot-keywords gives to small letters in their
// file names; the index is where keywords are from then on. Dovecot reads our
// lists and goes on with the same UIDs (other fields of lines and header are
// kept); what it adds is followed when facteur comes back. It sees keywords that
// were given here after WriteDovecot put them into file names and dovecot-keywords,
// up to 26 in a mailbox. The two must not work on one account at the same time.
// A field "Xfacteur" in the header, which Dovecot keeps, marks lists that are to
// be believed only together with facteur-uids.
//
// UIDs are given when a letter is first seen, in order of arrival: the time in
// the file's name, or the file's mtime if that is earlier, then the name.
// INTERNALDATE is that time. A letter keeps its UID as long as its base name
// exists in new/ or cur/. Of two files with one base name, one is renamed. Files
// are removed for EXPUNGE and DELETE only.
//
// Letters stay in new/ until their flags change; being \Recent is the index's
// business. System flags are the letters D F R S T in names; other letters that
// stand there are kept and mean nothing here.
//
// A new account gets Drafts, Sent, Junk, Trash and Archive, subscribed, which
// have their SPECIAL-USE by these names. Who deletes one is not given it again.
//
// # What is expunged, and what is full
//
// Letters that their owner expunges (EXPUNGE, REPLACE, DELETE of a mailbox, not MOVE)
// are renamed into the mailbox of retention if the account keeps them (Retention): a
// Maildir++ folder as any other, but that what is expunged there is gone. Their names
// end in ",O=" and the folder that they were in, so that Restore brings them back
// whatever became of the index; the time in the name is when they came there. What
// is kept is never more than the account's quota: the oldest goes first. On a full
// disk letters are expunged for good rather than not at all; after any other error they
// stay where they are. Without a free block even that could not be written down:
// KeepSpare keeps a file of 4 MB for this, which is deleted then, and made anew when
// there is room again.
//
// What counts against a quota is told to package quota as it is committed, and asked
// for before anything is stored.
//
// # Other programs
//
// Each operation compares the mtimes of new/ and cur/ with those at the last
// look and reads the directories if they differ; a session that waits is woken
// by inotify or by Notify. A change by another program while one of ours is
// carried out hides behind the mtimes that ours leaves. A letter that comes then is
// seen at once by who waits, and at the next Select; all else at the first operation
// after a second, or in a large mailbox after up to a minute.
// Letters of others may have LF line ends and names without sizes: they are
// measured once and converted on reading.
//
// # Changes since a MODSEQ
//
// Each transaction that a session can see raises its mailbox's MODSEQ by one;
// letters have that of their last change, and removals are kept with theirs (table
// history), up to 256 KB for a mailbox. For what is older, or if a row of it was
// damaged, Vanished tells of every UID that the mailbox no longer has.
//
// # What a crash leaves
//
// After a run that did not end 65,536 UIDs and MODSEQs are passed over in each mailbox: of its last
// transactions some may be missing, if somebody removed index.db-wal or put back a
// copy of index.db, and what they gave must not be given again.
//
//   - Append: the letter whole, or nothing but a file in tmp/. Several at once
//     (Stage, Commit): all or none; so with Replace.
//   - Store: some letters with new flags, some with the old; after a power cut
//     names may fall back to the old flags. The index follows the names, with a
//     new MODSEQ.
//   - Expunge (also what is kept, and Restore), Copy, Move, Rename: before or after. What is to be done to files
//     is committed to the index together with its result (table todo), done
//     afterwards, and done again when the account is next opened. Move renames:
//     at every moment the letter has a name, in one mailbox or the other. If the
//     index is lost just then, letters are where their files are.
//   - Copy to another account: all or none. Move there copies, durably, then
//     expunges: after a crash in between the letters are in both.
//   - Delete: the mailbox whole, or gone; leftovers in tmp/ are swept.
//   - Going to rest: lists old or new, each whole. The index is good; if it is
//     lost as well, the lists are not believed.
//   - First opening, of a new index or of Dovecot's Maildir: nothing was decided,
//     or all mailboxes stand in the index with their UIDVALIDITY.
//
// # In memory
//
// A mailbox that some session has open takes 40 bytes a letter, shared, and 4
// bytes a letter for each session; else only its row. After ten seconds without an
// operation the index of an account is closed, though sessions wait in IDLE: then
// only their 4 bytes a letter stay in memory, the lists of mailboxes of up to 5000
// letters are written and, if none is missing, facteur-uids says "open false". The next
// operation opens it again, if it is the same; if it was taken away meanwhile the
// sessions find their mailbox gone. At
// most five hundred indexes are open, the last used ones. One mutex per account
// orders all changes; reading letters and flags does not take it.
package mailbox
