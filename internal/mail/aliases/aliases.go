// Package aliases reads the language of aliases(5): which names lead to which
// addresses, programs and files. It is also that of a ~/.forward and of :include: files.
//
//	list:     alice, bob@example.net,
//	          \carol, "|/usr/bin/filter -x", /var/log/list, :include:/etc/lists/more
//	# a comment
//
// A logical line begins with text; lines that begin with white space continue it; empty
// lines and those whose first character is "#" are none. A name is local, without a
// domain, and is compared without regard to case. Values are divided by commas, as RFC
// 822 divides addresses: quoted strings, comments in parentheses and "Name <address>"
// are understood. Words without a comma between are one value with a blank in it, as
// local(8) has it: a command and its arguments. Only behind a domain does the next word
// begin another address: "a@example.org b@example.org".
//
// The package only reads: it neither expands nor opens anything. Sizes are bounded by
// whoever reads the files.
package aliases

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is what sort of value it is.
type Kind uint8

// The kinds.
const (
	// Address: mail goes to an address, which may have no domain.
	Address Kind = iota + 1
	// Program: a command gets it.
	Program
	// File: it is added to a file.
	File
	// Include: it goes to whoever a file names.
	Include
)

// Value is one place that a name leads to.
type Value struct {
	Kind Kind
	// Text is the address as RFC 5322 writes it, the command without its "|", or the
	// path of the file.
	Text string
	// Plain: it was "\user": the mailbox of that user, whatever aliases or a ~/.forward
	// say.
	Plain bool
	// Line is where it stands in what ParseLines read, from 1; else 0.
	Line int
}

// DevNull is the file where nothing is kept.
const DevNull = "/dev/null"

// The errors. Texts are for whoever wrote the line.
var (
	ErrNoColon  = errors.New(`expected "name: value, value"`)
	ErrNotLocal = errors.New("the name has a domain; aliases are of local names (addresses with a domain belong into a virtual alias table)")
	ErrNoName   = errors.New("the name is missing before the colon")
	ErrNoValue  = errors.New("nothing stands behind the colon")
	ErrQuote    = errors.New("a quoted string or a comment has no end")
	ErrPath     = errors.New("expected a path that begins with \"/\"")
)

// Cut divides a logical line into its name, dequoted and in lower case, and the text of
// its values.
func Cut(line string) (name, values string, err error) {
	s := scanner{text: line}
	t, err := s.until(':')
	switch {
	case err != nil:
		return "", "", err
	case s.at >= len(line):
		return "", "", ErrNoColon
	case t.text == "":
		return "", "", ErrNoName
	case t.domain:
		return "", "", fmt.Errorf("%q: %w", t.text, ErrNotLocal)
	}
	if values = strings.TrimSpace(line[s.at+1:]); values == "" {
		return "", "", ErrNoValue
	}
	return strings.ToLower(t.text), values, nil
}

// Parse reads the values of a name.
func Parse(text string) ([]Value, error) {
	var out []Value
	s := scanner{text: text}
	for s.at < len(text) {
		t, err := s.until(',')
		if err != nil {
			return nil, err
		}
		s.at++
		if t.text == "" && !t.quoted {
			continue // ", ,": Postfix sees nothing there either
		}
		v, err := t.value()
		if err != nil {
			return nil, err
		}
		if v.Kind == Address && t.domain && !t.quoted && !t.mailbox {
			out = append(out, v.apart()...)
			continue
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, ErrNoValue
	}
	return out, nil
}

// apart divides "a@x b@y": where a domain has ended, the next word begins an address.
func (v Value) apart() (out []Value) {
	words := strings.Fields(v.Text)
	from, domain := 0, false
	for n, word := range words {
		if n > from && domain && word[0] != '@' && word[0] != '.' {
			out = append(out, Value{Kind: Address, Text: strings.Join(words[from:n], " "), Plain: v.Plain && from == 0})
			from = n
		}
		domain = (domain && n > from || strings.Contains(word, "@")) && !strings.HasSuffix(word, "@") && !strings.HasSuffix(word, ".")
	}
	if from == 0 {
		return []Value{v}
	}
	return append(out, Value{Kind: Address, Text: strings.Join(words[from:], " ")})
}

// ParseLines reads an :include: file or a ~/.forward: each line is values. What it
// names may be nothing.
func ParseLines(text string) ([]Value, error) {
	var out []Value
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		values, err := Parse(line)
		if err != nil && !errors.Is(err, ErrNoValue) {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		for _, v := range values {
			v.Line = number
			out = append(out, v)
		}
	}
	return out, nil
}

const include = ":include:"

// value is what a text stands for.
func (t token) value() (Value, error) {
	switch {
	case t.text != "" && t.text[0] == '|' && !t.mailbox:
		return Value{Kind: Program, Text: strings.TrimSpace(t.text[1:])}, nil
	case t.text != "" && t.text[0] == '/' && !t.mailbox:
		return Value{Kind: File, Text: t.text}, nil
	case !t.mailbox && len(t.text) >= len(include) && strings.EqualFold(t.text[:len(include)], include):
		path := strings.TrimSpace(t.text[len(include):])
		if !strings.HasPrefix(path, "/") {
			return Value{}, fmt.Errorf("%s %w", include, ErrPath)
		}
		return Value{Kind: Include, Text: path}, nil
	case t.escaped:
		return Value{Kind: Address, Text: strings.TrimLeft(t.text, `\`), Plain: true}, nil
	}
	return Value{Kind: Address, Text: t.written}, nil
}
