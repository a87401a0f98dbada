package stress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience bounds the wait for one answer.
const patience = 2 * time.Minute

// most is the largest literal that a server may send here, in octets.
const most = 1 << 20

// nothing is NIL.
type nothing struct{}

// list is what stands in parentheses: strings, nothing and lists.
type list []any

// response is one response of a server.
type response struct {
	tag    string // "*", "+" or the tag of a command
	number uint32 // of "* 7 EXISTS"
	name   string // EXISTS, FETCH, OK, …
	data   list   // what follows, unless it is text
	code   list   // of "OK [CODE …]"
	text   string
}

// wire is a connection: responses are parsed strictly, and the last lines are kept.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
	said []string
}

var errForm = errors.New("not well formed")

func dial(addr string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, r: bufio.NewReader(conn)}, nil
}

func (w *wire) note(line string) {
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	if w.said = append(w.said, line); len(w.said) > 60 {
		w.said = w.said[1:]
	}
}

func (w *wire) send(text string) error {
	w.note("C: " + strings.TrimSuffix(text, "\r\n"))
	w.conn.SetDeadline(time.Now().Add(patience))
	_, err := io.WriteString(w.conn, text)
	return err
}

// line reads one line whole, with its literals, which are taken out.
func (w *wire) line() (text string, literals []string, err error) {
	w.conn.SetDeadline(time.Now().Add(patience))
	for {
		part, err := w.r.ReadString('\n')
		if err != nil {
			return "", nil, err
		}
		if text += part; !strings.HasSuffix(text, "\r\n") {
			w.note("S: " + text)
			return "", nil, fmt.Errorf("%w: a line without CR: %.100q", errForm, text)
		}
		open := strings.LastIndexByte(part, '{')
		if open < 0 || !strings.HasSuffix(part, "}\r\n") {
			w.note("S: " + strings.TrimSuffix(text, "\r\n"))
			return strings.TrimSuffix(text, "\r\n"), literals, nil
		}
		size, err := strconv.Atoi(part[open+1 : len(part)-3])
		if err != nil || size < 0 || size > most {
			return "", nil, fmt.Errorf("%w: a literal of %.20q", errForm, part[open:])
		}
		octets := make([]byte, size)
		if _, err := io.ReadFull(w.r, octets); err != nil {
			return "", nil, err
		}
		literals = append(literals, string(octets))
	}
}

// read reads one response.
func (w *wire) read() (r response, err error) {
	text, literals, err := w.line()
	if err != nil {
		return r, err
	}
	r, err = parse(text, literals)
	if err != nil {
		err = fmt.Errorf("%w in %.200q", err, text)
	}
	return r, err
}

func parse(text string, literals []string) (r response, err error) {
	tag, rest, found := strings.Cut(text, " ")
	if r.tag = tag; !found || tag == "" {
		return r, fmt.Errorf("%w: no tag", errForm)
	}
	if tag == "+" {
		r.text = rest
		return r, nil
	}
	word, after, more := strings.Cut(rest, " ")
	if n, bad := strconv.ParseUint(word, 10, 32); bad == nil && tag == "*" {
		r.number = uint32(n)
		word, after, more = strings.Cut(after, " ")
	}
	switch r.name = strings.ToUpper(word); r.name {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return r, r.status(after)
	case "":
		return r, fmt.Errorf("%w: no name", errForm)
	}
	if !more || r.name == "SEARCH" && after == "" {
		return r, nil
	}
	p := &parser{text: after, literals: literals}
	if r.data, err = p.values(false); err == nil && (p.text != "" || len(p.literals) > 0) {
		err = fmt.Errorf("%w: %.40q is left", errForm, p.text)
	}
	return r, err
}

// status takes a status response apart: a code in brackets, and text.
func (r *response) status(after string) (err error) {
	r.text = after
	if !strings.HasPrefix(after, "[") {
		return nil
	}
	end := strings.IndexByte(after, ']')
	if end < 0 {
		return fmt.Errorf("%w: a code without end", errForm)
	}
	p := &parser{text: after[1:end]}
	r.text = strings.TrimPrefix(after[end+1:], " ")
	r.code, err = p.values(false)
	return err
}

// parser takes values from the begin of a text. Literals were taken out of it already,
// but for their {n}.
type parser struct {
	text     string
	literals []string
}

// values are separated by one space each; lists within a list may touch.
func (p *parser) values(inside bool) (out list, err error) {
	for first := true; ; first = false {
		if inside && strings.HasPrefix(p.text, ")") {
			p.text = p.text[1:]
			return out, nil
		}
		if p.text == "" {
			if inside {
				return nil, fmt.Errorf("%w: a list without end", errForm)
			}
			return out, nil
		}
		if !first && !(inside && p.text[0] == '(') {
			if p.text[0] != ' ' {
				return nil, fmt.Errorf("%w: no space before %.40q", errForm, p.text)
			}
			p.text = p.text[1:]
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
}

func (p *parser) value() (any, error) {
	if p.text == "" {
		return nil, fmt.Errorf("%w: a value is missing", errForm)
	}
	switch p.text[0] {
	case '(':
		p.text = p.text[1:]
		return p.values(true)
	case '"':
		return p.quoted()
	case '{', '~':
		return p.literal()
	}
	end := p.atomEnd()
	word := p.text[:end]
	if p.text = p.text[end:]; word == "" {
		return nil, fmt.Errorf("%w: a value is missing before %.40q", errForm, p.text)
	}
	if word == "NIL" {
		return nothing{}, nil
	}
	return word, nil
}

// atomEnd: brackets belong to an atom whole, as in BODY[HEADER.FIELDS (To)].
func (p *parser) atomEnd() int {
	deep := 0
	for i := range len(p.text) {
		switch c := p.text[i]; {
		case c == '[':
			deep++
		case c == ']':
			deep--
		case deep <= 0 && (c == ' ' || c == '(' || c == ')' || c == '"'):
			return i
		}
	}
	return len(p.text)
}

func (p *parser) quoted() (any, error) {
	var b strings.Builder
	for i := 1; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '"':
			p.text = p.text[i+1:]
			return b.String(), nil
		case '\\':
			if i++; i == len(p.text) || p.text[i] != '"' && p.text[i] != '\\' {
				return nil, fmt.Errorf("%w: a backslash in %.40q", errForm, p.text)
			}
			b.WriteByte(p.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return nil, fmt.Errorf("%w: a string without end", errForm)
}

func (p *parser) literal() (any, error) {
	// The text still has "{n}\r\n", and what follows the literal after it.
	_, after, found := strings.Cut(p.text, "}\r\n")
	if !found || len(p.literals) == 0 {
		return nil, fmt.Errorf("%w: a literal at %.40q", errForm, p.text)
	}
	value := p.literals[0]
	p.text, p.literals = after, p.literals[1:]
	return value, nil
}
