package imapd

import (
	"context"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/mail/thread"
	"facteur/internal/store/digest"
)

// thread is THREAD and UID THREAD (RFC 5256 §3).
func (s *session) thread(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Thread)
	b := []byte("* THREAD")
	_, err := s.find(ctx, c, a.Search, func(q *query, seqs []uint32) ([]uint32, error) {
		letters, err := q.letters(ctx, seqs, byUID(c.Name))
		if len(letters) > 0 {
			b = thread.Append(append(b, ' '), threads(a.Algorithm, letters))
		}
		return seqs, err
	})
	if err != nil {
		return "", err
	}
	s.enc.Raw(string(b) + "\r\n")
	return "THREAD completed", nil
}

func threads(algorithm string, letters []thread.Letter) []*thread.Thread {
	switch algorithm {
	case "ORDEREDSUBJECT":
		return thread.OrderedSubject(letters)
	case "REFERENCES":
		return thread.References(letters)
	}
	return thread.Refs(letters)
}

// letters is what threading asks of messages; those that are gone are left out.
func (q *query) letters(ctx context.Context, seqs []uint32, byUID bool) (out []thread.Letter, err error) {
	for seq, d := range q.digests(ctx, seqs, digest.Keys, &err) {
		l := q.view.Letter(seq)
		t := thread.Letter{Number: seq, ID: strings.Clone(d.MessageID), Subject: sortText(imap.SortSubject, d),
			Reply: d.Reply, Sent: sentOr(d, l)}
		if byUID {
			t.Number = l.UID
		}
		for _, id := range d.References {
			t.References = append(t.References, strings.Clone(id))
		}
		if out = append(out, t); len(out)%256 == 0 {
			if err := q.pause(ctx, q, len(out), len(seqs)); err != nil {
				return nil, err
			}
		}
	}
	return out, err
}
