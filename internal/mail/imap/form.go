package imap

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// form is text on its way out: the words of the grammar are appended to b.
type form struct {
	b    []byte
	utf8 bool // quoted strings may be UTF-8
}

func (f form) raw(s string) form {
	f.b = append(f.b, s...)
	return f
}

func (f form) number(n int64) form {
	f.b = strconv.AppendInt(f.b, n, 10)
	return f
}

// string is quoted where that can be, else a literal. A NUL can stand in neither
// and is left out.
func (f form) string(s string) form {
	simple, ok := f.quotable(s)
	switch {
	case !ok:
		if strings.IndexByte(s, 0) >= 0 {
			return f.string(strings.ReplaceAll(s, "\x00", ""))
		}
		return f.raw("{").number(int64(len(s))).raw("}\r\n").raw(s)
	case simple:
		f.b = append(append(append(f.b, '"'), s...), '"')
		return f
	}
	f.b = append(f.b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			f.b = append(f.b, '\\')
		}
		f.b = append(f.b, s[i])
	}
	f.b = append(f.b, '"')
	return f
}

// quotable tells whether s can stand between quotes, and whether it can as it is.
func (f form) quotable(s string) (simple, ok bool) {
	simple = true
	high := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == 0x7f || c < ' ' && c != '\t' {
			return false, false
		}
		if c == '"' || c == '\\' {
			simple = false
		}
		high = high || c > 0x7f
	}
	return simple, len(s) <= maxQuoted && (!high || f.utf8 && utf8.ValidString(s))
}

// nstring is a string, NIL for "".
func (f form) nstring(s string) form {
	if s == "" {
		return f.raw("NIL")
	}
	return f.string(s)
}

// astring is an atom where that can be, else a string.
func (f form) astring(s string) form {
	for i := 0; i < len(s); i++ {
		if !isAstringChar(s[i]) {
			return f.string(s)
		}
	}
	if s == "" || strings.EqualFold(s, "NIL") {
		return f.string(s)
	}
	return f.raw(s)
}
