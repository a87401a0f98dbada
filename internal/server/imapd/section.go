package imapd

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/digest"
)

// span is a stretch of a message, from and to in octets.
type span struct{ from, to int64 }

func (sp span) size() int64 { return max(0, sp.to-sp.from) }

// cut applies a partial; all numbers have 63 bits (ATTACKS IMAP-007).
func (sp span) cut(p *imap.Partial) span {
	if p == nil {
		return sp
	}
	from := sp.from + min(p.Offset, sp.size())
	return span{from, from + min(p.Count, max(0, sp.to-from))}
}

// fetchSection writes what a section names: a literal, or NIL where there is no
// such part.
func (s *session) fetchSection(l *letter, it *fetchItem) error {
	if it.fields != nil {
		return s.fetchFields(l, it)
	}
	sp, ok := find(l, it.Section)
	if !ok {
		s.enc.Raw("NIL")
		return nil
	}
	sp = sp.cut(it.Partial)
	s.counts.fetched(it.Section, sp.size())
	return s.sendSpan(l, sp)
}

// sendSpan streams a stretch of the message: memory is one buffer.
func (s *session) sendSpan(l *letter, sp span) error {
	s.enc.Literal(sp.size())
	buf := s.server.copies.Get().(*copyBuffer)
	defer s.server.copies.Put(buf)
	for at := sp.from; at < sp.to; {
		b := buf[:min(int64(len(buf)), sp.to-at)]
		n, err := l.body.ReadAt(b, at)
		if n < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if err := s.text(b); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// copyBuffer is what goes through memory at a time when a message is sent: the
// size of most letters.
type copyBuffer [16 << 10]byte

// text writes octets of a literal, which can't have a NUL: it becomes 0x80, as with
// Dovecot. p is changed.
func (s *session) text(p []byte) error {
	for rest := p; ; {
		i := bytes.IndexByte(rest, 0)
		if i < 0 {
			break
		}
		rest[i] = 0x80
		rest = rest[i+1:]
	}
	return s.enc.Bytes(p)
}

// find is where a section is (RFC 9051 §6.4.5.1).
func find(l *letter, sec imap.Section) (span, bool) {
	if len(sec.Path) == 0 && sec.Text == imap.SectionAll {
		return span{0, l.body.Size()}, true
	}
	if l.head != nil && len(sec.Path) == 0 {
		if sec.Text == imap.SectionBody {
			return span{int64(len(l.head)), l.body.Size()}, true
		}
		return span{0, int64(len(l.head))}, true
	}
	p, ok := part(l.tree, sec.Path)
	if !ok {
		return span{}, false
	}
	if len(sec.Path) > 0 && sec.Text != imap.SectionAll && sec.Text != imap.SectionMIME {
		if !p.Message() || len(p.Children) != 1 {
			return span{}, false // HEADER and TEXT are those of a message
		}
		p = p.Children[0]
	}
	switch sec.Text {
	case imap.SectionAll, imap.SectionBody:
		return span{p.Body, p.End}, true
	default:
		return span{p.Header, p.Body}, true
	}
}

// part follows part numbers down the tree. A part that is no multipart has one
// number, 1, for itself.
func part(p *message.Part, path []uint32) (*message.Part, bool) {
	for i, n := range path {
		if i > 0 && p.Message() && len(p.Children) == 1 {
			p = p.Children[0]
		} else if i > 0 && !p.Multipart() {
			return nil, false
		}
		switch {
		case p.Multipart() && int64(n) <= int64(len(p.Children)):
			p = p.Children[n-1]
		case p.Multipart() || n != 1:
			return nil, false
		}
	}
	return p, true
}

// smallHeader is how much of a header is kept in memory while it is filtered,
// in octets. A longer one is read twice from the file.
const smallHeader = 64 << 10

// fetchFields writes the fields of a header that were asked for, or the others.
func (s *session) fetchFields(l *letter, it *fetchItem) error {
	if it.need.digest == digest.Lines && l.digest.Fields != nil {
		return s.sendFields(it, l.digest.Fields)
	}
	sp, ok := find(l, it.Section)
	if !ok {
		s.enc.Raw("NIL")
		return nil
	}
	if l.head != nil && len(it.Section.Path) == 0 {
		return s.sendFields(it, l.head)
	}
	if sp.size() > smallHeader {
		return s.streamFields(l, it, sp)
	}
	b := make([]byte, sp.size())
	if _, err := l.body.ReadAt(b, sp.from); err != nil && err != io.EOF {
		return err
	}
	return s.sendFields(it, b)
}

// sendFields writes fields of a header in memory.
func (s *session) sendFields(it *fetchItem, head message.Header) error {
	out := it.fields.out[:0]
	for f := range head.Fields() {
		name := f.Name
		if len(name) == 0 {
			name = bytes.TrimRight(head[f.Start:f.End], " \t\r\n") // no colon
		}
		if it.fields.wants(name) {
			out = append(out, head[f.Start:f.End]...)
		}
	}
	out = append(out, "\r\n"...)
	it.fields.out = out
	want := span{0, int64(len(out))}.cut(it.Partial)
	s.enc.Literal(want.size())
	return s.text(out[want.from:want.to])
}

// streamFields writes fields of a header that is too long for the memory.
func (s *session) streamFields(l *letter, it *fetchItem, sp span) error {
	f := fieldFilter{src: l.body, span: sp, fieldNames: it.fields}
	var total counter
	if err := f.writeTo(&total); err != nil {
		return err
	}
	want := span{0, int64(total)}.cut(it.Partial)
	s.counts.fetched(it.Section, want.size())
	s.enc.Literal(want.size())
	return f.writeTo(&window{w: textWriter{s}, span: want})
}

// textWriter is for octets of a literal; it changes them.
type textWriter struct{ s *session }

func (w textWriter) Write(p []byte) (int, error) { return len(p), w.s.text(p) }

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// window passes on what falls into its span.
type window struct {
	w io.Writer
	span
	at int64
}

func (w *window) Write(p []byte) (int, error) {
	from := min(max(w.from-w.at, 0), int64(len(p)))
	to := min(max(w.to-w.at, from), int64(len(p)))
	w.at += int64(len(p))
	if _, err := w.w.Write(p[from:to]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// fieldNames is which fields of headers are wanted.
type fieldNames struct {
	names map[string]bool // lower-case
	not   bool            // the fields that are not named
	out   []byte          // room for the fields of one header
}

func newFieldNames(sec imap.Section) *fieldNames {
	n := &fieldNames{names: map[string]bool{}, not: sec.Text == imap.SectionFieldsNot}
	for _, name := range sec.Fields {
		n.names[strings.ToLower(name)] = true
	}
	return n
}

// wants looks at the name of a field. One that is longer than the room for it is on
// no list that makes sense.
func (n *fieldNames) wants(name []byte) bool {
	var room [100]byte
	if len(name) > len(room) {
		return n.not
	}
	lower := room[:len(name)]
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return n.names[string(lower)] != n.not
}

// fieldFilter picks fields of the header that a span of src is.
type fieldFilter struct {
	src io.ReaderAt
	span
	*fieldNames
}

// writeTo writes the lines of the fields that are wanted, and the empty line at
// the end.
func (f *fieldFilter) writeTo(w io.Writer) error {
	r := bufio.NewReader(io.NewSectionReader(f.src, f.from, f.size()))
	take, start := false, true // start: at the start of a line
	for {
		line, err := r.ReadSlice('\n')
		if start && len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		if start && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			take = f.wants(bytes.TrimRight(name, " \t\r\n"))
		}
		if take {
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		if start = err == nil; err == io.EOF {
			break
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
	_, err := io.WriteString(w, "\r\n")
	return err
}
