// Package message is the language of letters: RFC 5322 (headers, addresses,
// dates), RFC 2045 to 2047 and 2231 (MIME), RFC 6532 (UTF-8 in headers).
//
// # Reading
//
// Parse reads a message once, from start to end, and gives a tree of Parts with
// offsets into it; it never fails on what it reads. The tree tells what IMAP's
// ENVELOPE, BODYSTRUCTURE and BODY[n] ask; Append and Decode keep it in a cache.
// Header walks over the fields of a header in memory. The other readers take
// the unfolded value of one field: ParseAddresses, ParseDate, MessageID,
// References, DecodeText. DecodeTransfer and ToUTF8 are streams for bodies, Text is
// both for one part.
//
// Lines end at LF, with or without CR; a CR alone is an ordinary byte. A header
// ends at its first empty line and nowhere else, but for a delimiter of an
// enclosing multipart. A line of a header without a colon is a field without
// a name. A line that starts with a space or tab continues the field before.
//
// # One interpretation
//
// Where mail is ambiguous, two programs may see two messages in it. This
// package always reads it this way, and Part.Odd tells that it had to choose:
//
//   - Of two fields of one name the first counts (To, Cc and Bcc are joined), of
//     two parameters the first.
//   - A delimiter is a whole line: "--", the boundary byte for byte, "--" if it
//     is the last, then only white space. So a boundary that is the start of
//     another is told apart from it. White space at the end of the boundary
//     parameter does not count.
//   - A delimiter belongs to the innermost open multipart that has this boundary,
//     and ends all parts inside that multipart. After its last delimiter a
//     multipart's boundary means nothing more.
//   - Boundaries over 70 bytes work up to 2048. A multipart without a boundary,
//     or with a longer one, has no parts.
//   - Multiparts and messages are read as if they were not transfer-encoded.
//   - Type and subtype unreadable: text/plain, whatever the bytes are.
//
// # Invariants
//
// For all input: 0 ≤ Header ≤ Body ≤ End ≤ length; children lie in their
// parent's body, in order and apart. Memory is bounded by Limits, not by the
// message; time is linear in it, for every function here. Nothing is allocated
// by a number that stands in the input. Text that comes out decoded is valid
// UTF-8 without control characters other than tab (body text keeps what it
// has), and is never to be parsed as a header again.
//
// The package has no clock, no disk and no state.
package message
