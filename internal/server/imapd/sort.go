package imapd

import (
	"cmp"
	"context"
	"slices"

	"facteur/internal/mail/collate"
	"facteur/internal/mail/imap"
	"facteur/internal/store/digest"
	"facteur/internal/store/mailbox"
)

// sort is SORT and UID SORT (RFC 5256 §3, RFC 5957).
func (s *session) sort(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Sort)
	f, err := s.find(ctx, c, a.Search, func(q *query, seqs []uint32) ([]uint32, error) { return q.order(ctx, seqs, a.By) })
	if err != nil {
		return "", s.notSaved(a.Search, err)
	}
	s.save(a.Search, f)
	if a.Extended {
		s.sayExtended(c, a.Return, f)
	} else {
		s.sayHits("SORT", f)
	}
	s.update(c, a.Search, a.By, f)
	return "SORT completed", nil
}

// maxSortText is how much of a text is compared, in octets of its fold: a mailbox
// full of endless subjects must not fill the memory.
const maxSortText = 256

// column is one of the things to sort by, of all letters.
type column struct {
	imap.SortKey
	numbers []int64
	texts   []string
}

func (c *column) compare(a, b int) int {
	out := 0
	if c.numbers != nil {
		out = cmp.Compare(c.numbers[a], c.numbers[b])
	} else {
		out = cmp.Compare(c.texts[a], c.texts[b])
	}
	if c.Reverse {
		return -out
	}
	return out
}

// order sorts messages. Those that are equal stay in the order of their numbers.
func (q *query) order(ctx context.Context, seqs []uint32, by []imap.SortKey) ([]uint32, error) {
	columns := make([]column, len(by))
	for i := range by {
		columns[i].SortKey = by[i]
	}
	kept, err := q.columns(ctx, seqs, columns)
	if err != nil {
		return nil, err
	}
	rows := make([]int, len(kept))
	for i := range rows {
		rows[i] = i
	}
	slices.SortFunc(rows, func(a, b int) int {
		for i := range columns {
			if out := columns[i].compare(a, b); out != 0 {
				return out
			}
		}
		return cmp.Compare(kept[a], kept[b])
	})
	out := make([]uint32, len(rows))
	for i, row := range rows {
		out[i] = kept[row]
	}
	return out, nil
}

// columns fills in what is compared; it leaves out letters that are gone.
func (q *query) columns(ctx context.Context, seqs []uint32, columns []column) (kept []uint32, err error) {
	if !slices.ContainsFunc(columns, column.asksDigest) {
		for _, seq := range seqs {
			q.addRow(columns, seq, nil)
		}
		return seqs, nil
	}
	for seq, d := range q.digests(ctx, seqs, digest.Keys, &err) {
		q.addRow(columns, seq, d)
		if kept = append(kept, seq); len(kept)%256 == 0 {
			if err := q.pause(ctx, q, len(kept), len(seqs)); err != nil {
				return nil, err
			}
		}
	}
	return kept, err
}

func (c column) asksDigest() bool {
	return c.Field != imap.SortArrival && c.Field != imap.SortSize && c.Field != imap.SortRelevancy
}

func (q *query) addRow(columns []column, seq uint32, d *digest.Digest) {
	for i := range columns {
		c := &columns[i]
		switch c.Field {
		case imap.SortArrival:
			c.numbers = append(c.numbers, q.view.Letter(seq).Received.Unix())
		case imap.SortSize:
			c.numbers = append(c.numbers, q.view.Letter(seq).Size)
		case imap.SortDate:
			c.numbers = append(c.numbers, sentOr(d, q.view.Letter(seq)))
		case imap.SortRelevancy: // the best first (RFC 6203 §5)
			c.numbers = append(c.numbers, -int64(q.scores[seq]))
		default:
			c.texts = append(c.texts, sortText(c.Field, d))
		}
	}
}

// sentOr is when a letter was sent: by its Date field, else INTERNALDATE (RFC 5256
// §2.2); s.
func sentOr(d *digest.Digest, l mailbox.Letter) int64 {
	if d.Sent.IsZero() {
		return l.Received.Unix()
	}
	return d.Sent.Unix()
}

func sortText(f imap.SortField, d *digest.Digest) string {
	text := ""
	switch f {
	case imap.SortSubject:
		text = d.Subject
	case imap.SortFrom:
		text = d.From
	case imap.SortTo:
		text = d.To
	case imap.SortCc:
		text = d.Cc
	case imap.SortDisplayFrom:
		text = d.FromName
	case imap.SortDisplayTo:
		text = d.ToName
	}
	folded := collate.Fold(text[:min(len(text), maxSortText)])
	return string([]byte(folded[:min(len(folded), maxSortText)]))
}
