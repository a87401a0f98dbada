package dsn

import (
	_ "embed" // the texts that are shipped
	"strings"
	"sync"
)

//go:embed templates/en.cf
var englishTexts []byte

//go:embed templates/fr.cf
var frenchTexts []byte

// builtins are the texts that are shipped, read once, when the first notice is made.
var builtins = map[string]func() *Templates{
	"en": sync.OnceValue(func() *Templates { return mustParse(englishTexts) }),
	"fr": sync.OnceValue(func() *Templates { return mustParse(frenchTexts) }),
}

func mustParse(text []byte) *Templates {
	t, err := ParseTemplates(text)
	if err != nil {
		panic("dsn: the texts that are shipped: " + err.Error())
	}
	return t
}

func builtin(language string) *Templates { return builtins[Language(language)]() }

// Language is the one of those that notices can be in that a tag (RFC 5646) asks for:
// "fr" for "fr-CA", and "en" for all that is not known.
func Language(tag string) string {
	if base, _, _ := strings.Cut(tag, "-"); strings.EqualFold(strings.TrimSpace(base), "fr") {
		return "fr"
	}
	return "en"
}

// Speaks tells whether notices can be in the language of a tag.
func Speaks(tag string) bool {
	base, _, _ := strings.Cut(tag, "-")
	base = strings.TrimSpace(base)
	return strings.EqualFold(base, "fr") || strings.EqualFold(base, "en")
}
