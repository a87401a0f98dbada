package directory

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"facteur/internal/mail/address"
)

// maxExpansion is the most bytes that a template becomes (MAP-005).
const maxExpansion = 4096

// Template is a path with places for an address: %u is all of it, %n its local part,
// %d its domain, %% a percent sign. It is filled in one pass, so that what stands in
// an address is never read as a template.
type Template string

var (
	errTemplate = errors.New(`after "%" expected u (the address), n (its local part), d (its domain) or "%"`)
	errPath     = errors.New("expected an absolute path without \"..\"")
)

// Check tells what is wrong with a template.
func (t Template) Check() error {
	if t == "" {
		return nil
	}
	path := string(t)
	if strings.HasPrefix(path, "~/") {
		path = path[1:]
	}
	if !filepath.IsAbs(path) || filepath.Clean(path) != strings.TrimSuffix(path, "/") {
		return fmt.Errorf("%w, found %q", errPath, string(t))
	}
	_, err := t.fill(address.Address{Local: "a", Domain: "example.org"})
	return err
}

// Fill gives the path for an address. One whose parts could lead elsewhere is an error.
func (t Template) Fill(a address.Address) (string, error) {
	path, err := t.fill(a)
	if err == nil && len(path) > maxExpansion {
		err = fmt.Errorf("the path for %s is longer than %d bytes", a, maxExpansion)
	}
	return path, err
}

func (t Template) fill(a address.Address) (string, error) {
	var b strings.Builder
	for rest := string(t); ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		switch {
		case !found:
			return b.String(), nil
		case after == "":
			return "", errTemplate
		}
		value, err := placeFor(after[0], a)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		rest = after[1:]
	}
}

func placeFor(letter byte, a address.Address) (string, error) {
	switch letter {
	case '%':
		return "%", nil
	case 'u':
		return harmless(a.String())
	case 'n':
		return harmless(a.Local)
	case 'd':
		return harmless(a.Domain)
	}
	return "", errTemplate
}

// harmless refuses what would not be the name of one file, or one that hides.
func harmless(s string) (string, error) {
	if s == "" || s[0] == '.' || strings.ContainsAny(s, "/\x00") {
		return "", fmt.Errorf("%q can't be part of a path", s)
	}
	return s, nil
}
