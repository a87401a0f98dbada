package message

import (
	"encoding/binary"
	"errors"
	"slices"
)

// codecVersion is the first byte of an encoded tree. Change it with every
// change of the form or of what Parse makes of a message: caches are then read
// as stale.
const codecVersion = 1

// ErrBadEncoding says that bytes are no tree that Append of this version wrote.
var ErrBadEncoding = errors.New("message: bad or outdated structure encoding")

// Append appends the tree in a compact form, which Decode reads: numbers as
// varints, frequent words as one byte.
func (p *Part) Append(b []byte) []byte {
	return p.append(append(b, codecVersion))
}

// append writes one part and its children. Field order is the format.
func (p *Part) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(p.Header))
	b = binary.AppendUvarint(b, uint64(p.Body-p.Header))
	b = binary.AppendUvarint(b, uint64(p.End-p.Body))
	b = binary.AppendUvarint(b, uint64(p.Lines))
	b = binary.AppendUvarint(b, uint64(p.Odd))
	for _, s := range []string{p.Type, p.Subtype, p.ID, p.Description, p.Encoding, p.MD5, p.Disposition, p.Location} {
		b = appendString(b, s)
	}
	b = appendList(b, p.Params, appendParam)
	b = appendList(b, p.DispParams, appendParam)
	b = appendList(b, p.Language, appendString)
	if p.Envelope == nil {
		b = append(b, 0)
	} else {
		b = p.Envelope.append(append(b, 1))
	}
	return appendList(b, p.Children, func(b []byte, c *Part) []byte { return c.append(b) })
}

func (e *Envelope) append(b []byte) []byte {
	for _, s := range []string{e.Date, e.Subject, e.InReplyTo, e.MessageID} {
		b = appendString(b, s)
	}
	for _, list := range [][]Mailbox{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		b = appendList(b, list, appendMailbox)
	}
	return b
}

func appendMailbox(b []byte, m Mailbox) []byte {
	var flags byte
	if m.GroupStart {
		flags |= 1
	}
	if m.GroupEnd {
		flags |= 2
	}
	b = append(b, flags)
	for _, s := range []string{m.Name, m.Route, m.Local, m.Host} {
		b = appendString(b, s)
	}
	return b
}

func appendParam(b []byte, p Param) []byte {
	return appendString(appendString(b, p.Name), p.Value)
}

func appendList[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, v := range list {
		b = one(b, v)
	}
	return b
}

// appendString writes an odd number for a frequent word, an even one before
// the bytes of any other string.
func appendString(b []byte, s string) []byte {
	if i := slices.Index(frequent[:], s); i >= 0 {
		return binary.AppendUvarint(b, uint64(i)<<1|1)
	}
	return append(binary.AppendUvarint(b, uint64(len(s))<<1), s...)
}

// frequent are the words that most letters use. Their order is the format.
var frequent = [...]string{
	"text", "plain", "html", "7bit", "8bit", "quoted-printable", "base64", "multipart", "mixed", "alternative",
	"related", "charset", "utf-8", "us-ascii", "boundary", "UTF-8", "iso-8859-1", "attachment", "inline", "name",
	"filename", "application", "octet-stream", "pdf", "image", "png", "jpeg", "message", "rfc822", "format",
	"flowed", "report", "signed",
}

// Decode reads what Append wrote. Other bytes give ErrBadEncoding. The strings
// of the tree share one copy of b.
func Decode(b []byte) (*Part, error) {
	if len(b) == 0 || b[0] != codecVersion {
		return nil, ErrBadEncoding
	}
	d := decoder{rest: string(b[1:])}
	p := d.part(0)
	if d.bad || d.rest != "" {
		return nil, ErrBadEncoding
	}
	return p, nil
}

// decoder reads from the front of rest. After the first fault it gives zeros.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, ""
}

// number reads a varint.
func (d *decoder) number() uint64 {
	var v uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		c := d.rest[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.rest = d.rest[i+1:]
			return v
		}
	}
	d.fail()
	return 0
}

// offset reads a length and adds it to an earlier offset.
func (d *decoder) offset(from int64) int64 {
	n := d.number()
	if n > 1<<62 || from+int64(n) < from {
		d.fail()
		return from
	}
	return from + int64(n)
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.fail()
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) string() string {
	v := d.number()
	n := v >> 1
	if v&1 == 1 {
		if n >= uint64(len(frequent)) {
			d.fail()
			return ""
		}
		return frequent[n]
	}
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

// The least number of bytes that one of each takes: a count beyond what the
// rest can hold is refused before anything is allocated.
const (
	leastPart    = 18
	leastMailbox = 5
	leastParam   = 2
	leastString  = 1
)

// decodeList reads a counted list; nil when it is empty.
func decodeList[T any](d *decoder, least int, one func() T) []T {
	n := d.number()
	if n > uint64(len(d.rest)/least) {
		d.fail()
	}
	if n == 0 || d.bad {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		if list = append(list, one()); d.bad {
			return nil
		}
	}
	return list
}

func (d *decoder) part(depth int) *Part {
	if depth > maxDepth+1 {
		d.fail()
		return nil
	}
	p := &Part{}
	p.Header = d.offset(0)
	p.Body = d.offset(p.Header)
	p.End = d.offset(p.Body)
	p.Lines = d.offset(0)
	p.Odd = Oddity(d.number())
	for _, s := range []*string{&p.Type, &p.Subtype, &p.ID, &p.Description, &p.Encoding, &p.MD5, &p.Disposition, &p.Location} {
		*s = d.string()
	}
	p.Params = decodeList(d, leastParam, d.param)
	p.DispParams = decodeList(d, leastParam, d.param)
	p.Language = decodeList(d, leastString, d.string)
	if d.byte() != 0 {
		p.Envelope = d.envelope()
	}
	p.Children = decodeList(d, leastPart, func() *Part { return d.part(depth + 1) })
	return p
}

func (d *decoder) param() Param { return Param{Name: d.string(), Value: d.string()} }

func (d *decoder) envelope() *Envelope {
	e := &Envelope{}
	for _, s := range []*string{&e.Date, &e.Subject, &e.InReplyTo, &e.MessageID} {
		*s = d.string()
	}
	for _, list := range []*[]Mailbox{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		*list = decodeList(d, leastMailbox, d.mailbox)
	}
	return e
}

func (d *decoder) mailbox() Mailbox {
	flags := d.byte()
	return Mailbox{
		GroupStart: flags&1 != 0, GroupEnd: flags&2 != 0,
		Name: d.string(), Route: d.string(), Local: d.string(), Host: d.string(),
	}
}
