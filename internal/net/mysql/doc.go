// Package mysql asks MySQL and MariaDB servers questions: a small client of the
// protocol that both speak since MySQL 4.1, for look-ups and nothing else.
//
// # On the wire
//
// Packets have a length of 3 bytes, little-endian, and a number that counts up
// within one exchange. The server greets (handshake version 10); the client may
// answer with a request for TLS, and then says who it is. Statements are prepared
// once (COM_STMT_PREPARE) and executed with values that are sent beside them
// (COM_STMT_EXECUTE), so that no value is ever part of the text of a statement. Rows
// come in the binary form of prepared statements; every value is given as the text
// that the server would have written.
//
// Of the ways to log in there are mysql_native_password and caching_sha2_password.
// The latter sends the password itself when the server does not remember it; that is
// done only within TLS or over a Unix socket, and so is mysql_clear_password. What a
// server asks for beyond these is refused by name, and so are replies that ask for a
// file of ours (LOAD DATA LOCAL).
//
// # Invariants
//
// Nothing is allocated by a number that the server announced: packets grow as their
// bytes arrive, and one above MaxPacket, a row with more than 256 columns, or more rows
// than were asked for are errors. After any error but *Error a Conn is out of step and
// of no use; it says so to every later question, and never tries to find its place
// again. The package has no clock: deadlines are set on the connection by the caller.
// A Conn is for one goroutine at a time.
package mysql
