package imapd

import (
	"context"
	"errors"
	"io"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/message"
	"facteur/internal/store/digest"
	"facteur/internal/store/mailbox"
)

// letter is a message with what was opened of it.
type letter struct {
	mailbox.Letter
	digest *digest.Digest
	tree   *message.Part
	body   mailbox.Reader
	head   message.Header // of the message, if it was enough to read that
}

func (l *letter) close() {
	if l.body != nil {
		l.body.Close()
	}
}

// need is what has to be at hand for a data item: flags, sizes and dates cost
// nothing, the lines of common header fields no file, the header of the message
// itself no look at its structure.
type need struct {
	digest     digest.Want
	body, head bool
}

func needOf(it imap.FetchItem) need {
	switch it.Kind {
	case imap.FetchEnvelope, imap.FetchBodyStructure:
		return need{digest: digest.List}
	case imap.FetchBody, imap.FetchPreview:
		return need{digest: digest.Body}
	case imap.FetchEmailID, imap.FetchThreadID:
		return need{digest: digest.IDs}
	case imap.FetchBinary, imap.FetchBinarySize:
		return need{digest: digest.Body, body: true}
	case imap.FetchSection:
		return needOfSection(it.Section)
	}
	return need{}
}

func needOfSection(sec imap.Section) need {
	switch {
	case len(sec.Path) > 0:
		return need{digest: digest.Body, body: true}
	case sec.Text == imap.SectionAll:
		return need{body: true}
	case sec.Text == imap.SectionFields && !slices.ContainsFunc(sec.Fields, uncommon):
		return need{digest: digest.Lines}
	}
	return need{body: true, head: true}
}

func uncommon(field string) bool { return !digest.Common(field) }

// prepare opens what the items of a job need.
func (s *session) prepare(ctx context.Context, job *fetchJob, l *letter) (err error) {
	if job.want != 0 && l.digest == nil {
		return mailbox.ErrGone
	}
	var all need
	for i := range job.items {
		n := job.items[i].need
		if n.digest == digest.Lines && l.digest.Fields == nil {
			n = need{body: true, head: true} // too long for the cache
		}
		all.body, all.head = all.body || n.body, all.head || n.head
	}
	if l.digest != nil {
		l.tree = l.digest.Part
	}
	if all.body {
		l.body, err = s.view.Open(ctx, l.UID)
	}
	if all.head && err == nil {
		l.head, err = readHead(l.body)
	}
	if all.head && l.head == nil && l.tree == nil && err == nil {
		l.tree, err = s.view.Structure(ctx, l.UID)
	}
	if err != nil {
		return err
	}
	return decodable(job, l)
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
