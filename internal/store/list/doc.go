// Package list keeps the lists that rules ask: tables of keys and values that an
// admin writes, or that another program keeps.
//
//	(inline)                     keys and values in the settings
//	file:/path                   lines "key value", as in Postfix's access(5)
//	hash:, btree:, lmdb:, dbm:, sdbm:, cdb:, texthash:/path
//	                             the same; the text that Postfix compiles is read, and a
//	                             key without a value is none
//	aliases:/path                lines "name: values" of aliases(5)
//	cidr:/path                   lines "network value"; the first that fits
//	regexp:/path, pcre:/path     lines "/pattern/flags value"; the first that matches
//	static:value, inline:{key=value, {key = two words}}
//	unix:passwd.byname, unix:group.byname
//	unionmap:{a, b}              the values of all tables that have the key
//	pipemap:{a, b}               the value of each is the key of the next
//	sqlite:/path?query=SELECT …  one statement with "?" for the key
//	mysql://user@host/database?query=SELECT …
//	                             the same, in MySQL or MariaDB
//	postgres://user@host/database?query=SELECT …
//	                             one statement with "$1" for the key
//	ldap://host/BASE?attribute?scope?(filter with {key})
//	                             a directory; also ldaps:// and, for sockets, ldapi://
//	ldap:/path.cf, mysql:/path.cf, pgsql:/path.cf, sqlite:/path.cf
//	                             a file of parameters of Postfix's (ldap_table(5) and
//	                             its kin), in which the key is written %s, %u, %d, %1 …
//	tcp:host:port                lines (tcp_table(5))
//	socketmap:unix:/path:name, socketmap:inet:host:port:name
//	                             netstrings (socketmap_table(5))
//
// "proxy:" before any of them means nothing. Maps are several tables in their order.
//
// A look-up has three answers. A file is read at the start, and again when it has
// changed and two looks, a second apart, found it the same; one that can not be read
// then, or has a mistake in it, is told of once and the table before it stays in
// use. In a file of keys, a line with a mistake is told, all others count, and its key
// says TryAgain until it is right. A database that does not answer in time is TryAgain, never "not in the list".
//
// Keys in files are compared without regard to case; directories and databases have
// rules of their own. A query gets the key as a parameter, never as text of the
// statement, in a database that is opened, or a session that is begun, for reading
// only. A filter or a distinguished name gets it through the encoder of its grammar
// (RFC 4515, RFC 4514), and only where a value stands: templates in which it could be
// anything else are refused before they are used. A key that is empty, has a NUL or is
// not UTF-8 is in no directory and in no PostgreSQL database; nobody is asked.
//
// A query of Postfix's, in which the key stands in the text, is rewritten before it is
// used: a literal with a place in it becomes a parameter whose value is made of the key,
// in one pass. What can't be rewritten is refused. Files of Postfix's fold keys to lower
// case, and join all values by result_format and commas, at most 2000.
//
// # Servers
//
// Nothing is asked when the lists are opened: a server that is down then does not keep
// ours from starting. Several hosts are tried in their order, within 5 seconds
// altogether. A list has at most 4 connections; an unused one is closed after a minute,
// and every one after an error. What leaves this machine is encrypted unless the
// settings say otherwise, and certificates are verified; there is no switch for that.
//
// When no host can be used, or one is cut off or silent, look-ups say TryAgain at once
// for a second; then one look-up tries, while the others still say TryAgain, and each
// further failure doubles the pause, to 30 seconds at most. The beginning and the end
// of that are told. A server that answers, but with an error, is asked again each time,
// and told of once a minute.
//
// The value is what the attributes of all entries have, entries in the order of their
// names, or the first column of all rows, joined with commas. An entry without the attribute is none; where no attribute
// is named, an entry is a key with an empty value. More than 100 entries or rows, or
// more than 256 KiB, are an error: the question is wider than was meant. Referrals and
// aliases are not followed. A base that does not exist is an error, unless the key is
// part of it.
//
// Answers of a server, "not found" too, are used again for CacheTime, at most 4096 and
// 4 MiB of each list, and of that list only; TryAgain never is. Nothing else is cached,
// so that no list answers for another. The package writes nothing.
package list
