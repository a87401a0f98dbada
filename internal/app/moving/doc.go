// Package moving brings mail from other programs and servers into mailboxes here, and
// writes it out for them: facteur import maildir, mbox and imap, and facteur export.
//
// A Source has mailboxes, and gives their letters one after the other. Letters go to the
// office of the post (control.Importing) in batches of up to 256 letters or 16 MiB, each
// of which becomes letters as a whole or not at all. What a source calls a letter
// (control.ImportLetter.Key) is kept with it, so that a second run, after whatever ended
// the first one, brings what is missing and nothing twice.
//
// What can't be read is told and passed over, and the run ends with an error; the next
// run tries it again.
//
// # In memory
//
// A run keeps, for each letter of the mailbox that it is at, twelve bytes in a map and
// what its source names it by (the name of a file, a UID), and buffers. Letters are never in memory as a whole.
package moving
