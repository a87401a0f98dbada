// Package dovecot reads the configuration of a Dovecot 2.x and says it in facteur's words.
//
// # What is read
//
// dovecot.conf with all that it includes, or what "doveconf -n" prints: settings, sections,
// !include and !include_try, $names, continued lines, quotes and comments. Files with the
// settings of passdbs and userdbs (dovecot-sql.conf.ext, dovecot-ldap.conf.ext) are read
// too. Nothing is executed and nothing is changed. Includes nest to a depth of 10, and all
// files together may have 16 MiB.
//
// # What becomes of it
//
// Each pair of a passdb and a userdb becomes a [[directory]]; letters stay where they are.
// Passwords for servers are copied to files of ours. Each line gets a verdict; a name that
// Dovecot 2.3 does not know is the only one that is told to be unknown.
package dovecot
