package imapd

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/mailbox"
)

// fetchJob is one FETCH command.
type fetchJob struct {
	items []imap.FetchItem
	marks bool // sets \Seen
	alone bool // one message only
	seen  []uint32
	gone  bool // some message was expunged meanwhile
}

// seenBatch is how many letters are marked \Seen with one write.
const seenBatch = 100

func (s *session) fetch(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Fetch)
	seqs, err := s.letters(c.Name, a.Set)
	if err != nil {
		return "", err
	}
	if seqs, err = s.changed(ctx, c, &a, seqs); err != nil {
		return "", err
	}
	job := &fetchJob{items: a.Items, alone: seqs.Count() == 1}
	if byUID(c.Name) && !slices.ContainsFunc(a.Items, func(it imap.FetchItem) bool { return it.Kind == imap.FetchUID }) {
		job.items = append([]imap.FetchItem{{Kind: imap.FetchUID, Name: "UID"}}, a.Items...)
	}
	job.marks = !s.view.ReadOnly() && slices.ContainsFunc(a.Items, marksSeen)
	if err := s.fetchAll(ctx, job, seqs); err != nil {
		return "", err
	}
	if job.gone {
		return "", mailbox.ErrGone
	}
	return "FETCH completed", nil
}

func marksSeen(it imap.FetchItem) bool {
	return it.Kind == imap.FetchSection && !it.Peek
}

func (s *session) fetchAll(ctx context.Context, job *fetchJob, seqs imap.Ranges) error {
	for seq := range each(seqs) {
		err := s.fetchOne(ctx, job, seq)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if len(job.seen) >= seenBatch {
			if err := s.markSeen(ctx, job); err != nil {
				return err
			}
		}
	}
	return s.markSeen(ctx, job)
}

// fetchOne writes the response for one message. What can fail is opened before
// the first octet is written: a response can't be taken back.
func (s *session) fetchOne(ctx context.Context, job *fetchJob, seq uint32) error {
	l, err := s.openLetter(ctx, seq, job.items)
	if errors.Is(err, mailbox.ErrGone) {
		job.gone = true
		return nil
	}
	if err != nil {
		return err
	}
	defer l.close()
	s.beginFetch(seq, l.UID)
	for i, it := range job.items {
		if i > 0 {
			s.enc.Raw(" ")
		}
		if err := s.fetchItem(l, it); err != nil {
			return s.breakOff(err)
		}
	}
	if err := s.noteSeen(ctx, job, l); err != nil {
		return err
	}
	s.enc.Raw(")\r\n")
	return nil
}

// breakOff ends the session in the midst of a response, where nothing can
// follow. Unless the client is to blame, the log hears why.
func (s *session) breakOff(err error) error {
	var network *net.OpError
	if !errors.As(err, &network) && !isTimeout(err) {
		s.emit(Failed{who: s.who(), Command: "FETCH", Err: err})
	}
	s.over = err
	return err
}

// noteSeen marks a message that was asked for alone at once, and says so in the
// same response, which simple clients expect; more are marked together.
func (s *session) noteSeen(ctx context.Context, job *fetchJob, l *letter) error {
	if !job.marks || l.Flags.System&mailbox.Seen != 0 {
		return nil
	}
	if !job.alone {
		job.seen = append(job.seen, l.UID)
		return nil
	}
	now, err := s.view.Store(ctx, []uint32{l.UID}, mailbox.FlagsAdd, mailbox.Flags{System: mailbox.Seen})
	if err != nil {
		// The message was told in full; that it stays unread is no reason to
		// break the response off.
		s.emit(Failed{who: s.who(), Command: "FETCH", Err: err})
		return nil
	}
	for _, l := range now {
		s.enc.Raw(" FLAGS ")
		s.enc.Flags(s.flagNames(l))
	}
	return nil
}

func (s *session) markSeen(ctx context.Context, job *fetchJob) error {
	if len(job.seen) == 0 {
		return nil
	}
	letters, err := s.view.Store(ctx, job.seen, mailbox.FlagsAdd, mailbox.Flags{System: mailbox.Seen})
	job.seen = job.seen[:0]
	for _, l := range letters {
		if seq := s.view.Seq(l.UID); seq > 0 {
			s.sayFlags(seq, l)
		}
	}
	return err
}

// letter is a message with what a FETCH or SEARCH opened of it.
type letter struct {
	mailbox.Letter
	tree *message.Part
	body mailbox.Reader
	head message.Header // of the message, if it was enough to read that
}

func (l *letter) close() {
	if l.body != nil {
		l.body.Close()
	}
}

// openLetter opens what the items need, and no more: flags, sizes and dates
// cost no file, and the header of the message itself no look at its structure.
func (s *session) openLetter(ctx context.Context, seq uint32, items []imap.FetchItem) (l *letter, err error) {
	l = &letter{Letter: s.view.Letter(seq)}
	var tree, body, head bool
	for _, it := range items {
		switch it.Kind {
		case imap.FetchEnvelope, imap.FetchBody, imap.FetchBodyStructure:
			tree = true
		case imap.FetchSection:
			body = true
			tree = tree || len(it.Section.Path) > 0
			head = head || !whole(it)
		}
	}
	if body {
		l.body, err = s.view.Open(ctx, l.UID)
	}
	if head && !tree && err == nil {
		l.head, err = readHead(l.body)
		tree = l.head == nil
	}
	if tree && err == nil {
		l.tree, err = s.view.Structure(ctx, l.UID)
	}
	if err != nil {
		l.close()
	}
	return l, err
}

// readHead reads the header of a message, nil if it is a large one.
func readHead(r mailbox.Reader) (message.Header, error) {
	h, _, err := message.ReadHeader(io.NewSectionReader(r, 0, r.Size()), smallHeader)
	if errors.Is(err, message.ErrHeaderTooLong) {
		return nil, nil
	}
	if h == nil && err == nil {
		h = message.Header{}
	}
	return h, err
}

// whole says whether an item is the message as it is.
func whole(it imap.FetchItem) bool {
	return it.Kind == imap.FetchSection && len(it.Section.Path) == 0 && it.Section.Text == imap.SectionAll
}

func (s *session) fetchItem(l *letter, it imap.FetchItem) error {
	s.enc.Item(it)
	s.enc.Raw(" ")
	switch it.Kind {
	case imap.FetchUID:
		s.enc.Number(int64(l.UID))
	case imap.FetchFlags:
		s.enc.Flags(s.flagNames(l.Letter))
	case imap.FetchModSeq:
		s.enc.Raw("(")
		s.enc.Number(int64(l.ModSeq))
		s.enc.Raw(")")
	case imap.FetchInternalDate:
		s.enc.String(imap.FormatDateTime(l.Received))
	case imap.FetchSize:
		s.enc.Number(l.Size)
	case imap.FetchEnvelope:
		s.enc.Envelope(l.tree.Envelope)
	case imap.FetchBody, imap.FetchBodyStructure:
		s.enc.BodyStructure(l.tree, it.Kind == imap.FetchBodyStructure)
	default:
		return s.fetchSection(l, it)
	}
	return nil
}
