package imapd

import (
	"context"
	"errors"
	"net"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/store/digest"
	"facteur/internal/store/mailbox"
)

// fetchJob is one FETCH command.
type fetchJob struct {
	items []fetchItem
	want  digest.Want // what the items need of digests
	marks bool        // sets \Seen
	alone bool        // one message only
	seen  []uint32
	gone  bool // some message was expunged meanwhile
}

// fetchItem is a data item with what is the same for all messages.
type fetchItem struct {
	imap.FetchItem
	name   []byte // as the response has it, with the blank behind it
	need   need
	fields *fieldNames // of HEADER.FIELDS and HEADER.FIELDS.NOT
}

// fetchCapabilities is about what can be asked of letters.
var fetchCapabilities = []string{"BINARY", "PREVIEW", "OBJECTID", "SAVEDATE", "PARTIAL"}

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
	if a.Page != nil {
		seqs = seqs.Slice(a.Page.Cut(int(seqs.Count())))
	}
	if (byUID(c.Name) || s.enabled(QRESYNC)) && !slices.ContainsFunc(a.Items, func(it imap.FetchItem) bool { return it.Kind == imap.FetchUID }) {
		a.Items = append([]imap.FetchItem{{Kind: imap.FetchUID, Name: "UID"}}, a.Items...)
	}
	job := newFetchJob(a.Items)
	job.alone = seqs.Count() == 1
	job.marks = !s.view.ReadOnly() && s.view.Rights().Has(mailbox.RightSeen) && slices.ContainsFunc(a.Items, marksSeen)
	if err := s.fetchAll(ctx, job, seqs); err != nil {
		return "", err
	}
	if job.gone {
		return "", mailbox.ErrGone
	}
	return "FETCH completed", nil
}

func newFetchJob(items []imap.FetchItem) *fetchJob {
	job := &fetchJob{}
	for _, it := range items {
		f := fetchItem{FetchItem: it, name: append(imap.AppendItem(nil, it), ' '), need: needOf(it)}
		if it.Section.Fields != nil {
			f.fields = newFieldNames(it.Section)
		}
		job.items = append(job.items, f)
		job.want |= f.need.digest
	}
	return job
}

func marksSeen(it imap.FetchItem) bool {
	return (it.Kind == imap.FetchSection || it.Kind == imap.FetchBinary) && !it.Peek
}

func (s *session) fetchAll(ctx context.Context, job *fetchJob, seqs imap.Ranges) error {
	for r, err := range s.view.Read(ctx, seqs, job.want) {
		if err == nil {
			err = s.fetchOne(ctx, job, r)
		}
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
func (s *session) fetchOne(ctx context.Context, job *fetchJob, r *mailbox.Reading) error {
	l := letter{Letter: r.Letter, digest: r.Digest}
	defer l.close()
	err := s.prepare(ctx, job, &l)
	if errors.Is(err, mailbox.ErrGone) {
		job.gone = true
		return nil
	}
	if err != nil {
		return err
	}
	s.beginFetch(r.Seq, l.UID)
	marks := job.marks && l.Flags.System&mailbox.Seen == 0
	if marks && !job.alone {
		job.seen, marks = append(job.seen, l.UID), false
	}
	if err := s.fetchItems(job, &l, marks); err != nil {
		return s.breakOff(err)
	}
	if marks {
		s.noteSeen(ctx, l.Letter)
	}
	s.enc.Raw(")\r\n")
	return nil
}

// fetchItems writes what was asked for. What marks is going to change, and tell
// behind it, is left out.
func (s *session) fetchItems(job *fetchJob, l *letter, marks bool) error {
	blank := ""
	for i := range job.items {
		it := &job.items[i]
		if marks && (it.Kind == imap.FetchFlags || it.Kind == imap.FetchModSeq) {
			continue
		}
		s.enc.Raw(blank)
		if err := s.fetchItem(l, it); err != nil {
			return err
		}
		blank = " "
	}
	return nil
}

// breakOff ends the session in the midst of a response, where nothing can
// follow. Unless the client is to blame, the log hears why.
func (s *session) breakOff(err error) error {
	var network *net.OpError
	if !errors.As(err, &network) && !isTimeout(err) {
		s.emit(Failed{Who: s.who(), Command: "FETCH", Err: err})
	}
	s.over = err
	return err
}

// noteSeen marks a message that was asked for alone at once, and says so in the
// same response, which simple clients expect; more are marked together.
func (s *session) noteSeen(ctx context.Context, l mailbox.Letter) {
	now, err := s.view.Store(ctx, []uint32{l.UID}, mailbox.FlagsAdd, mailbox.Flags{System: mailbox.Seen})
	if err != nil {
		// The message was told in full; that it stays unread is no reason to
		// break the response off.
		s.emit(Failed{Who: s.who(), Command: "FETCH", Err: err})
	}
	if len(now) == 1 {
		l = now[0]
	}
	s.enc.Raw(" FLAGS ")
	s.enc.Flags(s.flagNames(l))
	if s.enabled(CONDSTORE) {
		s.enc.Raw(" ")
		s.enc.ModSeq(l.ModSeq)
	}
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

func (s *session) fetchItem(l *letter, it *fetchItem) error {
	s.enc.Bytes(it.name)
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
		s.enc.DateTime(l.Received)
	case imap.FetchSize:
		s.enc.Number(l.Size)
	case imap.FetchSaveDate:
		if l.Saved.IsZero() {
			s.enc.Raw("NIL")
			break
		}
		s.enc.DateTime(l.Saved)
	case imap.FetchSection:
		return s.fetchSection(l, it)
	case imap.FetchBinary:
		return s.fetchBinary(l, it)
	case imap.FetchBinarySize:
		return s.fetchBinarySize(l, it)
	default:
		s.fetchDigest(l.digest, it.Kind)
	}
	return nil
}

// fetchDigest writes what stands in the cache as the client wants it.
func (s *session) fetchDigest(d *digest.Digest, kind imap.FetchKind) {
	switch kind {
	case imap.FetchEnvelope:
		s.enc.Bytes(d.Envelope)
	case imap.FetchBodyStructure:
		s.enc.Bytes(d.BodyStructure)
	case imap.FetchBody:
		s.enc.Bytes(d.Body)
	case imap.FetchPreview:
		s.enc.String(d.Preview)
	case imap.FetchEmailID:
		s.enc.Raw("(" + d.EmailID + ")")
	case imap.FetchThreadID:
		s.enc.Raw("(" + d.ThreadID + ")")
	}
}
