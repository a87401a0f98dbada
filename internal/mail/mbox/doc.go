// Package mbox reads and writes mailboxes that are one file, as UW-IMAP, Dovecot, mutt,
// Pine and most Unix programs have them: mboxo, mboxrd, mboxcl and mboxcl2 (RFC 4155
// and mbox(5)).
//
// # On the wire
//
// A letter begins with a line "From ADDRESS DATE", at the beginning of the file or after
// an empty line, and ends before the next one. Only a line with a date in the form of
// asctime(3) counts, for text says "From " too; only the first line of a file may be
// without one. Line ends are LF or CRLF; letters are given with CRLF. Of lines ">From ",
// with any number of ">", one ">" is taken away. Where a Content-Length leads exactly to
// the next "From " line, or to the end of the file, it says where the letter ends, and
// nothing in it is taken for quoted (mboxcl2); any other is not believed.
//
// What IMAP servers and mail programs keep in the header is taken out and given beside
// the letter: Status, X-Status, X-Keywords, X-UID, X-IMAPbase, X-IMAP, Content-Length.
//
// # In memory
//
// A reader takes 64 KiB and the header of one letter, of which it looks at the first
// 256 KiB. Lines may have any length.
package mbox
