package urlauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/namespace"
)

// ErrNotThere is a URL that leads to nothing: no such mailbox, no longer the same
// one, no such letter or part.
var ErrNotThere = errors.New("the URL leads to no message")

// Letter is an open (part of a) letter. Close it.
type Letter struct {
	io.Reader
	Size int64         // octets
	Part *message.Part // the part that the URL names; for a header, that whose header it is

	from    int64 // where the section begins in the body
	leaf    bool  // it is a part with one encoding
	partial *imap.Partial
	space   *namespace.Space // opened for this letter; nil: it is somebody else's
	place   *namespace.Place
	view    *mailbox.View
	body    mailbox.Reader
}

// Close implements io.Closer.
func (l *Letter) Close() error {
	if l.body != nil {
		l.body.Close()
	}
	if l.view != nil {
		l.view.Close() //nolint:errcheck // it was read from
	}
	l.place.Close()
	if l.space != nil {
		return l.space.Close()
	}
	return nil
}

// Open opens what a URL names, as far as the user of the space may read it. The
// mailbox is that of the URL, or instead if that has none. ErrNotThere, or a fault
// of ours.
func Open(ctx context.Context, space *namespace.Space, instead string, u *imap.URL) (*Letter, error) {
	name := u.Mailbox
	if name == "" {
		name = instead
	}
	place, _, err := space.Enter(ctx, name, mailbox.RightRead)
	if err != nil {
		return nil, missing(err)
	}
	l := &Letter{place: place}
	if err := l.find(ctx, u); err != nil {
		l.Close()
		return nil, missing(err)
	}
	return l, nil
}

// missing makes one error of all that means that nothing is there.
func missing(err error) error {
	for _, is := range []error{mailbox.ErrNoMailbox, mailbox.ErrNoPermission, mailbox.ErrBadName, mailbox.ErrMailboxGone, mailbox.ErrGone} {
		if errors.Is(err, is) {
			return ErrNotThere
		}
	}
	return err
}

func (l *Letter) find(ctx context.Context, u *imap.URL) (err error) {
	if l.view, err = l.place.Account.Select(ctx, l.place.Name, true); err != nil {
		return err
	}
	if u.UIDValidity != 0 && u.UIDValidity != l.view.UIDValidity() {
		return ErrNotThere
	}
	if l.body, err = l.view.Open(ctx, u.UID); err != nil {
		return err
	}
	if l.from, l.Size, err = l.section(ctx, u); err != nil {
		return err
	}
	l.leaf = len(u.Section.Path) > 0 && u.Section.Text == imap.SectionAll && !l.Part.Multipart() && !l.Part.Message()
	l.Reader = io.NewSectionReader(l.body, l.from, l.Size)
	if u.Section.Fields != nil {
		if err := l.fields(u.Section); err != nil {
			return err
		}
	}
	l.partial = u.Partial
	return l.cut(u.Partial)
}

// Decode undoes the Content-Transfer-Encoding of a part that has one; a partial is
// then one of the decoded octets (RFC 5524 §3). It is called before anything is
// read. False if the encoding is not known.
func (l *Letter) Decode() (ok bool, err error) {
	if !l.leaf {
		return true, nil
	}
	switch strings.ToLower(strings.TrimSpace(l.Part.Encoding)) {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
	default:
		return false, nil
	}
	source := func() io.Reader {
		return message.DecodeTransfer(l.Part.Encoding, io.NewSectionReader(l.body, l.from, l.Part.End-l.from))
	}
	if l.Size, err = io.Copy(io.Discard, source()); err != nil {
		return false, err
	}
	l.Reader = source()
	return true, l.cut(l.partial)
}

// section is where the section of a URL is in the letter (RFC 9051 §6.4.5.1).
func (l *Letter) section(ctx context.Context, u *imap.URL) (from, size int64, err error) {
	sec := u.Section
	if l.Part, err = l.view.Structure(ctx, u.UID); err != nil {
		return 0, 0, err
	}
	if len(sec.Path) == 0 && sec.Text == imap.SectionAll {
		return 0, l.body.Size(), nil
	}
	if l.Part = l.Part.Section(sec.Path); l.Part == nil {
		return 0, 0, ErrNotThere
	}
	if len(sec.Path) > 0 && sec.Text != imap.SectionAll && sec.Text != imap.SectionMIME {
		if !l.Part.Message() || len(l.Part.Children) != 1 {
			return 0, 0, ErrNotThere // HEADER and TEXT are those of a message
		}
		l.Part = l.Part.Children[0]
	}
	p := l.Part
	if sec.Text == imap.SectionAll || sec.Text == imap.SectionBody {
		return p.Body, p.End - p.Body, nil
	}
	return p.Header, p.Body - p.Header, nil
}

// maxHeader is the longest header of which fields are picked, in octets.
const maxHeader = 1 << 20

// fields picks those of a header that a section names, or the others.
func (l *Letter) fields(sec imap.Section) error {
	h, _, err := message.ReadHeader(l.Reader, maxHeader)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for f := range h.Fields() {
		listed := slices.ContainsFunc(sec.Fields, func(name string) bool { return f.Is(name) })
		if listed == (sec.Text == imap.SectionFields) {
			out.Write(h[f.Start:f.End])
		}
	}
	out.WriteString("\r\n")
	l.Reader, l.Size = &out, int64(out.Len())
	return nil
}

// cut applies a partial; its numbers have 63 bits.
func (l *Letter) cut(p *imap.Partial) error {
	if p == nil {
		return nil
	}
	skip := min(p.Offset, l.Size)
	if _, err := io.CopyN(io.Discard, l.Reader, skip); err != nil {
		return fmt.Errorf("a part of a letter: %w", err)
	}
	l.Size = min(p.Count, l.Size-skip)
	l.Reader = io.LimitReader(l.Reader, l.Size)
	return nil
}
