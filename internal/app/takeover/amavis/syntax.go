package amavis

import (
	"errors"
	"strings"
)

// Setting is one statement of a file.
type Setting struct {
	File string
	Line int // from 1
	// Text is the statement as it stands there, on one line.
	Text string
	// Name is what is assigned, with its sigil: "$log_level", "@local_domains_maps"; "" for
	// what is no assignment.
	Name string
	// Values are what it is set to, lists in lists flattened.
	Values []Value
	// Err: it is an assignment that has to be computed.
	Err error
}

// Value is one value.
type Value struct {
	// Text is a string, a number, or the name of a constant.
	Text string
	// Undef: it is undef, and Text is empty.
	Undef bool
}

var errComputed = errors.New("it would have to be computed; set by hand what it comes to")

// Parse reads the statements of a file. known are scalars of files before, by their names
// with "$", and takes in those of this one.
func Parse(file, text string, known map[string]string) (out []Setting) {
	l := lexer{text: text, line: 1}
	for {
		tokens, line, from, to := l.statement()
		if len(tokens) > 0 {
			s := Setting{File: file, Line: line, Text: strings.Join(strings.Fields(withoutComments(text[from:to])), " ")}
			s.assign(tokens, known)
			out = append(out, s)
		}
		if l.ended() {
			return out
		}
	}
}

// withoutComments is a statement without lines that are comments.
func withoutComments(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// assign reads "$name = value" out of tokens.
func (s *Setting) assign(tokens []token, known map[string]string) {
	if len(tokens) < 2 || tokens[0].kind != variable || tokens[1].text != "=" || tokens[1].kind != mark {
		return
	}
	s.Name = tokens[0].text
	s.Values, s.Err = values(tokens[2:], known)
	if strings.HasPrefix(s.Name, "$") {
		delete(known, s.Name)
		if s.Err == nil && len(s.Values) == 1 && !s.Values[0].Undef {
			known[s.Name] = s.Values[0].Text
		}
	}
}

// valueMost is how long a value may become, in bytes.
const valueMost = 4 << 10

// values reads the right side of an assignment.
func values(tokens []token, known map[string]string) (out []Value, err error) {
	joins := false // the next string belongs to the last one
	for _, t := range tokens {
		switch t.kind {
		case mark:
			switch t.text {
			case ".":
				joins = len(out) > 0
			case "(", ")", "[", "]", ",", "=>", "\\":
			default:
				return nil, errComputed
			}
			continue
		case regex:
			return nil, errComputed
		case list:
			for word := range strings.FieldsSeq(t.text) {
				out = append(out, Value{Text: word})
			}
			continue
		}
		v, ok := t.value(known)
		if !ok || len(v.Text) > valueMost {
			return nil, errComputed
		}
		if joins {
			last := &out[len(out)-1]
			if last.Text += v.Text; len(last.Text) > valueMost {
				return nil, errComputed
			}
			joins = false
			continue
		}
		out = append(out, v)
	}
	return out, nil
}

// value is what a token stands for.
func (t token) value(known map[string]string) (v Value, ok bool) {
	switch t.kind {
	case word:
		if t.text == "undef" {
			return Value{Undef: true}, true
		}
		number := t.text != "" && strings.Trim(t.text, "0123456789.-") == ""
		return Value{Text: t.text}, number || strings.HasPrefix(t.text, "D_")
	case variable:
		text, found := known[t.text]
		return Value{Text: text}, found
	case single:
		return Value{Text: t.text}, true
	case double:
		text, found := expand(t.text, known)
		return Value{Text: text}, found
	}
	return v, false
}

// expand puts known scalars into a string.
func expand(text string, known map[string]string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		if b.WriteString(before); !found {
			return b.String(), true
		}
		n := len(rest) - len(strings.TrimLeft(rest, letters))
		value, is := known["$"+rest[:n]]
		if !is || b.Len()+len(value) > valueMost {
			return "", false
		}
		b.WriteString(value)
		text = rest[n:]
	}
}

// quoting are the words that quote what follows them.
var quoting = map[string]kind{"q": single, "qq": double, "qw": list, "qr": regex, "m": regex}

// closing are the brackets that end what another began.
var closing = map[byte]byte{'(': ')', '[': ']', '{': '}', '<': '>'}
