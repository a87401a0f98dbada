// Package takeover turns the configuration of another mail server into a facteur.toml
// and a report on each line that was read.
//
// Importers (package postfix below, and others beside it) fill a Takeover: Settings,
// which is the file to be, and a Report. Write checks the text as "facteur check" does
// and writes it; the same input gives the same bytes. Nothing of the other server is
// changed, so that the way back is to stop facteur and to start the other.
//
// # On disk
//
// facteur.toml, the files with passwords that belong to it (mode 0600, in the same
// directory) and, if wanted, the report. Each is written beside its place and renamed,
// passwords first: a crash leaves the old file or the new one, and at worst password files
// that nothing names yet. What is there is not replaced unless that was asked for.
package takeover
