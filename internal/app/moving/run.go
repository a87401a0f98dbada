package moving

import (
	"context"
	"errors"
	"fmt"
	"io"

	"facteur/internal/app/control"
	"facteur/internal/store/mailbox"
)

// A batch has at most so many letters, and ends after so many bytes.
const (
	batchLetters = 256
	batchBytes   = 16 << 20
)

// Job is mail that is to come into an account.
type Job struct {
	Kind    string // "maildir", "mbox" or "imap": part of the journal's name
	Source  Source
	Address string
	// Into is the mailbox here for all that comes; "": as the source names them.
	Into string
	// Only are the mailboxes that come, by their names here; none: all.
	Only []string
	Show *Progress
}

// ErrIncomplete is the end of a run that could not read everything.
var ErrIncomplete = errors.New("not everything could be read; run it again to try what is missing")

// Run brings what is missing.
func (j *Job) Run(ctx context.Context, o control.Office) error {
	boxes, err := j.boxes(ctx)
	if err != nil {
		return err
	}
	for i := range boxes {
		if err := j.box(ctx, o, &boxes[i]); err != nil {
			return err
		}
	}
	return nil
}

// boxes are those that are to come, and counts them.
func (j *Job) boxes(ctx context.Context) ([]Box, error) {
	all, err := j.Source.Boxes(ctx)
	if err != nil {
		return nil, err
	}
	var list []Box
	for _, b := range all {
		if len(j.Only) > 0 && !contains(j.Only, b.Name) {
			continue
		}
		if b.Refused != nil {
			j.Show.bad(b.Name, b.Refused)
			continue
		}
		if j.Into != "" {
			b.Name, b.SpecialUse = j.Into, ""
		}
		j.Show.expect(b)
		list = append(list, b)
	}
	return list, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Count tells what there is, and brings nothing.
func (j *Job) Count(ctx context.Context, told func(Box)) error {
	boxes, err := j.boxes(ctx)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		if b.Count < 0 && !b.Virtual {
			if err := j.count(ctx, &b); err != nil {
				return err
			}
		}
		told(b)
	}
	return nil
}

// count reads a mailbox that does not tell how much is in it.
func (j *Job) count(ctx context.Context, b *Box) error {
	b.Count, b.Bytes = 0, 0
	give := func(_ Letter, r io.Reader) error {
		n, err := io.Copy(io.Discard, r)
		b.Count++
		b.Bytes += n
		return err
	}
	return j.Source.Letters(ctx, b, func(mailbox.Key) bool { return false }, give, j.Show.bad)
}

// box brings one mailbox.
func (j *Job) box(ctx context.Context, o control.Office, b *Box) error {
	t := control.ImportTarget{Address: j.Address, Mailbox: b.Name, SpecialUse: b.SpecialUse, Subscribe: b.Subscribed,
		Source: journalName(j.Kind, b.ID), Validity: b.Validity, UIDNext: b.UIDNext, ACL: b.ACL}
	if b.Virtual {
		return nil
	}
	in, err := o.Import(ctx, t)
	if err != nil {
		return err
	}
	defer in.Close()
	f := &filler{job: j, box: b, in: in, known: in.Known()}
	if b.Validity != 0 && !in.Kept() {
		j.Show.note(fmt.Sprintf("%s %s: gets new UIDs, because the mailbox had letters or sessions before", j.Address, b.Name))
	}
	err = j.Source.Letters(ctx, b, f.have, func(l Letter, r io.Reader) error { return f.give(ctx, l, r) }, j.Show.bad)
	if err == nil {
		err = f.commit(ctx)
	}
	if err == nil {
		err = in.End(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", j.Address, b.Name, err)
	}
	return in.Close()
}

// filler puts letters into batches.
type filler struct {
	job     *Job
	box     *Box
	in      control.Importing
	known   map[mailbox.Key]bool
	letters int
	bytes   int64
	after   []func() error
}

func (f *filler) have(k mailbox.Key) bool {
	if f.known[k] {
		f.job.Show.had()
		return true
	}
	return false
}

// give adds a letter, and commits a batch that is full.
func (f *filler) give(ctx context.Context, l Letter, r io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	in := &meter{r: r, show: f.job.Show, sized: l.File != "", size: l.Size}
	err := f.in.Add(ctx, l.ImportLetter, in)
	if source := (*control.SourceError)(nil); errors.As(err, &source) {
		return source
	}
	if err != nil {
		return err
	}
	in.end()
	f.letters++
	f.bytes += max(in.n, 0)
	if l.After != nil {
		f.after = append(f.after, l.After)
	}
	if f.letters >= batchLetters || f.bytes >= batchBytes {
		return f.commit(ctx)
	}
	return nil
}

// commit makes letters of the batch.
func (f *filler) commit(ctx context.Context) error {
	if f.letters == 0 {
		return nil
	}
	n, err := f.in.Commit(ctx)
	if err != nil {
		return err
	}
	f.job.Show.came(n)
	f.letters, f.bytes = 0, 0
	for _, after := range f.after {
		if err := after(); err != nil {
			f.job.Show.bad("", err)
		}
	}
	f.after = nil
	return nil
}

// meter counts what is read, for progress.
type meter struct {
	r     io.Reader
	n     int64
	show  *Progress
	sized bool
	size  int64
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	m.show.read(int64(n))
	return n, err
}

// end counts a letter that was linked.
func (m *meter) end() {
	if m.sized {
		m.show.read(m.size)
	}
}
