// Package content tells what a letter shows and carries, for filters: its text as an eye
// sees it and the text that an eye does not see, its links with where they really lead,
// its files with what they really are, and what its HTML is made of.
//
// # What is seen
//
// Text is decoded from its transfer encoding and charset. Of a multipart/alternative the
// part that mail programs show is Letter.Text (HTML where there is some), the others are
// Letter.Other. HTML is rendered to words: tags within a word do not part it, blocks do.
// Text that is hidden (display, visibility, size, opacity, colour of the background, out
// of the screen), comments and titles are Letter.Hidden. Characters without width are
// left out and counted.
//
// # More than one interpretation
//
// message.Parse reads a letter in one way, and tells by Oddity where another program may
// read it in another. There, everything that could be a part in another reading is looked
// at as well: the union is judged. What only appears in another reading has Elsewhere set
// (files, links) or is part of Hidden (text).
//
// # Invariants
//
// Read never fails on what it reads. It takes time linear in the letter and is bounded by
// Limits in memory and work; what was left out is counted. All text is valid UTF-8. It
// works on the letter that message.Parse has read, and on nothing else: no clock, no
// disk, no state.
package content
