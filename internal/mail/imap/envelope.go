package imap

import "facteur/internal/mail/message"

// Envelope writes ENVELOPE (RFC 9051 §7.5.2). A nil envelope is one without
// anything in it.
func (e *Encoder) Envelope(v *message.Envelope) {
	if v == nil {
		v = &message.Envelope{}
	}
	sender, replyTo := v.Sender, v.ReplyTo
	if len(sender) == 0 {
		sender = v.From
	}
	if len(replyTo) == 0 {
		replyTo = v.From
	}
	e.Raw("(")
	e.NString(v.Date)
	e.Raw(" ")
	e.NString(v.Subject)
	for _, list := range [][]message.Mailbox{v.From, sender, replyTo, v.To, v.Cc, v.Bcc} {
		e.Raw(" ")
		e.addresses(list)
	}
	e.Raw(" ")
	e.NString(v.InReplyTo)
	e.Raw(" ")
	e.NString(v.MessageID)
	e.Raw(")")
}

func (e *Encoder) addresses(list []message.Mailbox) {
	if len(list) == 0 {
		e.Raw("NIL")
		return
	}
	e.Raw("(")
	for _, m := range list {
		e.address(m)
	}
	e.Raw(")")
}

// address writes one address. The host of a group mark is NIL, that of a
// mailbox never: clients would take the mailbox for a group.
func (e *Encoder) address(m message.Mailbox) {
	e.Raw("(")
	e.NString(m.Name)
	e.Raw(" ")
	e.NString(m.Route)
	e.Raw(" ")
	switch {
	case m.GroupEnd:
		e.Raw("NIL NIL")
	case m.GroupStart:
		e.String(m.Local)
		e.Raw(" NIL")
	default:
		e.String(m.Local)
		e.Raw(" ")
		e.String(m.Host)
	}
	e.Raw(")")
}
