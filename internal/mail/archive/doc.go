// Package archive tells what a file really is, and which files are in it, without
// ever unpacking one to disk: ZIP, gzip, bzip2, xz, tar, 7-Zip and RAR, nested; the
// documents that are archives (OOXML, OpenDocument) and the old compound files (OLE)
// for their macros; disk images, shortcuts and programs by their first bytes.
//
// # What is believed
//
// Nothing. A ZIP says twice what is in it, in its directory and before each file, and
// programs differ in which they believe: both are read, and so is a second archive glued
// behind the first. A name is a name, never a path. A size that is announced is told,
// and nothing is allocated by it. What two programs may see differently is told in
// File.Odd.
//
// # Invariants
//
// Examine never fails: what could not be looked through says so in File.Trouble, which
// is a remark for the filter and no error. All work for one letter is within one Budget:
// bytes unpacked (those of slow formats count more), files told, depth, and memory held.
// It is counted and not timed, so the same letter always gives the same answer, on any
// machine. A library that panics on what it reads costs the one file (Trouble says so).
//
// The package has no clock, no disk and no state.
package archive
