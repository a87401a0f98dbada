package imapd

import (
	"bytes"
	"io"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
)

// decodable refuses a FETCH of BINARY where we can't undo the encoding (RFC 3516
// §4.3), before anything of the response is written.
func decodable(job *fetchJob, l *letter) error {
	for i := range job.items {
		it := &job.items[i]
		if it.Kind != imap.FetchBinary && it.Kind != imap.FetchBinarySize {
			continue
		}
		if p, ok := part(l.tree, it.Section.Path); ok && len(it.Section.Path) > 0 && !known(p) {
			return refusal("[UNKNOWN-CTE] The content transfer encoding of this part is not known")
		}
	}
	return nil
}

// known tells whether the encoding of a part can be undone. Multiparts and messages
// have none (RFC 2045 §6.4).
func known(p *message.Part) bool {
	switch p.Encoding {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
		return true
	}
	return p.Multipart() || p.Message()
}

// decoded is a section with its transfer encoding undone; nil if it is not there. The
// whole message is what it is, encoded parts included.
func decoded(l *letter, path []uint32) io.Reader {
	if len(path) == 0 {
		return io.NewSectionReader(l.body, 0, l.body.Size())
	}
	p, ok := part(l.tree, path)
	if !ok {
		return nil
	}
	return p.Decoded(l.body)
}

// fetchBinary writes a decoded section: it is gone through twice, so that memory is
// one buffer. With a NUL in it, it is a literal8.
func (s *session) fetchBinary(l *letter, it *fetchItem) error {
	r := decoded(l, it.Section.Path)
	if r == nil {
		s.enc.Raw("NIL")
		return nil
	}
	var size counter
	var zero nulls
	if _, err := io.Copy(io.MultiWriter(&size, &zero), r); err != nil {
		return err
	}
	want := span{0, int64(size)}.cut(it.Partial)
	if zero {
		s.enc.Raw("~")
	}
	s.enc.Literal(want.size())
	out := &window{w: s.enc.Writer(), span: want}
	if _, err := io.Copy(out, decoded(l, it.Section.Path)); err != nil {
		return err
	}
	if out.at != int64(size) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (s *session) fetchBinarySize(l *letter, it *fetchItem) error {
	var size counter
	if r := decoded(l, it.Section.Path); r != nil {
		if _, err := io.Copy(&size, r); err != nil {
			return err
		}
	}
	s.enc.Number(int64(size))
	return nil
}

// nulls becomes true when a NUL is written to it.
type nulls bool

func (z *nulls) Write(p []byte) (int, error) {
	*z = *z || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}
