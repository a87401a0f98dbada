package list

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// grammar is what regexp: and pcre: differ in.
type grammar struct {
	flags    string // that may stand behind a pattern
	longest  bool   // the longest match counts, as POSIX has it
	dotAll   bool   // "." matches a line end
	describe string
}

var (
	posix = grammar{flags: "imx", longest: true, dotAll: true, describe: "i, m or x"}
	perl  = grammar{flags: "imsxAEUX", dotAll: true, describe: "i, m, s, x, A, E, U or X"}
)

// compile makes a pattern. Flags turn a property over, as in Postfix: patterns disregard
// case unless "i" stands there.
func (g grammar) compile(expression, flags string) (*regexp.Regexp, error) {
	on := map[rune]bool{'i': true, 's': g.dotAll}
	for _, f := range flags {
		if !strings.ContainsRune(g.flags, f) {
			return nil, fmt.Errorf("unknown flag %q after the pattern; expected %s", string(f), g.describe)
		}
		on[f] = !on[f]
	}
	switch {
	case on['x'] && g.longest:
		return nil, errors.New("the flag x asks for basic regular expressions, which are not known here; write an extended one without it")
	case on['x']:
		expression = withoutBlanks(expression)
	}
	if on['A'] {
		expression = `\A(?:` + expression + `)`
	}
	re, err := regexp.Compile(prefixOf(on) + translate(expression))
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", expression, explainPattern(expression, err))
	}
	if g.longest {
		re.Longest()
	}
	return re, nil
}

// prefixOf are the flags of RE2. "m" lets "." stop at line ends as well in POSIX; keys
// have none.
func prefixOf(on map[rune]bool) string {
	set := ""
	for _, f := range "imsU" {
		if on[f] {
			set += string(f)
		}
	}
	if set == "" {
		return ""
	}
	return "(?" + set + ")"
}

// translate writes what RE2 spells in another way: \< and \> (GNU) are the borders of a
// word, \Z is the end of the text.
func translate(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; {
		case c == '<' || c == '>':
			b.WriteString(`\b`)
		case c == 'Z':
			b.WriteString(`\z`)
		case c >= 0x80 || isPlainEscape(c):
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// isPlainEscape tells characters that stand for themselves behind "\", and are an error
// in RE2.
func isPlainEscape(c byte) bool { return strings.IndexByte("@/%&=:;,'\"#~!`_ -", c) >= 0 && c != '-' }

// withoutBlanks drops what the flag x of pcre_table(5) has ignored: blanks, and "#" to
// the end of the line, outside of brackets.
func withoutBlanks(s string) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			b.WriteByte(c)
			i++
			b.WriteByte(s[i])
			continue
		case c == '[' || c == ']':
			inside = c == '['
		case !inside && (c == ' ' || c == '\t'):
			continue
		case !inside && c == '#':
			return b.String() // a pattern is one line here
		}
		b.WriteByte(c)
	}
	return b.String()
}

// missing features of RE2, by what they look like.
var lacking = []struct {
	sign *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\(\?<?[=!]`), "look-ahead or look-behind; a line with \"!/pattern/\" or an if block often says the same"},
	{regexp.MustCompile(`\\[1-9]|\\g|\\k|\(\?P=`), "a back reference"},
	{regexp.MustCompile(`\(\?>|[*+?}]\+`), "an atomic group or a possessive quantifier; leave the sign out, no pattern goes back here"},
	{regexp.MustCompile(`\(\?(R|[0-9]|&|\()`), "recursion or a condition"},
	{regexp.MustCompile(`\\[KGX]`), `\K, \G or \X`},
}

// explainPattern says what RE2 does not have, where that is what is wrong.
func explainPattern(expression string, err error) error {
	for _, l := range lacking {
		if l.sign.MatchString(expression) {
			return fmt.Errorf("RE2, whose patterns are known here, has not %s", l.name)
		}
	}
	return err
}

// substitute is a value with places for what groups matched: $1, ${1} or $(1); "$$" is
// a dollar sign.
type substitute []part

type part struct {
	text  string
	group int // 0 for text
}

func parseSubstitute(s string, groups int) (out substitute, err error) {
	var text strings.Builder
	for {
		before, after, found := strings.Cut(s, "$")
		text.WriteString(before)
		if !found {
			break
		}
		if strings.HasPrefix(after, "$") {
			text.WriteByte('$')
			s = after[1:]
			continue
		}
		n, length, err := groupNumber(after)
		switch {
		case err != nil:
			return nil, err
		case n > groups:
			return nil, fmt.Errorf("$%d stands in the value, and the pattern has %d groups", n, groups)
		}
		out = append(out, part{text: text.String()}, part{group: n})
		text.Reset()
		s = after[length:]
	}
	return append(out, part{text: text.String()}), nil
}

var groupName = regexp.MustCompile(`^(\d{1,3}|\{\d{1,3}\}|\(\d{1,3}\))`)

func groupNumber(s string) (n, length int, err error) {
	found := groupName.FindString(s)
	if n, err = strconv.Atoi(strings.Trim(found, "(){}")); err != nil || n == 0 {
		return 0, 0, errors.New(`expected $1, ${1} or $(1) in the value, and "$$" for a dollar sign`)
	}
	return n, len(found), nil
}

// fill makes the value, of at most maxExpanded bytes.
func (s substitute) fill(key string, at []int) string {
	if len(s) == 1 {
		return s[0].text
	}
	var b strings.Builder
	for _, p := range s {
		if p.group == 0 {
			b.WriteString(p.text)
		} else if i := at[2*p.group]; i >= 0 {
			b.WriteString(key[i:at[2*p.group+1]])
		}
	}
	return b.String()[:min(b.Len(), maxExpanded)]
}

// places tells that parts of a key are put into the value.
func (s substitute) places() bool { return len(s) > 1 }
