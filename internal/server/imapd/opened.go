package imapd

import (
	"bytes"
	"context"
	"errors"
	"io"

	"facteur/internal/mail/message"
	"facteur/internal/store/digest"
	"facteur/internal/store/mailbox"
)

// opened is a letter that is open to be searched.
type opened struct {
	whole  []byte         // the letter or, of a large one, its beginning
	reader mailbox.Reader // of a large one
	tree   *message.Part
	header message.Header // nil: not read yet
	err    error          // the first of reading
	rest   func() error   // called before each look into a part of a large one; may be nil
}

// maxHeader is how much of a header is searched, in octets.
const maxHeader = 256 << 10

// open makes a letter ready to be searched.
func (o *opened) open(ctx context.Context, v *mailbox.View, c mailbox.Content, d *digest.Digest) error {
	*o = opened{whole: c.Text}
	if d != nil {
		o.tree = d.Part
	}
	if end := message.HeaderEnd(c.Text); c.Whole || o.tree == nil && end < len(c.Text) {
		o.header = message.Header(c.Text[:min(end, maxHeader)])
		return nil
	}
	r, err := v.Open(ctx, c.UID)
	o.reader = r
	return err
}

// shut ends the use of the letter.
func (o *opened) shut() {
	if o.reader != nil {
		o.reader.Close()
	}
	*o = opened{err: o.err}
}

// section is a stretch of the letter as a stream.
func (o *opened) section(from, to int64) io.Reader {
	if o.reader == nil {
		return bytes.NewReader(o.bytes(from, to))
	}
	return io.NewSectionReader(o.reader, from, max(0, to-from))
}

// bytes is a stretch of a letter that is there as a whole.
func (o *opened) bytes(from, to int64) []byte {
	to = min(to, int64(len(o.whole)))
	return o.whole[min(max(from, 0), to):to]
}

// head is the letter's header.
func (o *opened) head() message.Header {
	if o.header == nil {
		o.header = o.headerAt(0, o.reader.Size())
	}
	return o.header
}

func (o *opened) headerAt(from, to int64) message.Header {
	h, _, err := message.ReadHeader(o.section(from, to), maxHeader)
	if err != nil && !errors.Is(err, message.ErrHeaderTooLong) {
		o.fail(err)
	}
	if h == nil {
		h = message.Header{} // read, and empty
	}
	return h
}

func (o *opened) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// bodyHas looks into all text parts, decoded, and into the headers of attached
// messages.
func (o *opened) bodyHas(p *phrase) bool {
	return o.walk(o.tree, p.inHeader, func(part *message.Part) bool { return o.textHas(p, part) })
}

// walk shows the headers of attached messages and the parts that are text, until one
// of the functions gives true. The recursion is as deep as Parse let the tree be.
func (o *opened) walk(part *message.Part, header func(message.Header) bool, text func(*message.Part) bool) bool {
	for _, kid := range part.Children {
		if part.Message() && header(o.headerAt(kid.Header, kid.Body)) || o.walk(kid, header, text) {
			return true
		}
	}
	if len(part.Children) > 0 || part.Type != "text" && part.Type != "message" && part.Type != "multipart" {
		return false
	}
	return text(part)
}

// textHas looks into one part.
func (o *opened) textHas(p *phrase, part *message.Part) bool {
	if o.reader != nil && o.rest != nil && o.err == nil {
		o.fail(o.rest())
	}
	if o.err != nil {
		return false
	}
	plain, r := o.text(part)
	if r == nil {
		return p.In(plain)
	}
	met, err := p.InReader(r)
	if err != nil {
		o.fail(err)
	}
	return met
}

// text is what a part says in UTF-8: as it stands in the letter or, where it has to be
// decoded, as a stream.
func (o *opened) text(part *message.Part) (plain []byte, r io.Reader) {
	charset := part.Param("charset")
	encoded := part.Encoding == "base64" || part.Encoding == "quoted-printable"
	if o.reader == nil && !encoded && message.IsUTF8(charset) {
		return o.bytes(part.Body, part.End), nil
	}
	r = message.DecodeTransfer(part.Encoding, o.section(part.Body, part.End))
	if !message.IsUTF8(charset) {
		r = message.ToUTF8(charset, r)
	}
	return nil, r
}
