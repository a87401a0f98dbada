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

// opened is a letter that is open to be searched. Its memory serves one letter after
// the other.
type opened struct {
	ctx    context.Context
	view   *mailbox.View
	uid    uint32
	reader mailbox.Reader
	whole  []byte         // a letter of usual size, all of it
	small  bool           // whole is this letter
	buf    []byte         // behind whole
	header message.Header // nil: not read yet
	err    error          // the first of reading
}

const (
	// smallLetter is the largest letter that is read at once, in octets. Of a larger
	// one, which most likely has attachments, only what is text is read.
	smallLetter = 256 << 10
	// maxHeader is how much of a header is searched, in octets.
	maxHeader = 256 << 10
)

// open makes a letter ready to be searched.
func (o *opened) open(ctx context.Context, v *mailbox.View, uid uint32) error {
	r, err := v.Open(ctx, uid)
	if err != nil {
		return err
	}
	o.ctx, o.view, o.uid, o.reader, o.header, o.err = ctx, v, uid, r, nil, nil
	if o.small = r.Size() <= smallLetter; !o.small {
		return nil
	}
	if int64(cap(o.buf)) < r.Size() {
		o.buf = make([]byte, max(r.Size()*3/2, 16<<10))
	}
	o.whole = o.buf[:r.Size()]
	if _, err := r.ReadAt(o.whole, 0); err != nil && err != io.EOF {
		o.shut()
		return err
	}
	return nil
}

// shut ends the use of the letter.
func (o *opened) shut() {
	if o.reader != nil {
		o.reader.Close()
		o.reader = nil
	}
}

// close gives the memory back as well.
func (o *opened) close() {
	o.shut()
	o.whole, o.buf, o.header = nil, nil, nil
}

// section is a stretch of the letter as a stream.
func (o *opened) section(from, to int64) io.Reader {
	if o.small {
		return bytes.NewReader(o.bytes(from, to))
	}
	return io.NewSectionReader(o.reader, from, max(0, to-from))
}

// bytes is a stretch of a small letter.
func (o *opened) bytes(from, to int64) []byte {
	to = min(to, int64(len(o.whole)))
	return o.whole[min(max(from, 0), to):to]
}

// head is the letter's header.
func (o *opened) head() message.Header {
	if o.header == nil {
		if o.small {
			o.header = message.Header(o.whole[:min(message.HeaderEnd(o.whole), maxHeader)])
		} else {
			o.header = o.headerAt(0, o.reader.Size())
		}
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
	tree := o.structure()
	return tree != nil && o.partHas(p, tree)
}

func (o *opened) structure() *message.Part {
	for d, err := range o.view.Digests(o.ctx, []uint32{o.uid}, digest.Body) {
		if err != nil {
			o.fail(err)
			return nil
		}
		return d.Part
	}
	o.fail(mailbox.ErrGone)
	return nil
}

// partHas goes down the tree. The recursion is as deep as Parse let the tree be.
func (o *opened) partHas(p *phrase, part *message.Part) bool {
	for _, kid := range part.Children {
		if part.Message() && p.inHeader(o.headerAt(kid.Header, kid.Body)) || o.partHas(p, kid) {
			return true
		}
	}
	if len(part.Children) > 0 || part.Type != "text" && part.Type != "message" && part.Type != "multipart" {
		return false
	}
	return o.textHas(p, part)
}

// textHas looks into one part.
func (o *opened) textHas(p *phrase, part *message.Part) bool {
	charset := part.Param("charset")
	encoded := part.Encoding == "base64" || part.Encoding == "quoted-printable"
	if o.small && !encoded && message.IsUTF8(charset) {
		return p.In(o.bytes(part.Body, part.End))
	}
	r := message.DecodeTransfer(part.Encoding, o.section(part.Body, part.End))
	if !message.IsUTF8(charset) {
		r = message.ToUTF8(charset, r)
	}
	met, err := p.InReader(r)
	if err != nil {
		o.fail(err)
	}
	return met
}
