// Package letter is the checks of what a letter says and carries: attachments, header,
// who it claims to be from, HTML, links and language. All work on what mail/content and
// mail/message read; nothing is asked of anybody, and nothing is kept.
//
// # What counts
//
// Each family ("attachment", "header", "identity", "html", "links", "language") is a check
// of its own. Its remarks and their scores are in Symbols; docs/FILTER.md has them as a
// table. Files that would be run by a double click are of the category banned, by what
// they really are or by their name, in archives too; all else is evidence, and most of
// it little: honest amateurs write crooked headers, newsletters count clicks and hide
// their first line, and programs of shops send base64.
//
// What amateurs do (Symbol.Amateur) costs at most amateurMost in one family together. What
// newsletters do counts less in a letter that says how to leave its list and whose
// author is proven.
//
// # Bounds
//
// content.Read is bounded, and all work here is linear in what it gives. A letter that
// makes it panic costs the checks of this package and nothing else (MIME-022): it is read
// once, and judged by the others.
package letter
