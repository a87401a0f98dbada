package imapd

import (
	"sort"
	"strings"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// letters is the message numbers that a set names, of messages that this
// session knows. A UID that is not there is passed over in silence; a message
// number that is not there is an error (RFC 9051 §6.4.9).
func (s *session) letters(command string, set imap.SequenceSet) (imap.Ranges, error) {
	n := s.view.Len()
	if byUID(command) || set.Saved() {
		return s.uidsToSeqs(set), nil
	}
	seqs := set.Resolve(n)
	if seqs.Max() > n {
		return nil, &imap.SyntaxError{Text: "No such message number"}
	}
	return seqs, nil
}

func byUID(command string) bool { return strings.HasPrefix(command, "UID ") }

// uidsToSeqs finds the messages of a set of UIDs.
func (s *session) uidsToSeqs(set imap.SequenceSet) imap.Ranges {
	if set.Saved() {
		return seqsOf(s.view, s.saved)
	}
	return seqsOf(s.view, set.Resolve(s.lastUID()))
}

// seqsOf is the message numbers of UIDs: two searches for each range, however wide
// it is.
func seqsOf(v *mailbox.View, uids imap.Ranges) imap.Ranges {
	var out imap.Ranges
	for _, r := range uids {
		from, to := lowerBound(v, r.From), lowerBound(v, r.To)
		if to > v.Len() || v.Letter(to).UID > r.To {
			to--
		}
		if from > to {
			continue
		}
		if n := len(out); n > 0 && out[n-1].To+1 == from {
			out[n-1].To = to
			continue
		}
		out = append(out, imap.Range{From: from, To: to})
	}
	return out
}

// lowerBound is the first message with a UID of at least uid, Len+1 if none.
func lowerBound(v *mailbox.View, uid uint32) uint32 {
	return 1 + uint32(sort.Search(int(v.Len()), func(i int) bool { return v.Letter(uint32(i)+1).UID >= uid }))
}

func (s *session) lastUID() uint32 { return lastUID(s.view) }

func lastUID(v *mailbox.View) uint32 {
	if n := v.Len(); n > 0 {
		return v.Letter(n).UID
	}
	return 0
}

// uids of the messages of a set of message numbers; never nil.
func (s *session) uids(seqs imap.Ranges) []uint32 {
	out := make([]uint32, 0, seqs.Count())
	for seq := range each(seqs) {
		out = append(out, s.view.Letter(seq).UID)
	}
	return out
}

// each gives the numbers of a set in order.
func each(rs imap.Ranges) func(yield func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for _, r := range rs {
			for n := uint64(r.From); n <= uint64(r.To); n++ {
				if !yield(uint32(n)) {
					return
				}
			}
		}
	}
}
