package list

import (
	"fmt"
	"strings"

	"facteur/internal/mail/aliases"
)

// parseAliases reads a file of aliases(5). A value is the text behind the colon, which
// has been read once, so that a mistake in it is told with its line and not when
// somebody writes. The first of several entries for a name counts, as with postalias.
func parseAliases(path string, b []byte) (matcher, error) {
	t := newText()
	t.read(path, b, func(l line) error {
		name, text, err := aliases.Cut(l.text)
		if err != nil {
			return err
		}
		if _, err := aliases.Parse(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, known := t.values[name]; !known {
			t.values[name] = text
		}
		return nil
	}, aliasKey)
	return t, nil
}

// aliasKey is the name that a line with a mistake is for, as far as it can be told.
func aliasKey(text string) string {
	name, _, found := strings.Cut(text, ":")
	if !found {
		return pairKey(text)
	}
	return strings.Trim(name, "\" \t")
}

func aliasValue(text string) (string, bool, error) {
	_, value, err := aliases.Cut(text)
	return value, err == nil, err
}
