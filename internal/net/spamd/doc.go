// Package spamd asks spamd, the server of SpamAssassin, what it makes of a letter.
//
//	we     SYMBOLS SPAMC/1.5 CRLF Content-length: 2071 CRLF User: anna CRLF CRLF, the letter
//	spamd  SPAMD/1.1 0 EX_OK CRLF Content-length: 30 CRLF Spam: True ; 15.2 / 5.0 CRLF CRLF
//	       BAYES_99,GTUBE,NO_RECEIVED
//
// PING is answered with "SPAMD/1.5 0 PONG".
//
// Invariants. The letter is sent as it is read; what is sent is exactly as long as was said.
// An answer is read up to 64 KiB, a line of it up to 4 KiB. A code that is not 0, and what is
// no answer of this form, is an error: a letter without a score has none. Names of tests come
// out in printable ASCII. Every wait ends with the context.
package spamd
