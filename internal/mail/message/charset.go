package message

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// ToUTF8 decodes a text to valid UTF-8. What is wrong in the text becomes
// U+FFFD. UTF-8, US-ASCII and charsets that we don't know (or don't want: UTF-7,
// HZ, ISO-2022-KR and others that can hide text) are read as UTF-8. The output is
// at most four times as long as the input. Errors are those of r.
func ToUTF8(charset string, r io.Reader) io.Reader {
	return transform.NewReader(r, decoderOrUTF8(charset))
}

func decoderOrUTF8(charset string) transform.Transformer {
	if enc := charsetByName(charset); enc != nil {
		return enc.NewDecoder()
	}
	return encoding.Replacement.NewEncoder() // UTF-8 to valid UTF-8
}

// decodeCharset is ToUTF8 for bytes at hand; known is false when the charset
// is none that we read.
func decodeCharset(charset string, raw []byte) (text []byte, known bool) {
	enc := charsetByName(charset)
	if enc == nil {
		return raw, isUTF8Name(charset)
	}
	text, _, err := transform.Bytes(enc.NewDecoder(), raw)
	if err != nil {
		return raw, false
	}
	return text, true
}

// IsUTF8 says whether a text of this charset is read as UTF-8 (see ToUTF8), or is
// valid UTF-8 but for its errors.
func IsUTF8(charset string) bool { return charsetByName(charset) == nil }

// KnowsCharset says whether the charset is one that ToUTF8 knows.
func KnowsCharset(charset string) bool { return !IsUTF8(charset) || isUTF8Name(charset) }

// isUTF8Name knows the names for UTF-8 and its subset. Mail that says nothing
// or "unknown" is UTF-8 more often than anything else.
func isUTF8Name(charset string) bool {
	switch strings.ToLower(strings.TrimSpace(charset)) {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "utf-8-mac", "unicode-1-1-utf-8":
		return true
	}
	return false
}

// longestCharset bounds what is looked up, in bytes.
const longestCharset = 40

// charsetByName gives the encoding of an allowed charset that isn't UTF-8, or nil.
func charsetByName(name string) encoding.Encoding {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > longestCharset || isUTF8Name(name) {
		return nil
	}
	switch name { // names of the trade that the index of the web doesn't have
	case "utf-16":
		return textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM) // RFC 2781 §4.3
	case "cp850", "ibm850":
		return charmap.CodePage850
	case "cp437", "ibm437":
		return charmap.CodePage437
	case "cp858":
		return charmap.CodePage858
	case "cp932", "windows-932":
		name = "shift_jis"
	case "cp936":
		name = "gbk"
	case "cp949":
		name = "euc-kr"
	case "cp950":
		name = "big5"
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		return nil
	}
	canonical, err := htmlindex.Name(enc)
	if err != nil || !allowedCharset(canonical) {
		return nil
	}
	return enc
}

// allowedCharset is the list of decoders that mail may set to work, by their
// canonical names in htmlindex. Missing on purpose: "replacement" (ISO-2022-KR,
// HZ) and "x-user-defined".
func allowedCharset(canonical string) bool {
	switch canonical {
	case "iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-5", "iso-8859-6", "iso-8859-7",
		"iso-8859-8", "iso-8859-8-i", "iso-8859-10", "iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16",
		"windows-874", "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254",
		"windows-1255", "windows-1256", "windows-1257", "windows-1258",
		"koi8-r", "koi8-u", "ibm866", "macintosh", "x-mac-cyrillic",
		"gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr",
		"utf-16be", "utf-16le":
		return true
	}
	return false
}

// cleanText makes decoded text fit for one line of a listing: valid UTF-8, CR
// and LF as spaces, other control characters as U+FFFD. Decoded text is never
// read as a header again, but it is shown, logged and compared.
func cleanText(text []byte) string {
	clean := true
	for _, c := range text {
		if c < ' ' && c != '\t' || c >= 127 {
			clean = false
			break
		}
	}
	if clean {
		return string(text)
	}
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '\r' || r == '\n':
			r = ' '
		case unicode.IsControl(r) && r != '\t':
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
		text = text[n:]
	}
	return string(out)
}
