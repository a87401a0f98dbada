package smtpc

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"facteur/internal/mail/smtp"
)

// maxText is how much of a reply's text is kept, in bytes.
const maxText = 1 << 10

// sanitize makes what a stranger wrote fit to be kept, logged and quoted:
// printable characters of valid UTF-8, 1 KiB in all.
func sanitize(r *smtp.Reply) {
	room := maxText
	for i, line := range r.Lines {
		line = clean(line)
		if len(line) >= room {
			r.Lines[i] = cut(line, room)
			r.Lines = r.Lines[:i+1]
			return
		}
		r.Lines[i] = line
		room -= len(line) + 1
	}
}

// clean replaces what is not printable (controls, direction marks, bytes that
// are no UTF-8) with "?".
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
}

// cut shortens to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
