// Package mailbox is what IMAP and POP3 see of an account: mailboxes with UIDs,
// flags and sequence numbers, on top of Maildir++ directories.
//
// # On disk
//
//	HOME/Maildir/                the letters; see package maildir
//	HOME/Maildir/facteur-uids    which index is the right one (text)
//	HOME/Maildir/subscriptions   subscribed names, in Dovecot's form
//	HOME/index.db                the index: SQLite in WAL mode, synchronous=FULL
//
// The files are the truth about which letters exist and what their system flags
// are. The index adds UIDs, MODSEQs and keywords, and keeps what would take long
// to find out: sizes, dates, structures. It can be deleted at any time while nobody
// uses the account; then letters get new UIDs under a new UIDVALIDITY, and
// keywords are lost. The same happens when it is corrupt or is not the one that
// facteur-uids names: an index from a backup, older than the mail, would give
// UIDs a second time. UIDVALIDITYs come from the clock and only rise; a number
// is given to one mailbox only. (Whoever restores the whole HOME from a backup
// must delete the index too.)
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
// # Other programs
//
// Each operation compares the mtimes of new/ and cur/ with those at the last
// look and reads the directories if they differ; a session that waits is woken
// by inotify or by Notify. A change by another program while one of ours is
// carried out is seen at the next Select, or in Poll after a minute.
// Letters of others may have LF line ends and names without sizes: they are
// measured once and converted on reading.
//
// # What a crash leaves
//
//   - Append: the letter whole, or nothing but a file in tmp/.
//   - Store: some letters with new flags, some with the old; after a power cut
//     names may fall back to the old flags. The index follows the names, with a
//     new MODSEQ.
//   - Expunge, Copy, Move, Rename: before or after. What is to be done to files
//     is committed to the index together with its result (table todo), done
//     afterwards, and done again when the account is next opened. Move renames:
//     at every moment the letter has a name, in one mailbox or the other. If the
//     index is lost just then, letters are where their files are.
//   - Delete: the mailbox whole, or gone; leftovers in tmp/ are swept.
//
// # In memory
//
// A mailbox that some session has open takes 40 bytes a letter, shared, and 4
// bytes a letter for each session; else only its row. The index of an account stays
// open for ten seconds after the last session, of at most a hundred accounts. One mutex per account
// orders all changes; reading letters and flags does not take it.
package mailbox
