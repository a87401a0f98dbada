// Package urlauth opens letters, and parts of letters, by IMAP URL (RFC 5092), and
// keeps the keys with which a user gives others the right to do so (URLAUTH, RFC
// 4467).
//
// # On disk
//
//	HOME/urlauth/NUMBER    the access key of the mailbox with that UIDVALIDITY:
//	                       64 hexadecimal digits, mode 0600
//
// A key is made when the first right to a mailbox is given, and removed by
// RESETKEY, after which no URL is good that was made with it. A UIDVALIDITY is given
// to one mailbox only: a mailbox that is renamed keeps its key, and one that is
// deleted and made anew has none.
//
// # Invariants
//
// A token is the HMAC-SHA-256 of the URL up to the mechanism, so that nothing in it
// can be changed: whose letter, which part, who may fetch it, until when. It is
// compared in constant time. Whoever may not fetch a letter, or asks for one that is
// not there, learns nothing but that.
//
// # After a crash
//
// A key is there whole or not at all, and stays if something was signed with it. After
// a RESETKEY that was answered it is gone; of one that was not, some keys may be there.
// A file new-… may be left of a key in the making, until RESETKEY of all mailboxes.
package urlauth
