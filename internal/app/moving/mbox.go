package moving

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/mail/mbox"
	"facteur/internal/store/mailbox"
	"facteur/internal/store/maildir"
)

// Mbox is a Source: a file in the form mbox, what comes on the standard input, or a
// directory of such files as UW-IMAP, Dovecot and mail programs keep.
type Mbox struct {
	input io.Reader // instead of a file
	dir   *os.Root
	path  string
	file  string // the one of a source that is a file; "": all of dir
}

// OpenMbox opens a file or a directory.
func OpenMbox(name string) (*Mbox, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	m := &Mbox{path: abs}
	if !info.IsDir() {
		m.path, m.file = filepath.Split(abs)
	}
	m.dir, err = os.OpenRoot(m.path)
	return m, err
}

// MboxFrom is what comes from a reader, once.
func MboxFrom(r io.Reader) *Mbox { return &Mbox{input: r} }

// Close implements Source.
func (m *Mbox) Close() error {
	if m.dir == nil {
		return nil
	}
	return m.dir.Close()
}

// Boxes implements Source.
func (m *Mbox) Boxes(context.Context) ([]Box, error) {
	if m.input != nil {
		return []Box{{Name: "INBOX", ID: "-", Count: -1, Bytes: -1}}, nil
	}
	if m.file != "" {
		b := Box{Name: "INBOX", ID: filepath.Join(m.path, m.file), place: m.file}
		err := m.describe(&b)
		return []Box{b}, err
	}
	var list []Box
	if err := m.find(".", "", 0, &list); err != nil {
		return nil, err
	}
	text, err := m.subscriptions()
	subscribed := strings.Split(strings.ReplaceAll(text, "\r", ""), "\n")
	for i := range list {
		list[i].Subscribed = slices.Contains(subscribed, list[i].Name)
	}
	slices.SortFunc(list, func(a, b Box) int { return cmp.Compare(order(a.Name), order(b.Name)) })
	return list, err
}

// subscriptions is what Dovecot or UW-IMAP keep.
func (m *Mbox) subscriptions() (string, error) {
	for _, name := range []string{".subscriptions", ".mailboxlist"} {
		f, err := m.open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxSmallFile))
		return string(text), err
	}
	return "", nil
}

// find lists the files in dir that are mailboxes.
func (m *Mbox) find(dir, name string, depth int, list *[]Box) error {
	d, err := m.dir.Open(dir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name()[0] == '.' || depth > maxLevels {
			continue
		}
		level, err := maildir.FolderName("." + strings.ReplaceAll(e.Name(), ".", "&AC4-"))
		if strings.EqualFold(e.Name(), "inbox") && depth == 0 {
			level, err = "INBOX", nil
		}
		if err != nil {
			continue
		}
		full := strings.TrimPrefix(name+maildir.Separator+level, maildir.Separator)
		place := path.Join(dir, e.Name())
		if e.IsDir() {
			if err := m.find(place, full, depth+1, list); err != nil {
				return err
			}
			continue
		}
		if full == "mbox" {
			full = "INBOX"
		}
		if b := (Box{Name: full, ID: filepath.Join(m.path, place), place: place}); e.Type().IsRegular() && m.isMbox(place) && m.describe(&b) == nil {
			*list = append(*list, b)
		}
	}
	return nil
}

// isMbox tells whether a file begins as one, or is empty.
func (m *Mbox) isMbox(place string) bool {
	f, err := m.open(place)
	if err != nil {
		return errors.Is(err, fs.ErrPermission) // it is told when its letters are asked for
	}
	defer f.Close()
	_, err = mbox.NewReader(f, nil).Next()
	return err == nil || err == io.EOF
}

func (m *Mbox) open(name string) (*os.File, error) {
	return (&Maildir{root: m.dir}).open(name)
}

// describe reads what the first letter says of the mailbox.
func (m *Mbox) describe(b *Box) error {
	b.Count, b.Bytes = -1, -1
	info, err := m.dir.Stat(b.place)
	if err != nil {
		return err
	}
	b.Bytes = info.Size()
	f, err := m.dir.OpenFile(b.place, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil // as above
	}
	defer f.Close()
	r := mbox.NewReader(f, nil)
	if _, err := r.Next(); err == nil || err == io.EOF {
		if base := r.Base(); base.Validity != 0 && base.LastUID < 1<<32-1 {
			b.Validity, b.UIDNext = base.Validity, base.LastUID+1
		}
	}
	return nil
}

// Letters implements Source.
func (m *Mbox) Letters(_ context.Context, b *Box, have func(mailbox.Key) bool, give func(Letter, io.Reader) error, bad func(string, error)) error {
	in, what := m.input, "the standard input"
	if in == nil {
		what = filepath.Join(m.path, b.place)
		f, err := m.dir.OpenFile(b.place, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			bad(what, err)
			return nil
		}
		defer f.Close()
		in = f
	}
	err := mboxLetters(mbox.NewReader(in, time.Local), have, give)
	if source := (*control.SourceError)(nil); errors.As(err, &source) {
		bad(what, source.Err)
		return nil
	}
	return err
}

// mboxLetters gives the letters of one mbox. A letter is named by its From line and its
// header, and by how many others with the same there were before it.
func mboxLetters(r *mbox.Reader, have func(mailbox.Key) bool, give func(Letter, io.Reader) error) error {
	times := map[mailbox.Key]int{}
	for {
		l, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &control.SourceError{Err: fmt.Errorf("at byte %d: %w", r.Offset(), err)}
		}
		sum := sha256.Sum256(l.Head)
		key := keyOf(l.From, string(sum[:]))
		times[key]++
		if key = keyOf(l.From, string(sum[:]), strconv.Itoa(times[key])); have(key) {
			continue
		}
		if err := give(Letter{Size: -1, ImportLetter: marked(l, key)}, l); err != nil {
			return err
		}
	}
}

// marked is what the header says of a letter.
func marked(l *mbox.Letter, key mailbox.Key) control.ImportLetter {
	out := control.ImportLetter{Key: key, UID: l.Marks.UID, Received: l.Received, Keywords: l.Marks.Keywords}
	for _, f := range []struct {
		on   bool
		flag mailbox.SystemFlags
	}{{l.Marks.Seen, mailbox.Seen}, {l.Marks.Answered, mailbox.Answered}, {l.Marks.Flagged, mailbox.Flagged},
		{l.Marks.Deleted, mailbox.Deleted}, {l.Marks.Draft, mailbox.Draft}} {
		if f.on {
			out.System |= f.flag
		}
	}
	return out
}
