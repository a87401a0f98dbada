package message

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// ErrNotConvertible: the message has to go as it is, or not at all.
var ErrNotConvertible = errors.New("message can't be converted")

// Conversion is how a message is made fit for a host that takes less than it needs: by
// giving its parts another transfer encoding (RFC 6152 §3, RFC 3030 §3). What a part
// decodes to stays as it was; signatures over the message do not.
type Conversion struct {
	edits []edit
	size  int64
	from  int64
}

// edit replaces bytes of a message.
type edit struct {
	start, end int64
	text       string // what stands in their place, if not encode
	encode     string // they are encoded: "base64", "quoted-printable"
}

// Downgrade finds out how a message can go to a host without BINARYMIME and, unless
// eightBit, without 8BITMIME. It reads r several times and leaves it at its start.
//
// Parts that are signed or encrypted as they stand, that are only a part of a message,
// whose encoding is unknown, or whose header has 8-bit characters, are not converted:
// ErrNotConvertible. A message that is no MIME becomes one, of the charset UTF-8 if it is
// that, and else unknown-8bit (RFC 1428).
func Downgrade(r io.ReadSeeker, eightBit bool) (*Conversion, error) {
	root, err := Parse(r, Limits{})
	if err != nil {
		return nil, err
	}
	d := &downgrade{most: sevenBit, length: root.End}
	if eightBit {
		d.most = eightBitText
	}
	d.list(root, false)
	if err := rewind(r); err != nil {
		return nil, err
	}
	if err := d.look(r, root.End); err != nil {
		return nil, err
	}
	for _, s := range d.spans {
		if err := d.decide(s); err != nil {
			return nil, err
		}
	}
	return d.conversion(r, root.End)
}

func rewind(r io.Seeker) error {
	_, err := r.Seek(0, io.SeekStart)
	return err
}

func (d *downgrade) conversion(r io.ReadSeeker, length int64) (*Conversion, error) {
	c := &Conversion{edits: d.edits, from: length}
	slices.SortStableFunc(c.edits, func(a, b edit) int { return int(min(1, max(-1, a.start-b.start))) })
	if err := rewind(r); err != nil {
		return nil, err
	}
	n, err := io.Copy(io.Discard, c.Reader(r))
	if err != nil {
		return nil, err
	}
	c.size = n
	return c, rewind(r)
}

// Size is that of the converted message, in bytes.
func (c *Conversion) Size() int64 { return c.size }

// Reader converts the message that r gives from its start, as it is read.
func (c *Conversion) Reader(r io.Reader) io.Reader {
	var parts []io.Reader
	at := int64(0)
	for _, e := range c.edits {
		parts = append(parts, &exactly{r: r, left: e.start - at})
		switch old := (&exactly{r: r, left: e.end - e.start}); e.encode {
		case "":
			parts = append(parts, &skip{old}, strings.NewReader(e.text))
		default:
			parts = append(parts, newEncoder(e.encode, old))
		}
		at = e.end
	}
	return io.MultiReader(append(parts, &exactly{r: r, left: c.from - at})...)
}

// exactly reads so many bytes, and misses those that are not there.
type exactly struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// skip drops what it reads.
type skip struct{ r io.Reader }

