// Package scanner lets programs beside us look at letters: clamd for viruses, rspamd and
// spamd (SpamAssassin) for spam. Each is a check of the filter at its end, a family of its
// own: what rspamd or spamd say is one voice among others, and a virus is a category with a
// destiny of its own.
//
//	letter in the spool ──► slot (at most N at the same time, in turn) ──► clamd    → virus, or a score
//	                                                                  ├──► rspamd   → a score
//	                                                                  └──► spamd    → a score
//
// Names that clamd gives to what is no virus (an archive with a password, an unwanted program,
// phishing, the spam signatures of others) count as a score; see Names.
//
// # A scanner that is down
//
// What a scanner did not look at, nothing is said about: the letter is put off (451 4.7.1) or
// goes on without, as the settings say. It is never refused for good. So does one with which
// it does not come to an end while it looks at others: that is that letter's account alone.
// After two failures of the scanner in a
// row the scanner rests, from 5 seconds up to a minute, and costs letters no time; then one of
// them asks it whether it is there (PING) before it is trusted with a letter again. Each
// failed attempt is a line of the log, that it went down and came back an event besides.
//
// # Invariants
//
// A letter is read from the spool in pieces, never into memory. No letter waits for one
// scanner longer than its time-out, turn and answer together. An answer that a client took
// back by hanging up is nobody's failure. A Scanner keeps counts and nothing on disk; a crash
// forgets them.
package scanner
