// Package backup writes all that a server has into a directory or a tar file, reads it
// back, and proves that it is whole.
//
// # On disk
//
//	data/           what the data directory held at one moment: see control.Cut
//	settings/…      facteur.toml, and the files that it names (certificates, keys,
//	                passwords, tables), under their absolute paths
//	MANIFEST        the first line says of when and of whom; then a line for each file,
//	                "SHA256 SIZE MTIME PATH"; the last line has the sum of those before
//
// MANIFEST is written last, and durably: what has none, or half of one, is no backup. A
// directory that is based on an earlier one (Previous) shares the files of letters that
// both have, as links; either can be removed. Backups hold passwords, keys and mail:
// they are made readable for their owner only.
//
// # What a crash leaves
//
// A backup without MANIFEST, and a directory "cut-…" in the data directory, whose links
// hold no room until their letters are expunged; the next backup removes it
// after an hour, unless a file beside it is locked by the backup that copies it. A restore
// writes beside the data directory and renames at its end: before that there is none. A
// data directory that is a volume of its own is filled by renames inside of it, with
// facteur.db as the last.
package backup
