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
	value  string
	// depth is that of the "if" blocks around it; block marks an "if" itself.
	depth int
	block bool
}

// parseRegexp reads lines "/pattern/flags value", "!/pattern/ value", "if /pattern/"
// and "endif" (regexp_table(5)). Patterns are those of RE2, which has no back
// references and no time that grows with the square of the key.
func parseRegexp(path string, b []byte) (matcher, error) {
	var p patterns
	depth := 0
	err := each(path, b, func(l line) error {
		if len(p) >= maxPatterns {
			return fmt.Errorf("there are more than %d patterns", maxPatterns)
		}
		word, rest, _ := strings.Cut(l.text, " ")
		switch strings.ToLower(word) {
		case "endif":
			depth--
			if depth < 0 {
				return errors.New("endif without if")
			}
			return nil
		case "if":
			entry, err := parsePattern(strings.TrimSpace(rest))
			entry.depth, entry.block = depth, true
			depth++
			p = append(p, entry)
			return err
		}
		entry, err := parsePattern(l.text)
		entry.depth = depth
		p = append(p, entry)
		return err
	})
	if err == nil && depth > 0 {
		err = fmt.Errorf("%s: an if has no endif", path)
	}
	return p, err
}

// parsePattern reads [!]/pattern/flags value, with any delimiter.
func parsePattern(s string) (p pattern, err error) {
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
	prefix, err := flagsOf(flags)
	if err != nil {
		return p, err
	}
	p.value = value
	if p.re, err = regexp.Compile(prefix + expression); err != nil {
		return p, fmt.Errorf("pattern %q: %w", expression, err)
	}
	if p.negate && strings.Contains(value, "$") {
		return p, errors.New("a pattern that must not match has nothing to put in place of $1")
	}
	return p, nil
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

// flagsOf turns Postfix's flags into RE2's: patterns disregard case unless "i" is
// there, which turns that over; "m" makes ^ and $ match at lines, "s" turns over
// that "." matches a line end.
func flagsOf(flags string) (string, error) {
	fold, multi, dot := true, false, true
	for _, f := range flags {
		switch f {
		case 'i':
			fold = !fold
		case 'm':
			multi = !multi
		case 's':
			dot = !dot
		default:
			return "", fmt.Errorf("unknown flag %q after the pattern; expected i, m or s", string(f))
		}
	}
	set := ""
	for _, f := range []struct {
		on   bool
		name string
	}{{fold, "i"}, {multi, "m"}, {dot, "s"}} {
		if f.on {
			set += f.name
		}
	}
	if set == "" {
		return "", nil
	}
	return "(?" + set + ")", nil
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
		case entry.negate:
			return entry.value, true
		default:
			value := entry.re.ExpandString(nil, references(entry.value), key, at)
			return string(value[:min(len(value), maxExpanded)]), true
		}
	}
	return "", false
}

// references writes $1 and $(1) as ${1}, so that what follows a number is no part
// of it.
func references(value string) string {
	if !strings.Contains(value, "$") {
		return value
	}
	return reference.ReplaceAllString(value, "$${$1}")
}

var reference = regexp.MustCompile(`\$[({]?(\d+)[)}]?`)
