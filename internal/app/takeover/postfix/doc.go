// Package postfix reads the configuration of a Postfix and says it in facteur's words.
//
// # What is read
//
// main.cf and master.cf in all of their syntax (postconf(5), master(5)), the files that
// they name where something has to be known of them (networks, domains, passwords, access
// tables), and what stands in the directory above: postsrsd, opendkim, opendmarc,
// policyd-spf, saslauthd and amavis. Nothing is executed and nothing is changed. Macros may
// nest to a depth of 50 and grow to 1 MiB, a file may have 16 MiB; beyond, it is an error.
//
// # What becomes of it
//
// Tables stay where they are: facteur reads the text of hash:, btree:, lmdb: and the
// others, so the settings name them. Passwords for relays are copied to a file of ours. Each
// line gets a verdict; parameters that are not set count with Postfix 3.7's defaults where
// those decide about mail.
//
// The same table of names, read the other way, answers postconf.
package postfix
