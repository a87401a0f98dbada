package imap

import (
	"strings"

	"facteur/internal/mail/message"
)

// maxDepth bounds the recursion of the body structure; the parser of messages
// has a lower limit of its own.
const maxDepth = 200

// BodyStructure writes BODYSTRUCTURE, or BODY if it is not extended (RFC 9051
// §7.5.2).
func (e *Encoder) BodyStructure(p *message.Part, extended bool) {
	e.body(p, extended, 0)
}

func (e *Encoder) body(p *message.Part, extended bool, depth int) {
	e.Raw("(")
	switch {
	case p == nil || depth > maxDepth:
		e.single(emptyText(), extended, depth)
	case p.Multipart():
		e.multipart(p, extended, depth)
	default:
		e.single(p, extended, depth)
	}
	e.Raw(")")
}

// emptyText stands where the grammar wants a part and the message has none.
func emptyText() *message.Part {
	return &message.Part{Type: "text", Subtype: "plain", Encoding: "7bit"}
}

func (e *Encoder) multipart(p *message.Part, extended bool, depth int) {
	for _, c := range p.Children {
		e.body(c, extended, depth+1)
	}
	if len(p.Children) == 0 {
		e.body(nil, extended, depth+1)
	}
	e.Raw(" ")
	e.String(p.Subtype)
	if extended {
		e.Raw(" ")
		e.params(p.Params)
		e.extension(p)
	}
}

func (e *Encoder) single(p *message.Part, extended bool, depth int) {
	kind, sub := p.Type, p.Subtype
	inner := p.Message() && len(p.Children) == 1
	if p.Message() && !inner {
		kind, sub = "application", "octet-stream" // the grammar wants a message inside
	}
	e.String(kind)
	e.Raw(" ")
	e.String(sub)
	e.Raw(" ")
	e.params(p.Params)
	for _, s := range []string{p.ID, p.Description} {
		e.Raw(" ")
		e.NString(s)
	}
	e.Raw(" ")
	e.String(encoding(p))
	e.Raw(" ")
	e.Number(max(0, p.End-p.Body))
	if inner {
		e.Raw(" ")
		e.Envelope(p.Children[0].Envelope)
		e.Raw(" ")
		e.body(p.Children[0], extended, depth+1)
	}
	if inner || kind == "text" {
		e.Raw(" ")
		e.Number(p.Lines)
	}
	if extended {
		e.Raw(" ")
		e.NString(p.MD5)
		e.extension(p)
	}
}

func encoding(p *message.Part) string {
	if p.Encoding == "" {
		return "7bit"
	}
	return p.Encoding
}

// extension writes disposition, language and location.
func (e *Encoder) extension(p *message.Part) {
	if p.Disposition == "" {
		e.Raw(" NIL ")
	} else {
		e.Raw(" (")
		e.String(p.Disposition)
		e.Raw(" ")
		e.params(p.DispParams)
		e.Raw(") ")
	}
	e.languages(p.Language)
	e.Raw(" ")
	e.NString(p.Location)
}

func (e *Encoder) languages(tags []string) {
	switch len(tags) {
	case 0:
		e.Raw("NIL")
	case 1:
		e.String(tags[0])
	default:
		e.Raw("(")
		for i, t := range tags {
			e.Raw(strings.Repeat(" ", min(i, 1)))
			e.String(t)
		}
		e.Raw(")")
	}
}

func (e *Encoder) params(ps []message.Param) {
	if len(ps) == 0 {
		e.Raw("NIL")
		return
	}
	e.Raw("(")
	for i, p := range ps {
		if i > 0 {
			e.Raw(" ")
		}
		e.String(p.Name)
		e.Raw(" ")
		e.String(p.Value)
	}
	e.Raw(")")
}
