package imapd

import (
	"context"

	"facteur/internal/mail/imap"
	"facteur/internal/store/fulltext"
	"facteur/internal/store/mailbox"
)

// fewLetters is how many are read without asking the index: that is as fast.
const fewLetters = 32

// possible leaves out letters that can't be hits, by what fulltext knows of them.
func (q *query) possible(ctx context.Context, seqs []uint32) []uint32 {
	if !q.index || len(seqs) < q.few {
		return seqs
	}
	q.rows, q.out = map[*imap.SearchKey][]uint16{}, map[*imap.SearchKey]bool{}
	if q.gatherRows(q.key); len(q.rows) == 0 {
		return seqs
	}
	if !q.view.Texts().Exists() {
		q.unknown = len(seqs)
		return seqs
	}
	r := q.view.Texts().Reader(ctx, q.view.UIDValidity())
	defer r.Close()
	left := seqs[:0]
	for _, seq := range seqs {
		if q.mayMeet(r, seq) {
			left = append(left, seq)
		}
	}
	clear(q.out)
	return left
}

// gatherRows notes what the texts that are long enough ask for. What is like a fuzzy
// one is not in the index.
func (q *query) gatherRows(k *imap.SearchKey) {
	if p := q.texts[k]; p != nil && !p.fuzzy() {
		if rows := fulltext.Rows(p.Folded()); rows != nil {
			q.rows[k] = rows
		}
	}
	for i := range k.Keys {
		q.gatherRows(&k.Keys[i])
	}
}

func (q *query) mayMeet(r *fulltext.Reader, seq uint32) bool {
	c := candidate{q: q, seq: seq, Letter: q.view.Letter(seq)}
	page, l := r.Page(c.UID), indexed(c.Letter)
	if !page.Has(l) {
		q.unknown++
		return true
	}
	for k, rows := range q.rows {
		q.out[k] = !page.May(l, rows)
	}
	return c.meets(q.key) != no
}

// indexed is what fulltext knows a letter by.
func indexed(l mailbox.Letter) fulltext.Letter {
	return fulltext.Letter{UID: l.UID, Size: l.Size, Received: l.Received.Unix()}
}
