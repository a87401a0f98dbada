package message

import "strings"

// interpret turns the gathered fields into what the part says of itself.
func (p *parser) interpret(part *Part, digest bool) {
	f := &p.fields
	part.Odd |= f.odd
	p.interpretType(part, digest)
	p.interpretEncoding(part)
	if f.seen[contentDisposition] {
		part.Disposition, part.DispParams = parseDisposition(Unfold(f.raw[contentDisposition]))
		part.Odd |= duplicates(part.DispParams)
	}
	part.ID = Unfold(f.raw[contentID])
	part.Description = Unfold(f.raw[contentDescription])
	part.MD5 = Unfold(f.raw[contentMD5])
	part.Location = strings.Join(strings.Fields(Unfold(f.raw[contentLocation])), "")
	part.Language = parseLanguages(Unfold(f.raw[contentLanguage]))
	if part.Envelope != nil {
		p.interpretEnvelope(part.Envelope)
	}
}

func (p *parser) interpretType(part *Part, digest bool) {
	part.Type, part.Subtype = "text", "plain"
	if digest {
		part.Type, part.Subtype = "message", "rfc822"
	}
	if !p.fields.seen[contentType] {
		return
	}
	typ, subtype, params, ok := parseContentType(Unfold(p.fields.raw[contentType]))
	if ok {
		part.Type, part.Subtype = typ, subtype
	} else {
		part.Odd |= BadType
	}
	part.Params = params
	part.Odd |= duplicates(params)
}

func (p *parser) interpretEncoding(part *Part) {
	part.Encoding = "7bit"
	if p.fields.seen[contentEncoding] {
		if e := parseToken(Unfold(p.fields.raw[contentEncoding])); e != "" {
			part.Encoding = e
		}
	}
	switch part.Encoding {
	case "7bit", "8bit", "binary":
	case "base64", "quoted-printable":
		if part.Multipart() || part.Message() {
			part.Odd |= BadEncoding
		}
	default:
		part.Odd |= BadEncoding
	}
}

func (p *parser) interpretEnvelope(e *Envelope) {
	f := &p.fields
	e.Date = Unfold(f.raw[dateField])
	e.Subject = Unfold(f.raw[subjectField])
	e.InReplyTo = Unfold(f.raw[inReplyToField])
	e.MessageID = Unfold(f.raw[messageIDField])
	e.From = p.mailboxes(fromField)
	e.Sender = p.mailboxes(senderField)
	e.ReplyTo = p.mailboxes(replyToField)
	e.To = p.mailboxes(toField)
	e.Cc = p.mailboxes(ccField)
	e.Bcc = p.mailboxes(bccField)
}

// mailboxes reads an address field within the budget of the whole message.
func (p *parser) mailboxes(kind fieldKind) []Mailbox {
	if !p.fields.seen[kind] || p.addresses >= p.limits.Addresses {
		return nil
	}
	list := parseMailboxes(Unfold(p.fields.raw[kind]), p.limits.Addresses-p.addresses)
	p.addresses += len(list)
	return list
}
