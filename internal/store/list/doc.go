// Package list keeps the lists that rules ask: tables of keys and values that an
// admin writes, or that another program keeps.
//
//	(inline)                     keys and values in the settings
//	file:/path                   lines "key value", as in Postfix's access(5)
//	cidr:/path                   lines "network value"; the narrowest network is found
//	regexp:/path, pcre:/path     lines "/pattern/flags value"; the first that matches
//	sqlite:/path?query=SELECT …  one statement with "?" for the key
//
// A look-up has three answers. A file is read at the start, and again when it has
// changed and two looks, a second apart, found it the same; one that can not be read
// then, or has a mistake in it, is told of once and the table before it stays in
// use. A database that does not answer in time is TryAgain, never "not in the list".
//
// Keys are compared without regard to case. A query gets the key as a parameter,
// never as text of the statement, and reads a database that is opened read-only.
// Nothing is cached outside of the table that it belongs to, so that no list
// answers for another. The package writes nothing.
package list
