package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"

	"facteur/internal/base/vfs"
)

// Content is a letter, or its beginning.
type Content struct {
	UID   uint32
	Text  []byte // with CRLF line ends
	Whole bool   // Text is all of it
}

// Contents reads many letters in the order of uids, each in one go: about most
// bytes of it, from its start. Letters that are gone are passed over; another error
// ends the sequence. Text is good until the next letter. For who looks through a
// mailbox; memory is that of one letter.
func (v *View) Contents(ctx context.Context, uids []uint32, most int) iter.Seq2[Content, error] {
	return func(yield func(Content, error) bool) {
		if err := v.needs(RightRead); err != nil {
			yield(Content{}, err)
			return
		}
		r := contents{v: v, most: most}
		for _, uid := range uids {
			c, err := r.read(ctx, uid)
			if errors.Is(err, ErrGone) {
				continue
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// contents is the memory of one reading.
type contents struct {
	v         *View
	most      int
	raw, text []byte
}

// read reads one letter where the index has it or, if it is not there, where it is
// found then.
func (r *contents) read(ctx context.Context, uid uint32) (Content, error) {
	b := r.v.box
	if f, err := b.locate(ctx, uid); err == nil {
		if c, err := r.readFile(b.path(f.base, f.found)); err == nil || !errors.Is(err, fs.ErrNotExist) {
			c.UID = uid
			return c, err
		}
	}
	l, err := r.v.open(ctx, uid)
	if err != nil {
		return Content{}, err
	}
	defer l.Close()
	n := int(min(l.Size(), int64(r.most)))
	r.text = slices.Grow(r.text[:0], n)[:n]
	if _, err := l.ReadAt(r.text, 0); err != nil && err != io.EOF {
		return Content{}, err
	}
	return Content{UID: uid, Text: r.text, Whole: int64(n) == l.Size()}, nil
}

func (r *contents) readFile(name string) (Content, error) {
	f, err := r.v.box.dir.FS.Open(name)
	if err != nil {
		return Content{}, err
	}
	defer f.Close()
	if r.raw == nil {
		r.raw = make([]byte, 16<<10)
	}
	n, whole, err := r.fill(f)
	if err != nil {
		return Content{}, fmt.Errorf("%s: %w", name, err)
	}
	return Content{Text: r.withCRLF(r.raw[:n]), Whole: whole}, nil
}

// fill reads as much as may be read. The buffer grows with what is there.
func (r *contents) fill(f vfs.File) (n int, whole bool, err error) {
	for {
		if n == len(r.raw) {
			r.raw = append(r.raw, make([]byte, len(r.raw))...)
		}
		var got int
		got, err = f.Read(r.raw[n:min(len(r.raw), r.most+1)])
		n += got
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
		if n > r.most {
			return r.most, false, nil
		}
	}
}

// withCRLF gives each bare LF its CR.
func (r *contents) withCRLF(raw []byte) []byte {
	i := bytes.IndexByte(raw, '\n')
	if i < 0 || bytes.Count(raw, []byte("\n")) == bytes.Count(raw, []byte("\r\n")) {
		return raw
	}
	r.text = r.text[:0]
	for {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			return append(r.text, raw...)
		}
		r.text = append(r.text, raw[:i]...)
		if i == 0 || raw[i-1] != '\r' {
			r.text = append(r.text, '\r')
		}
		r.text = append(r.text, '\n')
		raw = raw[i+1:]
	}
}
