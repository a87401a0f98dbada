package list

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// line is a logical line: its text, and the number of its first physical one.
type line struct {
	number int
	text   string
	orphan bool // it begins with white space, and there is none that it continues
}

// lines walks over the logical lines of a file: a line that begins with white
// space continues the one before it; empty lines, and those that begin with "#",
// are none and interrupt nothing (postmap(1)).
func lines(text []byte) iter.Seq[line] {
	return func(yield func(line) bool) {
		var now line
		var b strings.Builder
		number := 0
		for raw := range bytes.Lines(text) {
			number++
			bare := bytes.TrimSpace(raw)
			if len(bare) == 0 || bare[0] == '#' {
				continue
			}
			if raw[0] == ' ' || raw[0] == '\t' {
				if now.number == 0 {
					now.number, now.orphan = number, true
				}
				b.WriteByte(' ')
				b.Write(bare)
				continue
			}
			if now.text = b.String(); now.text != "" && !yield(now) {
				return
			}
			b.Reset()
			b.Write(bare)
			now.number, now.orphan = number, false
		}
		if now.text = b.String(); now.text != "" {
			yield(now)
		}
	}
}

// sound refuses what can not be a line of a list.
func (l line) sound() error {
	if l.orphan {
		return fmt.Errorf("the first line begins with white space, and there is none that it continues")
	}
	if strings.ContainsRune(l.text, 0) || !utf8.ValidString(l.text) {
		return fmt.Errorf("the line is no text (NUL, or bytes that are not UTF-8)")
	}
	return nil
}

// cutKey cuts the key from the value. A key with blanks stands in quotes.
func cutKey(s string) (key, value string, err error) {
	if strings.HasPrefix(s, `"`) {
		return cutQuoted(s)
	}
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:]), nil
	}
	return s, "", nil
}

func cutQuoted(s string) (key, value string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), strings.TrimSpace(s[i+1:]), nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("the key has no closing quote")
}

// each calls take for each line; the error names file and line.
func each(path string, text []byte, take func(l line) error) error {
	for l := range lines(text) {
		err := l.sound()
		if err == nil {
			err = take(l)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, l.number, err)
		}
	}
	return nil
}
