// Package collate compares text without regard to case, as IMAP does it when a
// server says I18NLEVEL=1 (RFC 5255 §4.2): by the collation i;unicode-casemap of
// RFC 5051, beside i;ascii-casemap and i;octet of RFC 4790.
//
// Fold gives the form in which two texts are compared octet by octet: each character
// is put in title case and then decomposed as far as it goes (canonical and
// compatibility mappings alike). It works character by character: the fold of two
// texts that are joined is the two folds joined. So a text can be searched in pieces.
//
//	"Straße" → "STRAßE"    "Ärger" → "A\u0308RGER"    "Ａ" → "A"    "ﬁ" → "fi"
//
// Octets that are no UTF-8 count as U+FFFD.
//
// A Needle is a text to be looked for. Where the text that is searched is ASCII,
// which mail mostly is, nothing is folded and nothing copied.
//
// The package keeps no state but tables that never change.
package collate
