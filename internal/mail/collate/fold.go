package collate

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold is the form of s in which i;unicode-casemap compares octets (RFC 5051 §2).
func Fold(s string) string {
	if i := firstChange(s); i < 0 {
		return s
	}
	return string(Append(make([]byte, 0, len(s)+8), []byte(s)))
}

// firstChange is where folding begins to change s, -1 for nowhere.
func firstChange(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'a' && c <= 'z' {
			return i
		}
	}
	return -1
}

// Append appends the fold of text to dst.
func Append(dst, text []byte) []byte {
	for len(text) > 0 {
		c := text[0]
		if c < utf8.RuneSelf {
			dst = append(dst, upper(c))
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		if r < narrow {
			dst = append(dst, narrowFolds()[r]...)
		} else {
			dst = appendRune(dst, r)
		}
		text = text[n:]
	}
	return dst
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// narrow is above all characters of one or two octets: most letters of Europe and
// the Near East, which a table answers for.
const narrow = 0x800

// narrowFolds is made when the first text asks for it, and never changes.
var narrowFolds = sync.OnceValue(func() *[narrow]string {
	var table [narrow]string
	for r := range rune(narrow) {
		table[r] = string(appendRune(nil, r))
	}
	return &table
})

// appendRune is the fold of one character, by the rules.
func appendRune(dst []byte, r rune) []byte {
	r = unicode.ToTitle(r)
	if r >= hangulFirst && r <= hangulLast {
		return appendHangul(dst, r)
	}
	var b [utf8.UTFMax]byte
	whole := utf8.AppendRune(b[:0], r)
	if d := norm.NFKD.Properties(whole).Decomposition(); len(d) > 0 {
		return append(dst, d...)
	}
	return append(dst, whole...)
}

// Syllables of Korean are taken apart by calculation (Unicode §3.12).
const (
	hangulFirst, hangulLast            = 0xAC00, 0xD7A3
	hangulLead, hangulVowel, hangulEnd = 0x1100, 0x1161, 0x11A7
	hangulVowels, hangulEnds           = 21, 28
)

func appendHangul(dst []byte, r rune) []byte {
	i := r - hangulFirst
	dst = utf8.AppendRune(dst, hangulLead+i/(hangulVowels*hangulEnds))
	dst = utf8.AppendRune(dst, hangulVowel+i/hangulEnds%hangulVowels)
	if end := i % hangulEnds; end > 0 {
		dst = utf8.AppendRune(dst, hangulEnd+end)
	}
	return dst
}

// Bare is Fold without marks and accents, for whoever asks for what is alike
// (RFC 6203): "Crème" and "creme" are the same.
func Bare(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, Fold(s))
}
