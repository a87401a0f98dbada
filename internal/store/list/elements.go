package list

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/mail/aliases"
)

// ErrNoElements says that a kind of list can not tell all its entries.
var ErrNoElements = errors.New("the entries of such a table can't be listed")

// Elements are the entries of a list of keys that is a file or stands in the settings,
// as they are written, and what is wrong with single lines in the eyes of postmap(1).
func Elements(s Source) (all []Pair, warnings []string, err error) {
	kind, path, _ := cutKind(s.From)
	switch {
	case kind == "aliases":
		return elements(path, aliases.Cut, ":")
	case slices.Contains(compiled, kind) || kind == "texthash" || kind == "file":
		return elements(path, cutKey, "")
	}
	return nil, nil, ErrNoElements
}

// elements reads a file; colon is what belongs between a name and its value.
func elements(path string, cut func(string) (key, value string, err error), colon string) (all []Pair, warnings []string, err error) {
	text, err := readText(path)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	err = each(path, text, func(l line) error {
		key, value, err := cut(l.text)
		if err != nil {
			return err
		}
		where := fmt.Sprintf("%s, line %d", path, l.number)
		key = strings.ToLower(key)
		switch {
		case value == "" && colon == "":
			warnings = append(warnings, where+": expected format: key whitespace value")
			return nil
		case value == "":
			warnings = append(warnings, where+": expected format: name: value")
			return nil
		case seen[key]:
			warnings = append(warnings, fmt.Sprintf("%s: duplicate entry: %q; the first one counts", where, key))
			return nil
		case colon == "" && strings.HasSuffix(key, ":"):
			warnings = append(warnings, where+": record is in \"key: value\" format; is this an alias file?")
		}
		seen[key] = true
		all = append(all, Pair{fmt.Sprintf("%s:%d", path, l.number), key, value})
		return nil
	})
	return all, warnings, err
}
