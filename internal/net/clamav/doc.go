// Package clamav asks clamd, the scanner of ClamAV, whether a letter has a virus.
//
//	we     zINSTREAM NUL, then chunks: length (32 bits, big-endian) data; length 0 ends
//	clamd  stream: OK NUL | stream: NAME FOUND NUL | WHAT IS WRONG ERROR NUL, and closes
//
// PING is answered with PONG, VERSION with "ClamAV 1.4.3/27500/…". Each question has a
// connection of its own; clamd serves as many at the same time as its MaxThreads says.
//
// Invariants. A letter goes through in pieces of 32 KiB, whatever its size. An answer is read
// up to 4 KiB. What is not exactly one of the answers above is an error: that a letter is clean
// is never guessed. A clamd that closes because the letter is above its StreamMaxLength is
// told apart (ErrTooLarge): it says so before it has read all. Names of viruses come from
// files of others and are given in printable ASCII, at most 200 bytes. Every wait ends with
// the context.
package clamav
