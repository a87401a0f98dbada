package aliases

import "strings"

// scanner reads tokens as RFC 822 writes them.
type scanner struct {
	text string
	at   int
}

// token is what stands between two commas.
type token struct {
	// text is without quotes and comments, with one blank for any white space; written
	// has the quotes still.
	text, written string
	// quoted: something in it was; escaped: it begins with a backslash outside quotes;
	// domain: it has an "@" outside quotes; mailbox: that follows a quoted string with
	// which it begins, so that this is a local part, whatever it looks like.
	quoted, escaped, domain, mailbox bool
}

// until reads to the next mark outside of quotes, comments and brackets, or to the end.
func (s *scanner) until(mark byte) (t token, err error) {
	var text, written strings.Builder
	blank, angle, whole := false, false, false
	add := func(plain, quoted string) {
		if blank && text.Len() > 0 {
			text.WriteByte(' ')
			written.WriteByte(' ')
		}
		blank = false
		text.WriteString(plain)
		written.WriteString(quoted)
	}
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == mark && !angle:
			t.text, t.written = text.String(), written.String()
			return t, nil
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			blank = true
		case c == '(':
			if err := s.comment(); err != nil {
				return t, err
			}
			blank = true
		case c == '"':
			plain, quoted, err := s.quoted()
			if err != nil {
				return t, err
			}
			whole = text.Len() == 0
			t.quoted = true
			add(plain, quoted)
		case c == '<' && !angle:
			angle = true // what stood before is a name
			text.Reset()
			written.Reset()
			t, blank, whole = token{}, false, false
		case c == '>' && angle:
			angle = false
		case c == '\\' && text.Len() == 0 && !t.quoted:
			t.escaped = true
		case c == '\\' && s.at+1 < len(s.text):
			s.at++
			add(s.text[s.at:s.at+1], s.text[s.at-1:s.at+1])
		default:
			t.domain = t.domain || c == '@'
			t.mailbox = t.mailbox || c == '@' && whole && !blank
			whole = false
			add(s.text[s.at:s.at+1], s.text[s.at:s.at+1])
		}
	}
	if angle {
		return t, ErrQuote
	}
	t.text, t.written = text.String(), written.String()
	return t, nil
}

// quoted reads a quoted string and stays at its last byte.
func (s *scanner) quoted() (plain, written string, err error) {
	var b strings.Builder
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			written = s.text[s.at : i+1]
			s.at = i
			return b.String(), written, nil
		case c == '\\' && i+1 < len(s.text):
			i++
			b.WriteByte(s.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", ErrQuote
}

// comment reads a comment, with those in it, and stays at its last byte.
func (s *scanner) comment() error {
	depth := 0
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return nil
			}
		}
	}
	return ErrQuote
}
