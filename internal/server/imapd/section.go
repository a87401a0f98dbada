package imapd

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
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
func (s *session) fetchSection(l *letter, it imap.FetchItem) error {
	if it.Section.Text == imap.SectionFields || it.Section.Text == imap.SectionFieldsNot {
		return s.fetchFields(l, it)
	}
	sp, ok := find(l, it.Section)
	if !ok {
		s.enc.Raw("NIL")
		return nil
	}
	return s.sendSpan(l, sp.cut(it.Partial))
}

// sendSpan streams a stretch of the message: memory is one buffer.
func (s *session) sendSpan(l *letter, sp span) error {
	s.enc.Literal(sp.size())
	n, err := io.Copy(s.enc.Writer(), io.NewSectionReader(l.body, sp.from, sp.size()))
	if err == nil && n < sp.size() {
		err = io.ErrUnexpectedEOF
	}
	return err
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
func (s *session) fetchFields(l *letter, it imap.FetchItem) error {
	sp, ok := find(l, it.Section)
	if !ok {
		s.enc.Raw("NIL")
		return nil
	}
	var src io.ReaderAt = l.body
	if l.head != nil && len(it.Section.Path) == 0 {
		src = bytes.NewReader(l.head)
	} else if sp.size() <= smallHeader {
		b := make([]byte, sp.size())
		if _, err := l.body.ReadAt(b, sp.from); err != nil && err != io.EOF {
			return err
		}
		src, sp = bytes.NewReader(b), span{0, sp.size()}
	}
	f := fieldFilter{src: src, span: sp, not: it.Section.Text == imap.SectionFieldsNot, names: map[string]bool{}}
	for _, name := range it.Section.Fields {
		f.names[strings.ToLower(name)] = true
	}
	var total counter
	if err := f.writeTo(&total); err != nil {
		return err
	}
	want := span{0, int64(total)}.cut(it.Partial)
	s.enc.Literal(want.size())
	return f.writeTo(&window{w: s.enc.Writer(), span: want})
}

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

// fieldFilter picks fields of the header that a span of src is.
type fieldFilter struct {
	src io.ReaderAt
	span
	names map[string]bool // lower-case
	not   bool            // the fields that are not named
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
			take = f.wants(line)
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

// wants looks at the name of a field. One that is longer than the buffer is not
// on any list.
func (f *fieldFilter) wants(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte(":"))
	listed := f.names[strings.ToLower(string(bytes.TrimRight(name, " \t\r\n")))]
	return listed != f.not
}
