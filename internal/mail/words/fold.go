package words

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold gives a word in the form in which it is counted: small letters without accents,
// compatibility forms (full width, mathematical, circled) as the letters that they look
// like, without the characters that nobody sees.
func fold(word string) string {
	if lower, ok := foldASCII(word); ok {
		return lower
	}
	var b strings.Builder
	latin, other := false, false
	for _, r := range norm.NFKD.String(word) {
		if unicode.Is(unicode.Mn, r) || invisible(r) {
			continue
		}
		r = unicode.ToLower(r)
		latin = latin || 'a' <= r && r <= 'z'
		other = other || twin(r) != 0
		b.WriteRune(r)
	}
	if latin && other {
		return untwin(b.String())
	}
	return b.String()
}

func foldASCII(word string) (string, bool) {
	upper := false
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c >= utf8.RuneSelf {
			return "", false
		}
		upper = upper || 'A' <= c && c <= 'Z'
	}
	if upper {
		return strings.ToLower(word), true
	}
	return word, true
}

// invisible tells what is put between letters so that programs don't see the word.
func invisible(r rune) bool {
	switch {
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0xfeff, 0x200b <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f:
		return true
	}
	return false
}

// twins are Greek and Cyrillic letters that look like Latin ones.
const twins = "аaеeоoрpсcхxуyіiѕsјjԁdһhкkмmтtвbнhοoαaεeνvρpτtιiκkχxυu"

// twin is the Latin letter that r looks like; 0 for none.
func twin(r rune) rune {
	if r < 0x370 || r > 0x52f {
		return 0
	}
	i := strings.IndexRune(twins, r)
	if i < 0 {
		return 0
	}
	return rune(twins[i+utf8.RuneLen(r)])
}

// untwin reads a word of mixed letters as it looks.
func untwin(word string) string {
	return strings.Map(func(r rune) rune {
		if l := twin(r); l != 0 {
			return l
		}
		return r
	}, word)
}

// syllabic tells the writings that have no spaces between words.
func syllabic(r rune) bool {
	const long = 'ー' // of no script, as it lengthens vowels of two
	return r == long || r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
