package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
)

const (
	maxColumns = 256

	doQuery   = 0x03
	doPrepare = 0x16
	doExecute = 0x17
)

// Conn is a session that may read, and only that.
type Conn struct {
	raw net.Conn
	packets
	broken error
}

// Close ends the connection without a word; the server sees the end.
func (c *Conn) Close() error { return c.raw.Close() }

// Statement is a prepared statement of a Conn.
type Statement struct {
	conn   *Conn
	id     uint32
	params int
	names  []string
}

// Value is a value of a row, as text.
type Value struct {
	Text string
	Null bool
}

// ErrTooMany says that there are more rows than were asked for.
var ErrTooMany = errors.New("there are more rows, or larger ones, than were asked for")

// fail remembers an error after which the two sides may be out of step.
func (c *Conn) fail(err error) error {
	var said *Error
	if err != nil && !errors.As(err, &said) {
		c.broken = err
	}
	return err
}

// command sends one and reads the first packet of the answer; an error of the server
// is an error.
func (c *Conn) command(what byte, body []byte) ([]byte, error) {
	if c.broken != nil {
		return nil, fmt.Errorf("the connection is of no use any more: %w", c.broken)
	}
	c.next = 0
	if err := c.write(append([]byte{what}, body...)); err != nil {
		return nil, err
	}
	b, err := c.read()
	switch {
	case err != nil:
		return nil, err
	case b[0] == isError:
		return nil, refusal(b)
	case b[0] == isLocal:
		return nil, wrong("it asks for a file")
	}
	return b, nil
}

// exec runs a statement that has no rows.
func (c *Conn) exec(statement string) error {
	b, err := c.command(doQuery, []byte(statement))
	if err == nil && b[0] != isOK {
		err = wrong("rows where none were due")
	}
	return c.fail(err)
}

// Prepare makes a statement with "?" for each value.
func (c *Conn) Prepare(statement string) (*Statement, error) {
	s, err := c.prepare(statement)
	return s, c.fail(err)
}

func (c *Conn) prepare(statement string) (*Statement, error) {
	b, err := c.command(doPrepare, []byte(statement))
	if err != nil {
		return nil, err
	}
	r := reader{rest: b[1:]}
	s := &Statement{conn: c, id: uint32(r.number(4))}
	columns := int(r.number(2))
	s.params = int(r.number(2))
	if r.broken || b[0] != isOK {
		return nil, wrong("an answer to a statement that is none")
	}
	for _, n := range []int{s.params, columns} {
		if err := c.skip(n); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// skip reads a list of n descriptions, and its end.
func (c *Conn) skip(n int) error {
	if n == 0 {
		return nil
	}
	for range n {
		if b, err := c.read(); err != nil || ended(b) {
			return errors.Join(err, wrong("a list that ends too early"))
		}
	}
	return c.end()
}

func (c *Conn) end() error {
	b, err := c.read()
	if err == nil && !ended(b) {
		err = wrong("a list that does not end")
	}
	return err
}

// Params is how many values the statement wants.
func (s *Statement) Params() int { return s.params }

// Names are those of the columns of the last answer.
func (s *Statement) Names() []string { return s.names }

// valueSize is about what a Value takes beside its text, in bytes: a NULL is a bit on
// the wire.
const valueSize = 24

// Query asks with these values and gives at most so many rows, which take at most size
// bytes of memory, NULLs too. More are ErrTooMany, and the Conn is of no use then.
func (s *Statement) Query(rows int, size int64, values ...string) ([][]Value, error) {
	out, err := s.query(rows, size, values)
	return out, s.conn.fail(err)
}

func (s *Statement) query(limit int, size int64, values []string) (out [][]Value, err error) {
	if len(values) != s.params {
		return nil, &Error{Text: fmt.Sprintf("the statement wants %d values and is given %d", s.params, len(values))}
	}
	b, err := s.conn.command(doExecute, s.question(values))
	if err != nil || b[0] == isOK {
		return nil, err
	}
	columns, err := s.conn.columns(b)
	if err != nil {
		return nil, err
	}
	s.names = s.names[:0]
	for _, c := range columns {
		s.names = append(s.names, c.name)
	}
	for {
		b, err := s.conn.read()
		switch {
		case err != nil:
			return nil, err
		case b[0] == isError:
			return nil, refusal(b)
		case ended(b):
			return out, nil
		case len(out) == limit:
			return nil, ErrTooMany
		}
		if size -= int64(len(b) + valueSize*len(columns)); size < 0 {
			return nil, ErrTooMany
		}
		row, err := parseRow(b, columns)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
}

// question is the body of an execution: all values are text.
func (s *Statement) question(values []string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, s.id)
	b = append(b, 0, 1, 0, 0, 0) // no cursor, once
	if len(values) == 0 {
		return b
	}
	b = append(b, make([]byte, (len(values)+7)/8)...) // none is NULL
	b = append(b, 1)                                  // types follow
	for range values {
		b = append(b, typeVarString, 0)
	}
	for _, v := range values {
		b = appendCounted(b, v)
	}
	return b
}

// columns reads the descriptions of the columns of a result.
func (c *Conn) columns(first []byte) ([]column, error) {
	r := reader{rest: first}
	n := r.length()
	if r.broken || n == 0 || n > maxColumns {
		return nil, wrong("%d columns; expected 1 to %d", n, maxColumns)
	}
	out := make([]column, n)
	for i := range out {
		b, err := c.read()
		if err != nil {
			return nil, err
		}
		if out[i], err = parseColumn(b); err != nil {
			return nil, err
		}
	}
	return out, c.end()
}
