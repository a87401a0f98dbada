package imapd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// search is SEARCH and UID SEARCH. Only keys that ask for text open a message,
// and only if the others are met.
func (s *session) search(ctx context.Context, c imap.Command) (string, error) {
	a := c.Args.(imap.Search)
	if err := checkCharset(a); err != nil {
		return "", err
	}
	q := &query{s: s, ctx: ctx, now: time.Now(), sets: map[*imap.SearchKey]imap.Ranges{}}
	q.prepare(&a.Key)
	var hits imap.Ranges
	for seq := uint32(1); seq <= s.view.Len(); seq++ {
		yes, err := q.test(seq, &a.Key)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", err
		}
		if yes {
			hits = addHit(hits, s.number(c.Name, seq))
		}
	}
	s.sayHits(c, a, hits)
	return "SEARCH completed", nil
}

func (s *session) number(command string, seq uint32) uint32 {
	if byUID(command) {
		return s.view.Letter(seq).UID
	}
	return seq
}

// addHit appends a number above all others.
func addHit(hits imap.Ranges, n uint32) imap.Ranges {
	if k := len(hits); k > 0 && hits[k-1].To+1 == n {
		hits[k-1].To = n
		return hits
	}
	return append(hits, imap.Range{From: n, To: n})
}

func checkCharset(a imap.Search) error {
	switch a.Charset {
	case "", "UTF-8", "UTF8", "US-ASCII":
	default:
		return refusal("[BADCHARSET (US-ASCII UTF-8)] Unknown charset")
	}
	if !validText(&a.Key) {
		return &imap.SyntaxError{Text: "Search text is not UTF-8"}
	}
	return nil
}

func validText(k *imap.SearchKey) bool {
	for i := range k.Keys {
		if !validText(&k.Keys[i]) {
			return false
		}
	}
	return utf8.ValidString(k.Text)
}

// sayHits writes SEARCH or ESEARCH (RFC 4731 §3.1).
func (s *session) sayHits(c imap.Command, a imap.Search, hits imap.Ranges) {
	if !a.Extended {
		s.enc.Raw("* SEARCH")
		for n := range each(hits) {
			s.enc.Raw(" ")
			s.enc.Number(int64(n))
		}
		s.enc.Raw("\r\n")
		return
	}
	s.enc.Raw("* ESEARCH (TAG ")
	s.enc.String(c.Tag)
	s.enc.Raw(")")
	if byUID(c.Name) {
		s.enc.Raw(" UID")
	}
	s.sayResults(a.Return, hits)
	s.enc.Raw("\r\n")
}

func (s *session) sayResults(options []string, hits imap.Ranges) {
	asked := func(o string) bool { return slices.Contains(options, o) }
	if len(hits) > 0 {
		if asked("MIN") {
			s.enc.Raw(fmt.Sprintf(" MIN %d", hits[0].From))
		}
		if asked("MAX") {
			s.enc.Raw(fmt.Sprintf(" MAX %d", hits.Max()))
		}
		if asked("ALL") || len(options) == 0 {
			s.enc.Raw(" ALL " + hits.String())
		}
	}
	if asked("COUNT") {
		s.enc.Raw(fmt.Sprintf(" COUNT %d", hits.Count()))
	}
}

// query is a search under way.
type query struct {
	s    *session
	ctx  context.Context
	now  time.Time
	sets map[*imap.SearchKey]imap.Ranges // resolved
}

// prepare resolves sets, and puts the keys of an AND in the order of what they
// cost.
func (q *query) prepare(k *imap.SearchKey) {
	if k.Op == imap.SearchAnd {
		slices.SortStableFunc(k.Keys, func(a, b imap.SearchKey) int { return cost(a) - cost(b) })
	}
	switch k.Op {
	case imap.SearchSeq:
		q.sets[k] = k.Set.Resolve(q.s.view.Len())
	case imap.SearchUID:
		q.sets[k] = k.Set.Resolve(q.s.lastUID())
	}
	for i := range k.Keys {
		q.prepare(&k.Keys[i])
	}
}

// cost is 0 for what the index knows, 1 for what the structure cache may know,
// 2 for a header, 3 for a body.
func cost(k imap.SearchKey) int {
	switch k.Op {
	case imap.SearchSentBefore, imap.SearchSentOn, imap.SearchSentSince:
		return 1
	case imap.SearchHeader:
		return 2
	case imap.SearchBody, imap.SearchText:
		return 3
	}
	most := 0
	for _, kid := range k.Keys {
		most = max(most, cost(kid))
	}
	return most
}

// test asks one message. One that is gone meanwhile is no hit.
func (q *query) test(seq uint32, k *imap.SearchKey) (bool, error) {
	c := &candidate{q: q, seq: seq, letter: letter{Letter: q.s.view.Letter(seq)}}
	defer c.close()
	yes, err := c.meets(k)
	if errors.Is(err, mailbox.ErrGone) {
		return false, nil
	}
	return yes, err
}
