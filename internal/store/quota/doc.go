// Package quota counts what accounts hold, and says what more there is room for. There
// is one figure for an account, whoever asks: the door, IMAP, the admin.
//
// # What counts
//
// The bytes of the letters' files (S= in their names) and their number, in all
// mailboxes but those that a rule ignores. Rules are Dovecot's: a limit for one
// mailbox is what all mailboxes together may hold while something is put there, so
// that a full account can still move letters to Trash.
//
// # On disk
//
//	HOME/Maildir/maildirsize  the figure, as Maildir++ has it
//	HOME/quota-warned         of what the owner was warned, in percent; HOME may be elsewhere
//
// maildirsize has the limits in its first line ("2147483648S,100000C"), and then a
// line for each change ("1024 1", "-1024 -1"), the sum of which is the figure. Every
// program that knows Maildir++ adds its lines, and takes the others' as they are. The
// file is made anew, with one line, if it is missing, cannot be read, has reached 5120
// bytes, names other limits, or is found to be wrong. An account without limits has
// none, and nothing is counted for it.
//
// # When the figure is right
//
// What this process does counts at once, in memory; the line in the file follows in
// the background, several changes in one. Lines of others are read within a second.
// Programs that write no lines are found out by the mtimes of the directories: when the
// account is first asked for (a file that is older than a directory is not believed),
// then every five minutes, and before anything is refused. Only directories that
// changed are read again.
//
// Nothing is refused because of a disk: who asks for a figure waits for it as long as
// his context lets him, 5 s at most, and then has an error that is not ErrFull. A
// file system that hangs holds one goroutine for each account, 64 in all.
//
// # Warnings
//
// Once for each threshold that is crossed on the way up, and once when a full account
// has room again. A threshold counts as left when the figure is five points below it;
// a warning of the same threshold comes once a day at most. Warned is written down
// before it is told: a crash between the two may cost a warning.
//
// # What a crash leaves
//
// A maildirsize that misses the last lines, or is torn: both are found out as above.
// Nothing here is ever needed to find a letter.
package quota
