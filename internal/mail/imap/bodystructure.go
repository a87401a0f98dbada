package imap

import "facteur/internal/mail/message"

// maxDepth bounds the recursion of the body structure; the parser of messages
// has a lower limit of its own.
const maxDepth = 200

// BodyStructure writes BODYSTRUCTURE, or BODY if it is not extended (RFC 9051
// §7.5.2).
func (e *Encoder) BodyStructure(p *message.Part, extended bool) {
	e.write(func(f form) form { return f.body(p, extended, 0) })
}

// AppendBodyStructure appends what BodyStructure writes, in the form that every
// client can read.
func AppendBodyStructure(b []byte, p *message.Part, extended bool) []byte {
	return form{b: b}.body(p, extended, 0).b
}

func (f form) body(p *message.Part, extended bool, depth int) form {
	f = f.raw("(")
	switch {
	case p == nil || depth > maxDepth:
		f = f.single(emptyText(), extended, depth)
	case p.Multipart():
		f = f.multipart(p, extended, depth)
	default:
		f = f.single(p, extended, depth)
	}
	return f.raw(")")
}

// emptyText stands where the grammar wants a part and the message has none.
func emptyText() *message.Part {
	return &message.Part{Type: "text", Subtype: "plain", Encoding: "7bit"}
}

func (f form) multipart(p *message.Part, extended bool, depth int) form {
	for _, c := range p.Children {
		f = f.body(c, extended, depth+1)
	}
	if len(p.Children) == 0 {
		f = f.body(nil, extended, depth+1)
	}
	f = f.raw(" ").string(p.Subtype)
	if extended {
		f = f.raw(" ").params(p.Params).extension(p)
	}
	return f
}

func (f form) single(p *message.Part, extended bool, depth int) form {
	kind, sub := p.Type, p.Subtype
	inner := p.Message() && len(p.Children) == 1
	if p.Message() && !inner {
		kind, sub = "application", "octet-stream" // the grammar wants a message inside
	}
	f = f.string(kind).raw(" ").string(sub).raw(" ").params(p.Params).
		raw(" ").nstring(p.ID).raw(" ").nstring(p.Description).raw(" ").string(encoding(p)).
		raw(" ").number(max(0, p.End-p.Body))
	if inner {
		f = f.raw(" ").envelope(p.Children[0].Envelope).raw(" ").body(p.Children[0], extended, depth+1)
	}
	if inner || kind == "text" {
		f = f.raw(" ").number(p.Lines)
	}
	if extended {
		f = f.raw(" ").nstring(p.MD5).extension(p)
	}
	return f
}

func encoding(p *message.Part) string {
	if p.Encoding == "" {
		return "7bit"
	}
	return p.Encoding
}

// extension writes disposition, language and location.
func (f form) extension(p *message.Part) form {
	if p.Disposition == "" {
		f = f.raw(" NIL ")
	} else {
		f = f.raw(" (").string(p.Disposition).raw(" ").params(p.DispParams).raw(") ")
	}
	return f.languages(p.Language).raw(" ").nstring(p.Location)
}

func (f form) languages(tags []string) form {
	switch len(tags) {
	case 0:
		return f.raw("NIL")
	case 1:
		return f.string(tags[0])
	}
	f = f.raw("(")
	for i, t := range tags {
		if i > 0 {
			f = f.raw(" ")
		}
		f = f.string(t)
	}
	return f.raw(")")
}

func (f form) params(ps []message.Param) form {
	if len(ps) == 0 {
		return f.raw("NIL")
	}
	f = f.raw("(")
	for i := range ps {
		if i > 0 {
			f = f.raw(" ")
		}
		f = f.string(ps[i].Name).raw(" ").string(ps[i].Value)
	}
	return f.raw(")")
}
