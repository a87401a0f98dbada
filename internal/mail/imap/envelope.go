package imap

import "facteur/internal/mail/message"

// Envelope writes ENVELOPE (RFC 9051 §7.5.2).
func (e *Encoder) Envelope(v *message.Envelope) { e.write(func(f form) form { return f.envelope(v) }) }

// AppendEnvelope appends ENVELOPE, in the form that every client can read: what is
// not ASCII is a literal. A nil envelope is one without anything in it.
func AppendEnvelope(b []byte, v *message.Envelope) []byte {
	return form{b: b}.envelope(v).b
}

func (f form) envelope(v *message.Envelope) form {
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
	f = f.raw("(").nstring(v.Date).raw(" ").nstring(v.Subject)
	for _, list := range [...][]message.Mailbox{v.From, sender, replyTo, v.To, v.Cc, v.Bcc} {
		f = f.raw(" ").addresses(list)
	}
	return f.raw(" ").nstring(v.InReplyTo).raw(" ").nstring(v.MessageID).raw(")")
}

func (f form) addresses(list []message.Mailbox) form {
	if len(list) == 0 {
		return f.raw("NIL")
	}
	f = f.raw("(")
	for i := range list {
		f = f.address(&list[i])
	}
	return f.raw(")")
}

// address writes one address. The host of a group mark is NIL, that of a
// mailbox never: clients would take the mailbox for a group.
func (f form) address(m *message.Mailbox) form {
	f = f.raw("(").nstring(m.Name).raw(" ").nstring(m.Route).raw(" ")
	switch {
	case m.GroupEnd:
		f = f.raw("NIL NIL")
	case m.GroupStart:
		f = f.string(m.Local).raw(" NIL")
	default:
		f = f.string(m.Local).raw(" ").string(m.Host)
	}
	return f.raw(")")
}
