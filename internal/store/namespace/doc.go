// Package namespace is what one user sees of all mailboxes: his own, those that
// others share with him, and the public ones, under names as they look on the
// wire. Every operation asks the rights first (RFC 4314).
//
// # Names
//
// Inside, levels are divided by "/". On the wire they are divided by the
// Separator of the settings, and each kind of mailbox has its prefix (RFC 2342):
// personal ones "" or such as "INBOX.", others' "Users/", public ones "Public/".
// Behind the prefix for others' stands the address of the account as one level:
// "Users/bob@example.org/Work"; INBOX is "Users/bob@example.org/INBOX".
// Characters that collide are written as "\2e" (the separator, where it is ".")
// and the like, and a "/" in a level on the wire is kept as "\2f": each mailbox
// has one name on the wire, and each name means one mailbox.
//
// A personal mailbox called "Users" is one like any other; below it, first levels
// with an "@" are others' accounts. If there are public mailboxes, their prefix
// belongs to them.
//
// # Rights
//
// They stand beside the letters, in Dovecot's file dovecot-acl (package mailbox).
// Who has no right to look a mailbox up gets mailbox.ErrNoMailbox, the same and by
// the same way as for one that does not exist; ErrNoPermission is said of
// mailboxes that he may see. \Seen is one flag for all who share a mailbox.
//
// # On disk
//
//	DATA/shared-mailboxes    who shares with whom (text)
//	DATA/mail/.public/       the public mailboxes: a Maildir and its index
//
// The first says which accounts LIST looks into, and nobody is let into an account
// that it does not name. It follows from the ACLs: it is corrected whenever an
// owner logs in or changes rights, and is made anew when it is missing.
// A crash leaves it old or new; old, it lacks what was shared a moment ago until
// the owner comes again, and never lets in anybody whom the ACL does not.
//
// # In memory
//
// Accounts of others are opened for one operation, or as long as one of their
// mailboxes is selected, and are the same in memory for all their users.
package namespace
