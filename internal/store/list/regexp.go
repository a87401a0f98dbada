package list

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxPatterns bounds the patterns of one list: each is tried on each key.
const maxPatterns = 10_000

// maxExpanded is the longest value that "$1" may make, in bytes.
const maxExpanded = 4096

// patterns are tried in order; the first that matches gives its value.
type patterns []pattern

type pattern struct {
	re     *regexp.Regexp
	negate bool
	value  substitute
	// depth is that of the "if" blocks around it; block marks an "if" itself.
	depth int
	block bool
}

// parsePOSIX reads a table of regexp:, parsePerl one of pcre:.
func parsePOSIX(path string, b []byte) (matcher, error) { return posix.parse(path, b) }
func parsePerl(path string, b []byte) (matcher, error)  { return perl.parse(path, b) }

// parse reads lines "/pattern/flags value", "!/pattern/ value", "if /pattern/"
// and "endif" (regexp_table(5), pcre_table(5)). Patterns are those of RE2, which has no
// back references and no time that grows with the square of the key.
func (g grammar) parse(path string, b []byte) (matcher, error) {
	var p patterns
	depth := 0
	err := each(path, b, func(l line) error {
		if len(p) >= maxPatterns {
			return fmt.Errorf("there are more than %d patterns", maxPatterns)
		}
		word, rest, _ := strings.Cut(strings.ReplaceAll(l.text, "\t", " "), " ")
		switch strings.ToLower(word) {
		case "endif":
			depth--
			if depth < 0 {
				return errors.New("endif without if")
			}
			return nil
		case "if":
			entry, err := g.pattern(strings.TrimSpace(rest))
			entry.depth, entry.block = depth, true
			depth++
			p = append(p, entry)
			return err
		}
		entry, err := g.pattern(l.text)
		entry.depth = depth
		p = append(p, entry)
		return err
	})
	if err == nil && depth > 0 {
		err = fmt.Errorf("%s: an if has no endif", path)
	}
	return p, err
}

// pattern reads [!]/pattern/flags value, with any delimiter.
func (g grammar) pattern(s string) (p pattern, err error) {
	if rest, ok := strings.CutPrefix(s, "!"); ok {
		p.negate, s = true, strings.TrimSpace(rest)
	}
	expression, rest, ok := cutPattern(s)
	if !ok {
		return p, errors.New(`expected a pattern between delimiters, such as "/^postmaster@/ OK"`)
	}
	flags, value, err := cutKey(rest)
	if rest == "" || rest[0] == ' ' || rest[0] == '\t' {
		flags, value, err = "", strings.TrimSpace(rest), nil
	}
	if err != nil {
		return p, err
	}
	if p.re, err = g.compile(expression, flags); err != nil {
		return p, err
	}
	if p.value, err = parseSubstitute(value, p.re.NumSubexp()); err == nil && p.negate && p.value.places() {
		err = errors.New("a pattern that must not match has nothing to put in place of $1")
	}
	return p, err
}

// cutPattern cuts what stands between two delimiters; "\/" is the delimiter itself.
func cutPattern(s string) (expression, rest string, ok bool) {
	if s == "" || strings.ContainsRune(" \t\\", rune(s[0])) || isWord(s[0]) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			if s[i+1] != s[0] {
				b.WriteByte('\\')
			}
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func isWord(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
}

func (p patterns) match(key string) (string, bool) {
	within := 0 // blocks that we are in
	for _, entry := range p {
		if entry.depth > within {
			continue // in a block that was not entered
		}
		within = entry.depth
		at := entry.re.FindStringSubmatchIndex(key)
		switch {
		case (at != nil) == entry.negate:
		case entry.block:
			within++
		default:
			return entry.value.fill(key, at), true
		}
	}
	return "", false
}
