package imap

import "time"

// Append is APPEND (RFC 9051 §6.3.12). The message has yet to be read.
type Append struct {
	Mailbox string
	Flags   []string
	Date    time.Time // zero: none given
	Literal *Literal
}

func (d *Decoder) appendArgs() any {
	d.space()
	a := &Append{Mailbox: d.mailbox()}
	d.space()
	if d.peek() == '(' {
		a.Flags = d.flagList()
		d.space()
	}
	if d.peek() == '"' {
		a.Date = d.dateTime()
		d.space()
	}
	if d.err == nil {
		a.Literal = d.openLiteral()
	}
	return a
}
