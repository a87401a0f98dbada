package list

import (
	"errors"
	"fmt"
	"strings"
)

// Statement is a SELECT with places for parts of a key: %u, %n and the like. They become
// parameters, never text, and so stand where a value can, without quotes (MAP-002).
type Statement struct {
	text  string
	parts []byte // which part goes into each parameter
}

// ParseStatement reads a SELECT. letters are the parts that there are, "und"; mark is how
// the database writes its n-th parameter, from 1.
func ParseStatement(text, letters string, mark func(n int) string) (s Statement, err error) {
	text = strings.TrimSpace(text)
	word, _, _ := strings.Cut(strings.ToUpper(text), " ")
	switch {
	case word != "SELECT" && word != "WITH":
		return s, errors.New("expected a query that begins with SELECT")
	case strings.ContainsAny(text, ";\\#\x00") || strings.Contains(text, "--") || strings.Contains(text, "/*") || strings.Contains(text, "$$"):
		return s, errors.New(`expected one statement, without ";", "\", "#", "$$" and comments`)
	}
	var b strings.Builder
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote: // doubled ones end it and begin it again
			quote = 0
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		case c == '%':
			part, err := partOf(text[i+1:], letters)
			switch {
			case err != nil:
				return s, err
			case part == '%':
				i++
			case quote != 0:
				return s, fmt.Errorf("%%%c stands in quotes; write it without, as it is never part of the text", part)
			default:
				i++
				s.parts = append(s.parts, part)
				b.WriteString(mark(len(s.parts)))
				continue
			}
		case quote == 0 && (c == '?' || c == '$'):
			return s, fmt.Errorf("expected the places of the key as %%%c, not as %q", letters[0], c)
		}
		b.WriteByte(c)
	}
	if quote != 0 {
		return s, fmt.Errorf("a quote %c is never closed", quote)
	}
	s.text = b.String()
	return s, nil
}

// partOf is the letter after a percent sign.
func partOf(rest, letters string) (byte, error) {
	if rest != "" && (rest[0] == '%' || strings.IndexByte(letters, rest[0]) >= 0) {
		return rest[0], nil
	}
	return 0, fmt.Errorf("after \"%%\" expected one of %q, or %%%% for a percent sign", strings.Split(letters, ""))
}

// Asks tells whether a part stands in the statement.
func (s Statement) Asks() bool { return len(s.parts) > 0 }

// args are the parameters for the parts.
func (s Statement) args(part func(letter byte) string) []string {
	out := make([]string, len(s.parts))
	for i, letter := range s.parts {
		out[i] = part(letter)
	}
	return out
}
