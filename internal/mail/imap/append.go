package imap

import (
	"fmt"
	"io"
	"time"
)

// Append is APPEND (RFC 9051 §6.3.12) of one or more messages (RFC 3502). They
// come one after the other, each in one or more pieces: call Next, then Piece
// until it says io.EOF, then Next again, until that says io.EOF. Only then is the
// command known to be well-formed and complete; whoever gives up before calls
// Refuse.
type Append struct {
	Mailbox string
	reading
}

// AppendMessage is one message of APPEND, and the one of REPLACE.
type AppendMessage struct {
	Flags []string
	Date  time.Time // zero: none given
	// UTF8 says that the header may have UTF-8 in it (RFC 9755 §4), Catenate that
	// the message is put together of pieces (RFC 4469).
	UTF8, Catenate bool
}

// Piece is what a message consists of: a literal that has yet to be read, or the
// URL of (a part of) another message.
type Piece struct {
	URL     string
	Literal *Literal // nil: take the URL
}

// Replace is REPLACE and UID REPLACE (RFC 8508): Next gives one message.
type Replace struct {
	Set SequenceSet // one number
	Append
}

const (
	maxMessages = 1000 // in one APPEND (ATTACKS IMAP-020)
	maxPieces   = 1000 // of one message
)

func (d *Decoder) appendArgs() any {
	d.space()
	return &Append{Mailbox: d.mailbox(), reading: reading{d: d}}
}

func (d *Decoder) replaceArgs() any {
	d.space()
	r := &Replace{Set: d.sequenceSet()}
	if r.Set.Saved() || len(r.Set) != 1 || r.Set[0].From != r.Set[0].To {
		d.fail("REPLACE takes one message")
	}
	d.space()
	r.Append = Append{Mailbox: d.mailbox(), reading: reading{d: d, single: true}}
	return r
}

// reading is how far an APPEND was read.
type reading struct {
	d        *Decoder
	single   bool     // one message only
	literal  *Literal // the last one that was handed out
	messages int
	pieces   int
	form     shape // of the message being read
	over     bool  // the end of the command was read, or the stream is broken
}

// shape is how the octets of a message are given.
type shape uint8

const (
	plain    shape = iota // a literal
	utf8Form              // UTF8 (literal8)
	catenate              // CATENATE (pieces)
	complete              // all of it was read
)

// Next is the head of the next message; io.EOF after the last.
func (a *reading) Next() (*AppendMessage, error) {
	d := a.d
	a.finishLiteral()
	if a.messages > 0 && d.err == nil && d.pos == len(d.line) {
		a.over = true
		return nil, io.EOF
	}
	if a.messages++; a.messages > maxMessages && d.err == nil {
		d.err = &LimitError{fmt.Sprintf("More than %d messages in one APPEND", maxMessages)}
	}
	if a.messages > 1 && a.single {
		d.fail("One message per REPLACE, please")
	}
	m := a.head()
	return m, d.err
}

// head reads up to the announcement of the first piece.
func (a *reading) head() *AppendMessage {
	d, m := a.d, &AppendMessage{}
	d.space()
	if d.peek() == '(' {
		m.Flags = d.flagList()
		d.space()
	}
	if d.peek() == '"' {
		m.Date = d.dateTime()
		d.space()
	}
	a.form, a.pieces = plain, 0
	switch {
	case d.acceptWord("CATENATE"):
		a.form, m.Catenate = catenate, true
		d.space()
		d.expect('(')
	case d.acceptWord("UTF8"):
		a.form, m.UTF8 = utf8Form, true
		d.space()
		d.expect('(')
	case d.peek() != '{' && d.peek() != '~':
		d.fail("Expected a literal")
	}
	return m
}

// Piece is the next piece of the message; io.EOF after the last. The literal of
// the one before must have been read to its end.
func (a *reading) Piece() (*Piece, error) {
	d := a.d
	a.finishLiteral()
	if d.err == nil && a.form == complete {
		return nil, io.EOF
	}
	if a.pieces++; a.pieces > maxPieces && d.err == nil {
		d.err = &LimitError{"Too many pieces"}
	}
	p := a.piece()
	if d.err != nil {
		return nil, d.err
	}
	return p, nil
}

func (a *reading) piece() *Piece {
	d := a.d
	if a.form != catenate {
		return a.open()
	}
	switch {
	case d.acceptWord("TEXT"):
		d.space()
		return a.open()
	case d.acceptWord("URL"):
		d.space()
		p := &Piece{URL: d.astring()}
		a.closePiece()
		return p
	}
	d.fail("Expected TEXT or URL")
	return nil
}

// open hands out a literal.
func (a *reading) open() *Piece {
	a.literal = a.d.openLiteral(true)
	return &Piece{Literal: a.literal}
}

// finishLiteral reads on behind a literal that was handed out. Each message has a
// line of its own to spend, as their number is bounded.
func (a *reading) finishLiteral() {
	l, d := a.literal, a.d
	if l == nil || d.err != nil {
		return
	}
	a.literal = nil
	if l.left > 0 || !l.NonSync && !l.open {
		panic("imap: a literal was left unread")
	}
	d.lineBytes = 0
	if d.readLine(d.limits.Line); d.err != nil {
		d.err = cutShort(d.err, true)
		return
	}
	a.closePiece()
}

// closePiece reads what stands between a piece and what follows it.
func (a *reading) closePiece() {
	d := a.d
	switch a.form {
	case catenate:
		if d.accept(' ') {
			return
		}
		d.expect(')')
	case utf8Form:
		d.expect(')')
	}
	a.form = complete
}

// Refuse gets over the rest of a command that is answered with an error. What is
// on its way is read and thrown away up to limit octets; beyond that, the
// connection has to end: *FatalError. A stream that is broken gives its error.
func (a *reading) Refuse(limit int64) error {
	d := a.d
	if a.over {
		return nil
	}
	a.over = true
	if d.err != nil && !recoverable(d.err) {
		return d.err
	}
	if l := a.literal; l != nil {
		if !l.NonSync && !l.open {
			return nil // it won't be sent
		}
		if l.left > limit {
			return &FatalError{"Literal too large"}
		}
		limit -= l.left
		if _, err := io.Copy(io.Discard, l); err != nil {
			return err
		}
		d.err, d.lineBytes = nil, 0
		if d.readLine(d.limits.Line); d.err != nil {
			return cutShort(d.err, true)
		}
	}
	d.err, d.literals, d.literalBytes = nil, 0, 0
	d.skip(maxMessages, limit)
	return d.err
}

// recoverable says whether the decoder can still find the end of the command.
func recoverable(err error) bool {
	switch err.(type) {
	case *SyntaxError, *LimitError:
		return true
	}
	return false
}
