package imapd

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/store/digest"
	"facteur/internal/store/mailbox"
)

// query is a search of one mailbox. It asks all letters for what is cheap to know
// first: flags, dates and sizes, which are in memory; then those that this does not
// decide, for what their digests say; and opens the few that are left.
type query struct {
	view  *mailbox.View
	key   *imap.SearchKey
	now   time.Time
	saved imap.Ranges                     // UIDs of "$"
	sets  map[*imap.SearchKey]imap.Ranges // resolved
	texts map[*imap.SearchKey]*phrase     // what is looked for
	want  digest.Want                     // what of digests can decide something
	// pause is called between letters.
	pause  func(ctx context.Context, q *query, done, all int) error
	turn   turn
	terms  int              // keys
	scores map[uint32]uint8 // relevancy by message number, of fuzzy keys
	// What fulltext can rule out, if it is to be asked: rows of texts, those of the
	// letter at hand that are out of the question, and how many letters it did not know.
	index   bool
	few     int // letters that are not worth the question
	rows    map[*imap.SearchKey][]uint16
	out     map[*imap.SearchKey]bool
	unknown int
	opened
}

// answer is what is known of whether a letter meets a key.
type answer int8

// In this order: of keys that must all be met the least counts, of others the most.
const (
	no answer = iota
	maybe
	yes
)

func answerIf(b bool) answer {
	if b {
		return yes
	}
	return no
}

// newQuery resolves the key for a mailbox.
func newQuery(v *mailbox.View, key *imap.SearchKey, saved imap.Ranges) *query {
	q := &query{view: v, key: key, now: time.Now(), saved: saved,
		sets: map[*imap.SearchKey]imap.Ranges{}, texts: map[*imap.SearchKey]*phrase{}, few: fewLetters,
		pause: func(ctx context.Context, _ *query, _, _ int) error { return ctx.Err() }}
	q.prepare(key)
	return q
}

// prepare resolves sets and texts, and puts keys in the order of what they cost. The
// recursion is as deep as the Decoder let the key be.
func (q *query) prepare(k *imap.SearchKey) {
	if k.Op == imap.SearchAnd || k.Op == imap.SearchOr {
		slices.SortStableFunc(k.Keys, func(a, b imap.SearchKey) int { return cost(a) - cost(b) })
	}
	q.terms++
	for i := range k.Keys {
		q.prepare(&k.Keys[i])
	}
	switch k.Op {
	case imap.SearchSeq:
		q.sets[k] = q.numbers(k.Set)
	case imap.SearchUID:
		q.sets[k] = q.uids(k.Set)
	case imap.SearchHeader, imap.SearchBody, imap.SearchText:
		q.texts[k] = newPhrase(k)
	}
	q.want |= wants(k)
}

// numbers resolves a set of message numbers.
func (q *query) numbers(set imap.SequenceSet) imap.Ranges {
	if !set.Saved() {
		return set.Resolve(q.view.Len())
	}
	return seqsOf(q.view, q.saved)
}

func (q *query) uids(set imap.SequenceSet) imap.Ranges {
	if set.Saved() {
		return q.saved
	}
	return set.Resolve(lastUID(q.view))
}

// What a key costs.
const (
	costMemory = iota
	costKeys   // of the digest
	costLines  // of the digest
	costFile   // the header has to be read
	costBody
)

// cost is that of the dearest thing that a key asks for.
func cost(k imap.SearchKey) int {
	switch k.Op {
	case imap.SearchSentBefore, imap.SearchSentOn, imap.SearchSentSince, imap.SearchEmailID, imap.SearchThreadID:
		return costKeys
	case imap.SearchHeader:
		if digest.Common(k.Field) {
			return costLines
		}
		return costFile
	case imap.SearchBody, imap.SearchText:
		return costBody
	}
	most := costMemory
	for _, kid := range k.Keys {
		most = max(most, cost(kid))
	}
	return most
}

// wants is what of a digest may decide a key.
func wants(k *imap.SearchKey) digest.Want {
	switch cost(*k) {
	case costKeys:
		return digest.IDs
	case costLines:
		return digest.Lines
	case costBody:
		return digest.Body
	}
	return 0
}

// all is the whole search.
func (q *query) all(ctx context.Context) ([]uint32, error) {
	return q.among(ctx, q.within())
}

// among is the search of some messages, by number.
func (q *query) among(ctx context.Context, seqs imap.Ranges) ([]uint32, error) {
	hits, open, err := q.remembered(ctx, seqs)
	if err != nil {
		return nil, err
	}
	return q.run(ctx, hits, open)
}

// shortWork is how many keys of letters are looked at in some milliseconds, in memory.
const shortWork = 1 << 20

// isShort: nothing has to be read, and there is little to look at.
func (q *query) isShort() bool {
	return cost(*q.key) == costMemory && q.terms*int(q.view.Len()) <= shortWork
}

// run decides about letters that are still open, and gives the message numbers of
// all hits, ascending.
func (q *query) run(ctx context.Context, hits, open []uint32) ([]uint32, error) {
	more, open, err := q.digested(ctx, open)
	if err != nil {
		return nil, err
	}
	last, err := q.read(ctx, q.possible(ctx, open))
	if err != nil {
		return nil, err
	}
	hits = append(append(hits, more...), last...)
	slices.Sort(hits)
	return hits, nil
}

