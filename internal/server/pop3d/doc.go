// Package pop3d is the POP3 door: RFC 1939 with CAPA (RFC 2449), STLS (RFC 2595), SASL
// (RFC 5034) and response codes (RFC 2449, RFC 3206), over the INBOX of an account in
// package store/mailbox.
//
// # A session
//
// Serve runs one connection: it logs in, has the maildrop, and updates it. What the
// maildrop holds is decided at the log-in; letters that come later are seen by the
// next session. APOP is not offered: it wants the password in the clear on the server,
// and MD5. Nor is UTF8 (RFC 6856): every client gets the letters as they are, as from
// other servers.
//
// # Invariants
//
// A letter is deleted if the client marked it with DELE and then said QUIT in the same
// session, all marked letters or none; a connection that just ends deletes nothing
// (ATTACKS POP-001). How it is deleted the settings say: expunged, which keeps it for
// retention where there is one, moved to another mailbox, or hidden.
//
// One session at a time has a maildrop (POP-002), unless the settings allow more. The
// lock is in memory and goes with its session; one that has been silent for a minute
// gives it up to the next.
//
// Unique-ids are those that Dovecot gives: of UID and UIDVALIDITY, in the form that the
// settings say, but for letters that dovecot-uidlist gives one of their own. They
// change with nothing but the UIDVALIDITY.
//
// A password is taken only under TLS, or where both ends are the same machine. What a
// client sent before TLS is never acted on after it. Who fails to log in learns nothing
// of whether there is such a user.
//
// Memory does not grow with letters but for a bit for each, and four bytes for those
// that the engine shares with other sessions. Every wait has a deadline: a minute to
// log in, ten minutes of silence (RFC 1939 §3), five for a client that does not take
// what it asked for. No lock but that of the maildrop is held while something is sent.
//
// # After a crash
//
// Nothing is kept here. Letters that were read are not marked as seen, and nothing is
// deleted but after an answer to QUIT was on its way.
package pop3d
