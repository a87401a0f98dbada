package imapd

import (
	"context"
	"fmt"
	"slices"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// searches is what a session keeps of its searches in the selected mailbox.
type searches struct {
	saved    imap.Ranges // UIDs of "$" (RFC 5182); letters that go leave it by themselves
	contexts []*standing
}

// standing is a search whose result the client wants to be kept up to date
// (RFC 5267 §4.3).
type standing struct {
	tag    string
	byUID  bool
	key    *imap.SearchKey
	by     []imap.SortKey // nil: in the order of the mailbox
	uids   []uint32       // the result
	next   uint32         // letters below were asked
	modSeq uint64         // changes up to here were looked at
}

const (
	maxContexts = 16
	// maxStanding is the largest result that is kept up to date, in letters; one
	// that is sorted is sorted again with each letter that comes.
	maxStanding, maxStandingSorted = 200_000, 10_000
)

// update begins to keep a result up to date if the client asked for it.
func (s *session) update(c imap.Command, a imap.Search, by []imap.SortKey, f *found) {
	if !a.Return.Update {
		return
	}
	s.drop([]string{c.Tag})
	if len(s.contexts) >= maxContexts || len(f.seqs) > maxStanding || by != nil && len(f.seqs) > maxStandingSorted {
		s.enc.Raw("* NO [NOUPDATE ")
		s.enc.String(c.Tag)
		s.enc.Raw("] Too many contexts, or too many messages\r\n")
		return
	}
	x := &standing{tag: c.Tag, byUID: byUID(c.Name), key: f.key, by: by, next: lastUID(s.view) + 1, modSeq: s.view.HighestModSeq()}
	for _, seq := range f.seqs {
		x.uids = append(x.uids, s.view.Letter(seq).UID)
	}
	s.contexts = append(s.contexts, x)
}

// drop forgets contexts; it gives how many there were.
func (s *session) drop(tags []string) int {
	n := len(s.contexts)
	s.contexts = slices.DeleteFunc(s.contexts, func(x *standing) bool { return slices.Contains(tags, x.tag) })
	return n - len(s.contexts)
}

// cancelUpdate is CANCELUPDATE (RFC 5267 §4.3.5). Tags that mean nothing are passed
// over: the server may have dropped the context itself.
func (s *session) cancelUpdate(_ context.Context, c imap.Command) (string, error) {
	s.drop(c.Args.(imap.CancelUpdate))
	return "CANCELUPDATE completed", nil
}

// leaveContexts takes out of results what is expunged. It is told before EXPUNGE is,
// in the numbers that the client knows.
func (s *session) leaveContexts(changes []mailbox.Change) {
	if len(s.contexts) == 0 {
		return
	}
	gone := map[uint32]uint32{} // UID → number before
	for _, c := range changes {
		if c.Kind == mailbox.Expunged {
			gone[c.UID] = c.Seq + uint32(len(gone))
		}
	}
	if len(gone) == 0 {
		return
	}
	for _, x := range s.contexts {
		s.remove(x, func(uid uint32) bool { return gone[uid] > 0 }, func(uid uint32) uint32 { return gone[uid] })
	}
}

// remove takes letters out of a result and tells it: from the end on, so that each
// position is right when it is read.
func (s *session) remove(x *standing, out func(uid uint32) bool, seq func(uid uint32) uint32) {
	var removed []string
	for i := len(x.uids) - 1; i >= 0; i-- {
		uid := x.uids[i]
		if out(uid) {
			removed = append(removed, fmt.Sprintf("%d %d", x.position(i), x.number(uid, seq)))
			x.uids[i] = 0
		}
	}
	x.uids = slices.DeleteFunc(x.uids, func(uid uint32) bool { return uid == 0 })
	s.sayUpdate(x, "REMOVEFROM", removed)
}

// position is where in the result a letter stands, from 1 on: 0 where the order is
// that of the mailbox, which the client knows (RFC 5267 §4.3.2).
func (x *standing) position(i int) int {
	if x.by == nil {
		return 0
	}
	return i + 1
}

func (x *standing) number(uid uint32, seq func(uint32) uint32) uint32 {
	if x.byUID {
		return uid
	}
	return seq(uid)
}

func (s *session) sayUpdate(x *standing, what string, items []string) {
	if len(items) == 0 {
		return
	}
	s.enc.Raw("* ESEARCH (TAG ")
	s.enc.String(x.tag)
	s.enc.Raw(")")
	if x.byUID {
		s.enc.Raw(" UID")
	}
	for _, item := range items {
		s.enc.Raw(" " + what + " (" + item + ")")
	}
	s.enc.Raw("\r\n")
}

// refreshContexts asks letters that are new or changed, and tells what became of the
// results.
func (s *session) refreshContexts(ctx context.Context) error {
	for _, x := range s.contexts {
		if x.modSeq >= s.view.HighestModSeq() && x.next > lastUID(s.view) {
			continue
		}
		if err := s.refresh(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) refresh(ctx context.Context, x *standing) error {
	changed := s.changedSince(x)
	x.next, x.modSeq = lastUID(s.view)+1, s.view.HighestModSeq()
	q := s.query(x.tag, s.view, x.key)
	return s.inTurn(ctx, q, func() error {
		met, err := q.among(ctx, q.within().Intersect(imap.Runs(changed)))
		if err != nil {
			return err
		}
		return s.tellContext(ctx, q, x, changed, met)
	})
}

// tellContext tells what became of letters that have changed, of which some meet the
// key of a context.
func (s *session) tellContext(ctx context.Context, q *query, x *standing, changed, met []uint32) error {
	in := make(map[uint32]bool, len(x.uids))
	for _, uid := range x.uids {
		in[uid] = true
	}
	var come []uint32
	left := map[uint32]bool{}
	for _, seq := range changed {
		uid := s.view.Letter(seq).UID
		switch _, meets := slices.BinarySearch(met, seq); {
		case meets && !in[uid]:
			come = append(come, uid)
		case !meets && in[uid]:
			left[uid] = true
		}
	}
	s.remove(x, func(uid uint32) bool { return left[uid] }, s.view.Seq)
	return s.add(ctx, q, x, come)
}

// changedSince is the letters that a context has not seen as they are.
func (s *session) changedSince(x *standing) (seqs []uint32) {
	for seq, l := range s.view.Letters(imap.Ranges{{From: 1, To: s.view.Len()}}) {
		if l.UID >= x.next || l.ModSeq > x.modSeq {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// add brings letters into a result and tells where.
func (s *session) add(ctx context.Context, q *query, x *standing, come []uint32) error {
	if len(come) == 0 {
		return nil
	}
	x.uids = append(x.uids, come...)
	if x.by != nil {
		seqs := make([]uint32, 0, len(x.uids))
		for _, uid := range x.uids {
			if seq := s.view.Seq(uid); seq > 0 {
				seqs = append(seqs, seq)
			}
		}
		seqs, err := q.order(ctx, seqs, x.by)
		if err != nil {
			return err
		}
		x.uids = x.uids[:0]
		for _, seq := range seqs {
			x.uids = append(x.uids, s.view.Letter(seq).UID)
		}
	}
	isNew := make(map[uint32]bool, len(come))
	for _, uid := range come {
		isNew[uid] = true
	}
	var items []string
	for i, uid := range x.uids {
		if isNew[uid] {
			items = append(items, fmt.Sprintf("%d %d", x.position(i), x.number(uid, s.view.Seq)))
		}
	}
	s.sayUpdate(x, "ADDTO", items)
	return nil
}