// remembered asks letters for what is in memory: those that meet the key, and those
// of which that is still open.
func (q *query) remembered(ctx context.Context, seqs imap.Ranges) (hits, open []uint32, err error) {
	c := candidate{q: q}
	work := 0
	for c.seq, c.Letter = range q.view.Letters(seqs) {
		if work += q.terms; work > shortWork {
			if work, err = 0, q.pause(ctx, q, int(c.seq), int(q.view.Len())); err != nil {
				return nil, nil, err
			}
		}
		switch c.meets(q.key) {
		case yes:
			hits = append(hits, c.seq)
		case maybe:
			open = append(open, c.seq)
		}
	}
	return hits, open, nil
}

// within is the message numbers that can be hits: all, unless the key names some.
func (q *query) within() imap.Ranges {
	out := imap.SequenceSet{{From: 1, To: q.view.Len()}}.Resolve(q.view.Len())
	if q.key.Op == imap.SearchSeq {
		return out.Intersect(q.sets[q.key])
	}
	for i := range q.key.Keys {
		if k := &q.key.Keys[i]; q.key.Op == imap.SearchAnd && k.Op == imap.SearchSeq {
			out = out.Intersect(q.sets[k])
		}
	}
	return out
}

// digested asks the digests of letters.
func (q *query) digested(ctx context.Context, seqs []uint32) (hits, open []uint32, err error) {
	want := q.want &^ digest.Body
	if want == 0 {
		return nil, seqs, nil
	}
	done := 0
	for seq, d := range q.digests(ctx, seqs, want, &err) {
		c := candidate{q: q, seq: seq, Letter: q.view.Letter(seq), digest: d}
		switch c.meets(q.key) {
		case yes:
			hits = append(hits, seq)
		case maybe:
			open = append(open, seq)
		}
		if done++; done%256 == 0 {
			if err := q.pause(ctx, q, done, len(seqs)); err != nil {
				return nil, nil, err
			}
		}
	}
	return hits, open, err
}

// digests gives messages and their digests, but for those that are gone.
func (q *query) digests(ctx context.Context, seqs []uint32, want digest.Want, failed *error) iter.Seq2[uint32, *digest.Digest] {
	return func(yield func(uint32, *digest.Digest) bool) {
		uids := q.uidsOf(seqs)
		i := 0
		for d, err := range q.view.Digests(ctx, uids, want) {
			if err != nil {
				*failed = err
				return
			}
			for uids[i] != d.UID {
				i++ // gone meanwhile
			}
			if !yield(seqs[i], d) {
				return
			}
		}
	}
}

// read opens letters. One that is gone meanwhile is no hit.
func (q *query) read(ctx context.Context, seqs []uint32) (hits []uint32, err error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	uids := q.uidsOf(seqs)
	digests := q.pull(ctx, uids)
	defer digests.stop()
	i := 0
	for content, err := range q.view.Contents(ctx, uids, q.most()) {
		if err != nil {
			return nil, err
		}
		if err := q.pause(ctx, q, i, len(seqs)); err != nil {
			return nil, err
		}
		for uids[i] != content.UID {
			i++ // gone meanwhile
		}
		met, err := q.readOne(ctx, seqs[i], content, digests, func() error { return q.pause(ctx, q, i, len(seqs)) })
		if err != nil && !errors.Is(err, mailbox.ErrGone) {
			return nil, err
		}
		if err == nil && met {
			hits = append(hits, seqs[i])
		}
	}
	return hits, nil
}

func (q *query) uidsOf(seqs []uint32) []uint32 {
	uids := make([]uint32, len(seqs))
	for i, seq := range seqs {
		uids[i] = q.view.Letter(seq).UID
	}
	return uids
}

// most is how much of a letter is read at once, in octets: of a larger one, which
// most likely has attachments, only what is text is read.
func (q *query) most() int {
	if q.want&digest.Body == 0 {
		return 8 << 10 // a header
	}
	return 256 << 10
}

func (q *query) readOne(ctx context.Context, seq uint32, content mailbox.Content, digests *puller, rest func() error) (bool, error) {
	c := candidate{q: q, seq: seq, Letter: q.view.Letter(seq), file: &q.opened}
	var err error
	if c.digest, err = digests.of(content.UID); err != nil {
		return false, err
	}
	if err := q.open(ctx, q.view, content, c.digest); err != nil {
		return false, err
	}
	defer q.shut()
	q.rest = rest
	met := c.meets(q.key)
	return met == yes, q.err
}

// puller gives digests one after the other, beside the letters.
type puller struct {
	next  func() (*digest.Digest, error, bool)
	stop  func()
	ahead *digest.Digest // of a later letter than was asked for
}

// pull begins with the digests of letters, if anything of them is wanted.
func (q *query) pull(ctx context.Context, uids []uint32) *puller {
	if q.want == 0 {
		return &puller{stop: func() {}}
	}
	var p puller
	p.next, p.stop = iter.Pull2(q.view.Digests(ctx, uids, q.want))
	return &p
}

// of is the digest of the letter; those before it are passed over. nil if none is
// wanted, ErrGone if there is none.
func (p *puller) of(uid uint32) (*digest.Digest, error) {
	if p.next == nil {
		return nil, nil
	}
	for {
		d := p.ahead
		if d == nil {
			var err error
			var more bool
			if d, err, more = p.next(); err != nil || !more {
				return nil, cmp.Or(err, mailbox.ErrGone)
			}
		}
		if p.ahead = nil; d.UID == uid {
			return d, nil
		}
		if d.UID > uid {
			p.ahead = d
			return nil, mailbox.ErrGone
		}
	}
}
