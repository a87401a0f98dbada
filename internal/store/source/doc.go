// Package source is the places where accounts are kept that are not ours: directories
// (LDAP) and databases (SQL). Each is a directory.Source, asked over connections of
// package list, with its bounds: five seconds for a question, several hosts in their
// order, a pause after failures that grows, TLS wherever something leaves this machine.
//
// # Fields
//
// Both know an account by the same fields. In a row they are the names of columns, also
// with Dovecot's prefix "userdb_", and "user" for the address; in an entry they are
// attributes that the settings name.
//
//	address   its name and main address        password  as Dovecot writes it, {SCHEME}…
//	home      home directory                   maildir   where the letters are
//	uid, gid  numbers of a Unix user, or name  quota     bytes, or "5G", or "*:storage=5G"
//	forward   where its mail goes instead      host      the machine that has its mailbox
//	disabled  anything but no: may not log in  active    anything but yes: the same
//
// An empty "disabled" is no, and so is one that is not there; an empty "active" is not yes,
// NULL and a missing attribute with it, once it is asked for.
//
// # Invariants
//
// What somebody sent is a parameter of a statement, or a value of a filter that was
// parsed before: never text of either. A server that does not answer, or says what can't
// be understood, makes mail and log-ins wait. Two entries for one address are such an
// answer: nobody guesses whose the mail is. An empty password is never tried. Nothing is
// kept here, and nothing is written there.
package source
