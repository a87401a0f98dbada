package imapd

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"facteur/internal/mail/imap"
)

// changed narrows a FETCH to the messages that changed since, of which it tells
// the MODSEQ then, and tells before that which are gone (RFC 7162 §3.1.4.1 and
// §3.2.6).
func (s *session) changed(ctx context.Context, c imap.Command, a *imap.Fetch, seqs imap.Ranges) (imap.Ranges, error) {
	asked := slices.ContainsFunc(a.Items, func(it imap.FetchItem) bool { return it.Kind == imap.FetchModSeq })
	if asked || a.Given {
		s.switchOn(CONDSTORE)
	}
	if !a.Given {
		return seqs, nil
	}
	if !asked {
		a.Items = append(slices.Clip(a.Items), imap.FetchItem{Kind: imap.FetchModSeq, Name: "MODSEQ"})
	}
	if a.Vanished {
		if err := s.vanishedOf(ctx, c, *a); err != nil {
			return nil, err
		}
	}
	return s.newer(seqs, a.Since), nil
}

// vanishedOf answers the VANISHED modifier of UID FETCH.
func (s *session) vanishedOf(ctx context.Context, c imap.Command, a imap.Fetch) error {
	if !s.enabled(QRESYNC) || !byUID(c.Name) {
		return &imap.SyntaxError{Text: "VANISHED is for UID FETCH, after ENABLE QRESYNC"}
	}
	known := s.saved
	if !a.Set.Saved() {
		known = a.Set.Resolve(s.view.UIDNext() - 1).Intersect(s.given()) // the last ones may be those that went
	}
	return s.sayEarlier(ctx, a.Since, known, 0)
}

// sayEarlier tells which of the known UIDs went since; of those up to agreed, only
// what is certain.
func (s *session) sayEarlier(ctx context.Context, since uint64, known imap.Ranges, agreed uint32) error {
	if len(known) == 0 {
		return nil
	}
	gone, err := s.view.Vanished(ctx, since, known, agreed)
	if err == nil {
		s.sayVanished("VANISHED (EARLIER) ", gone)
	}
	return err
}

// newer is those of the messages whose MODSEQ is above since.
func (s *session) newer(seqs imap.Ranges, since uint64) imap.Ranges {
	var out imap.Ranges
	for seq, l := range s.view.Letters(seqs) {
		switch n := len(out); {
		case l.ModSeq <= since:
		case n > 0 && out[n-1].To+1 == seq:
			out[n-1].To = seq
		default:
			out = append(out, imap.Range{From: seq, To: seq})
		}
	}
	return out
}

// sayVanished tells UIDs of messages that are gone, in responses of a bounded
// length (ATTACKS IMAP-023).
func (s *session) sayVanished(kind string, gone imap.Ranges) {
	const most = 500 // ranges in a line: at most some 11 KB
	for part := range slices.Chunk(gone, most) {
		s.untagged(kind + part.String())
	}
}

// resync tells a client that knows an older state of the mailbox what it missed
// (RFC 7162 §3.2.5). If it remembers another UIDVALIDITY it knows nothing.
func (s *session) resync(ctx context.Context, r *imap.Resync) error {
	if r == nil || r.UIDValidity != s.view.UIDValidity() {
		return nil
	}
	known := s.given()
	if r.Known != nil {
		known = known.Intersect(r.Known.Resolve(0))
	}
	if len(known) == 0 {
		return nil
	}
	if err := s.sayEarlier(ctx, r.ModSeq, known, s.agreedUpTo(r)); err != nil {
		return err
	}
	for seq, l := range s.view.Letters(seqsOf(s.view, known)) {
		if l.ModSeq > r.ModSeq {
			s.sayFlags(seq, l)
		}
	}
	return nil
}

// given is the UIDs that this mailbox has given away so far.
func (s *session) given() imap.Ranges {
	if s.view.UIDNext() <= 1 {
		return nil
	}
	return imap.Ranges{{From: 1, To: s.view.UIDNext() - 1}}
}

// agreedUpTo is the highest UID of the client's match data that still has the
// message number that it had: nothing below it is gone, so nothing below it need
// be told (RFC 7162 §3.2.5.2). Once a number is wrong, all above it are, which
// makes this a binary search; the pairs are never written out.
func (s *session) agreedUpTo(r *imap.Resync) uint32 {
	n := int(min(r.Seqs.Count(), uint64(s.view.Len())))
	agreed := sort.Search(n, func(i int) bool {
		seq, uid := r.Seqs.At(uint64(i)), r.UIDs.At(uint64(i))
		return seq > s.view.Len() || s.view.Letter(seq).UID != uid
	})
	if agreed == 0 {
		return 0
	}
	return r.UIDs.At(uint64(agreed - 1))
}

// highestModSeq is the response code for the state that was told last, with a
// blank behind it.
func (s *session) highestModSeq() string {
	return fmt.Sprintf("[HIGHESTMODSEQ %d] ", s.view.HighestModSeq())
}

func (s *session) sayHighestModSeq() {
	s.untagged("OK " + s.highestModSeq() + "Highest")
}