// Read implements io.Reader.
func (s *skip) Read([]byte) (int, error) {
	if _, err := io.Copy(io.Discard, s.r); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// class is what bytes ask of a host.
type class uint8

const (
	sevenBit class = iota
	eightBitText
	binary8 // no lines of text
)

func (c class) String() string { return [...]string{"7bit", "8bit", "binary"}[c] }

// span is the header or the body of a part, or what stands between parts.
type span struct {
	start, end int64
	part       *Part // nil: between parts
	header     bool
	sealed     bool // inside what must not be changed

	class class
	utf8  bool
	text  Header // of a header
}

// downgrade is a conversion in the making.
type downgrade struct {
	most   class
	length int64
	spans  []*span
	edits  []edit
}

// list cuts a part into spans.
func (d *downgrade) list(p *Part, sealed bool) {
	sealed = sealed || p.Type == "multipart" && (p.Subtype == "signed" || p.Subtype == "encrypted") || d.tangled(p)
	d.spans = append(d.spans, &span{start: p.Header, end: p.Body, part: p, header: true, sealed: sealed})
	at := p.Body
	for _, c := range p.Children {
		if at < c.Header {
			d.spans = append(d.spans, &span{start: at, end: c.Header, sealed: true})
		}
		d.list(c, sealed)
		at = c.End
	}
	s := &span{start: at, end: p.End, part: p, sealed: sealed}
	if len(p.Children) > 0 || p.Multipart() {
		s.part, s.sealed = nil, true
	}
	if s.start < s.end {
		d.spans = append(d.spans, s)
	}
}

// tangled tells a part that is read in one way of several, or is no whole.
func (d *downgrade) tangled(p *Part) bool {
	const odd = DuplicateField | BadEncoding | DepthLimit | PartLimit | HeaderLimit
	return p.Odd&odd != 0 || p.Type == "message" && !p.Message()
}

// decide makes the edits for a part, given what its spans are.
func (d *downgrade) decide(s *span) error {
	switch {
	case s.header:
		return d.relabel(s)
	case s.class <= d.most:
		return nil
	case s.sealed || !plain(s.part.Encoding):
		return ErrNotConvertible
	}
	encoding := "base64"
	if s.class == eightBitText && s.part.Type == "text" {
		encoding = "quoted-printable"
	}
	d.edits = append(d.edits, edit{start: s.start, end: s.end, encode: encoding})
	if encoding == "base64" && s.end == d.length {
		d.edits = append(d.edits, edit{start: s.end, end: s.end, text: "\r\n"})
	}
	return nil
}

// plain tells the encodings that encode nothing.
func plain(encoding string) bool {
	return encoding == "" || encoding == "7bit" || encoding == "8bit" || encoding == "binary"
}

// relabel changes the Content-Transfer-Encoding of a part.
func (d *downgrade) relabel(s *span) error {
	label := d.label(s)
	switch {
	case s.class > d.most:
		return ErrNotConvertible // RFC 2047 words can't be told from what a signer meant
	case label == "" || label == s.part.Encoding:
		return nil
	case s.sealed:
		return ErrNotConvertible
	}
	field := "Content-Transfer-Encoding: " + label + "\r\n"
	for f := range s.text.Fields() {
		if f.Is("Content-Transfer-Encoding") {
			d.edits = append(d.edits, edit{start: s.start + int64(f.Start), end: s.start + int64(f.End), text: field})
			return nil
		}
	}
	at := s.start + int64(endOfFields(s.text))
	d.edits = append(d.edits, edit{start: at, end: at, text: d.missing(s) + field})
	return nil
}

// label is the encoding that a part has to say it has; "" leaves it.
func (d *downgrade) label(s *span) string {
	body := d.body(s.part)
	switch {
	case body != nil && body.class > d.most && body.class == eightBitText && s.part.Type == "text":
		return "quoted-printable"
	case body != nil && body.class > d.most:
		return "base64"
	case s.part.Encoding == "binary" || s.part.Encoding == "8bit" && d.most == sevenBit:
		return d.most.String()
	}
	return ""
}

// body is the span of a part's body; nil for one with parts, or without a byte.
func (d *downgrade) body(p *Part) *span {
	i, found := slices.BinarySearchFunc(d.spans, p.Body, func(s *span, at int64) int { return int(min(1, max(-1, s.start-at))) })
	for ; found && i < len(d.spans) && d.spans[i].start == p.Body; i++ {
		if s := d.spans[i]; s.part == p && !s.header {
			return s
		}
	}
	return nil
}

// missing are the fields without which an encoding means nothing.
func (d *downgrade) missing(s *span) (fields string) {
	if _, ok := s.text.Lookup("MIME-Version"); !ok && s.part.Envelope != nil {
		fields = "MIME-Version: 1.0\r\n"
	}
	if _, ok := s.text.Lookup("Content-Type"); !ok {
		charset := "unknown-8bit"
		if body := d.body(s.part); body != nil && body.utf8 {
			charset = "utf-8"
		}
		fields += "Content-Type: text/plain; charset=" + charset + "\r\n"
	}
	return fields
}

// endOfFields is where the empty line of a header begins.
func endOfFields(h Header) int {
	end := 0
	for f := range h.Fields() {
		end = f.End
	}
	return end
}
