package imapc

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Response is an untagged response, of which the first words were read.
type Response struct {
	c     *Client
	N     uint32 // of "* N FETCH"
	Name  string // in upper case
	Text  string // of OK, NO, BAD, BYE
	ended bool   // its line end was read
	// passed is how many words nobody wanted.
	passed int
}

// read reads a response; what each does not read is passed over.
func (r *Response) read(each func(*Response) error) error {
	word, err := r.c.word()
	if err != nil {
		return err
	}
	if n, nerr := strconv.ParseUint(word, 10, 32); nerr == nil {
		r.N = uint32(n)
		if word, err = r.c.word(); err != nil {
			return err
		}
	}
	switch r.Name = strings.ToUpper(word); r.Name {
	case "OK", "NO", "BAD", "PREAUTH", "BYE":
		if r.Text, err = r.c.line(); err != nil {
			return err
		}
		r.ended = true
		if r.Name == "BYE" {
			return &ended{r.Text}
		}
	}
	if each != nil {
		if err := each(r); err != nil {
			return err
		}
	}
	return r.skip()
}

// ended is the server's BYE.
type ended struct{ text string }

// Error implements error.
func (e *ended) Error() string { return "the server ends the connection: " + e.text }

// skip reads what is left of the response.
func (r *Response) skip() error {
	for !r.ended {
		if r.passed++; r.passed > maxPassed {
			return fmt.Errorf("%w: a response without an end", ErrServer)
		}
		t, err := r.next()
		if err != nil {
			return err
		}
		if t.kind == kindLiteral {
			if _, err := io.Copy(io.Discard, t.body); err != nil {
				return err
			}
		}
	}
	return nil
}

type kind uint8

const (
	kindEnd kind = iota
	kindWord
	kindString // a quoted one
	kindLiteral
	kindOpen
	kindClose
)

// token is a part of a response.
type token struct {
	kind kind
	text string
	body *literal
}

// literal reads the bytes of one.
type literal struct {
	c    *Client
	size int64
	left int64
}

// Read implements io.Reader.
func (l *literal) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.c.in.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads a token.
func (r *Response) next() (t token, err error) {
	for {
		b, err := r.c.in.ReadByte()
		if err != nil {
			return t, err
		}
		switch b {
		case ' ':
			continue
		case '\r':
			continue
		case '\n':
			r.ended = true
			return token{kind: kindEnd}, nil
		case '(':
			return token{kind: kindOpen}, nil
		case ')':
			return token{kind: kindClose}, nil
		case '"':
			text, err := r.c.quoted()
			return token{kind: kindString, text: text}, err
		case '{':
			return r.c.literal()
		}
		r.c.in.UnreadByte()
		text, err := r.c.word()
		return token{kind: kindWord, text: text}, err
	}
}

// word reads an atom. "[" and what belongs to it is part of it.
func (c *Client) word() (string, error) {
	var out []byte
	inside := false
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return "", err
		}
		switch {
		case b == '[':
			inside = true
		case b == ']':
			inside = false
		case b == ' ' && !inside && len(out) == 0:
			continue
		case b == '\r' || b == '\n' || !inside && (b == ' ' || b == '(' || b == ')' || b == '"' || b == '{'):
			if len(out) == 0 || b != ' ' {
				c.in.UnreadByte()
			}
			if len(out) == 0 {
				return "", fmt.Errorf("%w: a word is missing", ErrServer)
			}
			return string(out), nil
		}
		if out = append(out, b); len(out) > maxWord {
			return "", fmt.Errorf("%w: a word of more than %d bytes", ErrServer, maxWord)
		}
	}
}

func (c *Client) quoted() (string, error) {
	var out []byte
	for {
		b, err := c.in.ReadByte()
		if err == nil && b == '\\' {
			b, err = c.in.ReadByte()
		} else if err == nil && b == '"' {
			return string(out), nil
		}
		if err != nil {
			return "", err
		}
		if b == '\r' || b == '\n' {
			return "", fmt.Errorf("%w: a string without an end", ErrServer)
		}
		if out = append(out, b); len(out) > maxWord {
			return "", fmt.Errorf("%w: a string of more than %d bytes", ErrServer, maxWord)
		}
	}
}

// literal reads "N}" and the line end.
func (c *Client) literal() (t token, err error) {
	var digits []byte
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return t, err
		}
		if b == '\n' {
			break
		}
		if digits = append(digits, b); len(digits) > 25 {
			return t, fmt.Errorf("%w: %.30q", ErrServer, digits)
		}
	}
	text, ok := strings.CutSuffix(strings.TrimRight(string(digits), "\r"), "}")
	n, err := strconv.ParseInt(strings.TrimSuffix(text, "+"), 10, 64)
	if !ok || err != nil || n < 0 || n > maxLetter {
		return t, fmt.Errorf("%w: a literal of %.30q", ErrServer, digits)
	}
	return token{kind: kindLiteral, body: &literal{c: c, size: n, left: n}}, nil
}

// str reads a string in any form.
func (r *Response) str() (string, error) {
	t, err := r.next()
	if err != nil {
		return "", err
	}
	switch t.kind {
	case kindWord, kindString:
		return t.text, nil
	case kindLiteral:
		if t.body.size > maxWord {
			return "", fmt.Errorf("%w: a name of %d bytes", ErrServer, t.body.size)
		}
		text, err := io.ReadAll(t.body)
		return string(text), err
	}
	return "", fmt.Errorf("%w: a string is missing", ErrServer)
}

// words reads a list of words.
func (r *Response) words(most int) (list []string, err error) {
	t, err := r.next()
	if err != nil || t.kind != kindOpen {
		return nil, errors.Join(err, fmt.Errorf("%w: a list is missing", ErrServer))
	}
	for {
		t, err := r.next()
		switch {
		case err != nil:
			return nil, err
		case t.kind == kindClose:
			return list, nil
		case t.kind == kindWord || t.kind == kindString:
			if list = append(list, t.text); len(list) > most {
				return nil, fmt.Errorf("%w: a list of more than %d words", ErrServer, most)
			}
		default:
			return nil, ErrServer
		}
	}
}
