// Package replay judges letters again that came before, as the filter of today would, or
// one with other settings, and tells what would change.
//
// A letter is judged as it came: what this server wrote above it is taken off, and is where
// it stands who brought it (Received), as whom (Return-Path), what SPF, DKIM, ARC and DMARC
// said then (Authentication-Results), and what checks found that can't be asked again as it
// was (X-Spam-Status): lists in the DNS, the client's name and behaviour, reputation,
// scanners. Those remarks count as they did then, by the settings that are tried. All that
// can be seen in the letter itself is looked at anew, and so are policies and lists of
// senders.
//
// Against what is judged says the place where people have the letter: Junk and the
// quarantine are for spam, every other mailbox is for mail that they want. A person's word
// is a keyword ($Junk, $NotJunk): it counts double. That a letter is not where the filter had
// put it is told, and says less: nobody need have moved it.
//
// Nothing is written, and nothing is kept in memory but the sums and a bounded number of
// changes. A letter with a trace of nobody's (imported, put there by a program) is judged by
// what is in it alone. What cannot be replayed, Sum.Notes tells.
package replay
