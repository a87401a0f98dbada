// Package interop runs facteur beside the programs that it has to get on
// with: Debian's Postfix, Exim, OpenSMTPD, Dovecot, swaks, msmtp, mbsync, offlineimap,
// mutt, neomutt, alpine, fetchmail, getmail, imapfilter, mpop, curl, Perl's
// Mail::IMAPClient, Python's smtplib, imaplib and poplib, each in a private copy with its own
// configuration, spool and ports in a temporary directory. The Postfix and Dovecot
// of the machine are never touched.
//
// A mail server under test is a Post. Two live here: Facteur, the binary
// built from ./cmd/facteur, and Debian, a private Postfix with a private
// Dovecot on the same Maildirs. Every helper and most tests run against
// Debian too: a test that fails there is wrong, whatever facteur does.
//
// What is missing is skipped with a word why; with FACTEUR_TEST_REQUIRE=1 it
// is a failure. Everything listens on 127.0.0.1 only. Every process belongs to
// a Process, which ends it, and whatever it started, by pid when the test ends.
package interop
