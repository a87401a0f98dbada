package amavis

import "strings"

// kind is what a token is.
type kind int

const (
	mark     kind = iota // "=", ",", "(" and so on
	word                 // undef, D_PASS, 5.0, -999
	variable             // $x, @x, %x
	single               // 'x', q(x)
	double               // "x", qq(x)
	list                 // qw(x y)
	regex                // qr'x'i
)

type token struct {
	kind kind
	text string
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// lexer takes Perl apart, as far as settings have it.
type lexer struct {
	text     string
	at, line int
}

func (l *lexer) ended() bool { return l.at >= len(l.text) }

// statement is the tokens up to the next ";", the line on which they begin, and where in the
// text they stand.
func (l *lexer) statement() (tokens []token, line, from, to int) {
	for !l.ended() {
		l.blanks()
		if l.ended() {
			break
		}
		if len(tokens) == 0 {
			line, from = l.line, l.at
		}
		if l.text[l.at] == ';' {
			l.at++
			return tokens, line, from, l.at - 1
		}
		if strings.HasPrefix(l.text[l.at:], "__END__") {
			l.at = len(l.text)
			break
		}
		tokens = append(tokens, l.token())
		to = l.at
	}
	return tokens, line, from, max(to, from)
}

// blanks passes blanks, comments and documentation.
func (l *lexer) blanks() {
	for !l.ended() {
		switch c := l.text[l.at]; {
		case c == '\n':
			l.line++
			l.at++
		case c <= ' ':
			l.at++
		case c == '#':
			l.pass("\n", false)
		case c == '=' && (l.at == 0 || l.text[l.at-1] == '\n') && l.at+1 < len(l.text) && l.text[l.at+1] >= 'a':
			l.pass("\n=cut", true)
		default:
			return
		}
	}
}

// pass goes to an end, or behind it; without one to the end of the text.
func (l *lexer) pass(end string, behind bool) {
	n := strings.Index(l.text[l.at:], end)
	switch {
	case n < 0:
		n = len(l.text) - l.at
	case behind:
		n += len(end)
	}
	l.skip(n)
}

func (l *lexer) skip(n int) {
	l.line += strings.Count(l.text[l.at:l.at+n], "\n")
	l.at += n
}

func (l *lexer) token() token {
	rest := l.text[l.at:]
	switch c := rest[0]; {
	case c == '\'':
		return token{single, l.quoted()}
	case c == '"':
		return token{double, l.quoted()}
	case strings.IndexByte("$@%", c) >= 0 && len(rest) > 1 && strings.IndexByte(letters, rest[1]) >= 0:
		return token{variable, l.take(1 + span(rest[1:], letters))}
	case c >= '0' && c <= '9', c == '-' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		return token{word, l.take(1 + span(rest[1:], "0123456789._"))}
	case strings.IndexByte(letters, c) >= 0:
		return l.word(l.take(span(rest, letters)))
	case strings.HasPrefix(rest, "=>"), strings.HasPrefix(rest, "->"):
		return token{mark, l.take(2)}
	}
	return token{mark, l.take(1)}
}

// word is a bare word, or what it quotes.
func (l *lexer) word(text string) token {
	k, quotes := quoting[text]
	if !quotes {
		return token{word, text}
	}
	l.blanks()
	if l.ended() || strings.IndexByte(",;=)", l.text[l.at]) >= 0 {
		return token{word, text}
	}
	inside := l.quoted()
	if k == regex {
		l.skip(span(l.text[l.at:], letters)) // its flags
	}
	return token{k, inside}
}

// quoted is the text between the sign here and the one that ends it.
func (l *lexer) quoted() string {
	begin := l.text[l.at]
	end, nests := closing[begin]
	if !nests {
		end = begin
	}
	l.skip(1)
	var b strings.Builder
	for depth := 1; !l.ended(); {
		c := l.text[l.at]
		switch {
		case c == '\\' && l.at+1 < len(l.text):
			if next := l.text[l.at+1]; next != end && next != begin && next != '\\' && next != '@' && next != '$' {
				b.WriteByte(c)
			}
			l.skip(1)
			c = l.text[l.at]
		case c == end:
			depth--
		case nests && c == begin:
			depth++
		}
		l.skip(1)
		if depth == 0 {
			return b.String()
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (l *lexer) take(n int) string {
	text := l.text[l.at : l.at+n]
	l.skip(n)
	return text
}

// span is how many bytes at the beginning are of a set.
func span(text, set string) int { return len(text) - len(strings.TrimLeft(text, set)) }
