package list

import (
	"errors"
	"strings"
)

// parseAliases reads lines "name: value, value" (aliases(5)). What the values mean is
// for who asks; here they are one text.
func parseAliases(path string, b []byte) (matcher, error) {
	t := newText()
	return t, each(path, b, func(l line) error {
		name, value, err := cutAlias(l.text)
		if err == nil && value != "" {
			if _, known := t.values[name]; !known {
				t.values[name] = value
			}
		}
		return err
	})
}

// cutAlias cuts the name, which may stand in quotes, from the value.
func cutAlias(s string) (name, value string, err error) {
	if strings.HasPrefix(s, `"`) {
		if name, value, err = cutQuoted(s); err != nil {
			return "", "", err
		}
		value, found := strings.CutPrefix(value, ":")
		if !found {
			return "", "", errAlias
		}
		return strings.ToLower(name), strings.TrimSpace(value), nil
	}
	name, value, found := strings.Cut(s, ":")
	if name = strings.TrimSpace(name); !found || name == "" || strings.ContainsAny(name, " \t") {
		return "", "", errAlias
	}
	return strings.ToLower(name), strings.TrimSpace(value), nil
}

var errAlias = errors.New(`expected "name: address, address"`)
