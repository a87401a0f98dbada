package content

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// mixed tells whether a label of a host in A-labels has letters of scripts that no
// language writes in one word: Latin with Cyrillic, say. Japanese and Korean mix scripts.
func mixed(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if !strings.HasPrefix(label, "xn--") {
			continue
		}
		u, err := idna.Punycode.ToUnicode(label)
		if err != nil || MixedScripts(u) {
			return true
		}
	}
	return false
}

// MixedScripts tells whether a word has letters of Latin, Greek or Cyrillic together. What a
// hyphen or another sign joins are words of their own, as in "PDF-формат", and so are the
// units that are written with a Greek letter, "µm" and "kΩ".
func MixedScripts(word string) bool {
	for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
		if mixedLetters(part) && !isUnit(part) {
			return true
		}
	}
	return false
}

// isUnit tells a unit of measure with the Greek letter for a millionth, or for ohm.
func isUnit(word string) bool {
	switch word {
	case "μm", "μs", "μg", "μl", "μL", "μA", "μF", "μH", "μV", "μW", "μT", "μSv", "μmol", "kΩ", "MΩ", "GΩ", "mΩ":
		return true
	}
	return false
}

func mixedLetters(word string) bool {
	var latin, greek, cyrillic, other bool
	for _, r := range word {
		switch {
		case r < 0x80:
			latin = latin || isLetter(byte(r))
		case unicode.Is(unicode.Latin, r):
			latin = true
		case unicode.Is(unicode.Greek, r):
			greek = true
		case unicode.Is(unicode.Cyrillic, r):
			cyrillic = true
		case unicode.Is(unicode.Armenian, r), unicode.Is(unicode.Cherokee, r):
			other = true
		}
	}
	n := 0
	for _, has := range []bool{latin, greek, cyrillic, other} {
		if has {
			n++
		}
	}
	return n > 1
}
