package imapd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"facteur/internal/mail/imap"
	"facteur/internal/store/mailbox"
)

// found is what a search gave.
type found struct {
	view    *mailbox.View
	key     *imap.SearchKey
	seqs    []uint32 // message numbers, in the order of the answer
	byUID   bool     // the answer names UIDs
	modSeqs bool     // the answer tells the highest MODSEQ
	scores  map[uint32]uint8
}

func (f *found) number(seq uint32) uint32 {
	if f.byUID {
		return f.view.Letter(seq).UID
	}
	return seq
}

// set writes messages as a sequence set in their order.
func (f *found) set(seqs []uint32) string {
	numbers := make([]uint32, len(seqs))
	for i, seq := range seqs {
		numbers[i] = f.number(seq)
	}
	return imap.Runs(numbers).String()
}

// uidRanges is the UIDs of messages.
func uidRanges(v *mailbox.View, seqs []uint32) imap.Ranges {
	uids := make([]uint32, len(seqs))
	for i, seq := range seqs {
		uids[i] = v.Letter(seq).UID
	}
	slices.Sort(uids)
	return slices.Clip(imap.Runs(uids))
}

// modSeq is the highest one of messages.
func (f *found) modSeq(seqs []uint32) (highest uint64) {
	for _, seq := range seqs {
		highest = max(highest, f.view.Letter(seq).ModSeq)
	}
	return highest
}

// page is what PARTIAL asks for.
func (f *found) page(p *imap.Page) []uint32 {
	from, to := p.Cut(len(f.seqs))
	return f.seqs[from:to]
}

// told is the messages that MIN, MAX and PARTIAL name.
func (f *found) told(r imap.SearchReturn) (seqs []uint32) {
	if r.Page != nil {
		seqs = slices.Clone(f.page(r.Page))
	}
	if n := len(f.seqs); n > 0 && r.Min {
		seqs = append(seqs, f.seqs[0])
	}
	if n := len(f.seqs); n > 0 && r.Max {
		seqs = append(seqs, f.seqs[n-1])
	}
	slices.Sort(seqs)
	return slices.Compact(seqs)
}

// sayExtended writes ESEARCH (RFC 4731 §3.1, RFC 5267 §3, RFC 9394 §3.1).
func (s *session) sayExtended(c imap.Command, r imap.SearchReturn, f *found) {
	if r == (imap.SearchReturn{Save: true}) {
		return // nothing was to be told (RFC 5182 §2.1)
	}
	s.enc.Raw("* ESEARCH (TAG ")
	s.enc.String(c.Tag)
	s.enc.Raw(")")
	if f.byUID {
		s.enc.Raw(" UID")
	}
	s.sayResults(r, f)
	s.enc.Raw("\r\n")
}

func (s *session) sayResults(r imap.SearchReturn, f *found) {
	listed := r.All || !r.Min && !r.Max && !r.Count && !r.Save && r.Page == nil
	if n := len(f.seqs); n > 0 {
		if r.Min {
			s.enc.Raw(fmt.Sprintf(" MIN %d", f.number(f.seqs[0])))
		}
		if r.Max {
			s.enc.Raw(fmt.Sprintf(" MAX %d", f.number(f.seqs[n-1])))
		}
		if listed {
			s.enc.Raw(" ALL " + f.set(f.seqs))
		}
	}
	if r.Count {
		s.enc.Raw(" COUNT " + strconv.Itoa(len(f.seqs)))
	}
	if r.Page != nil {
		s.enc.Raw(" PARTIAL (" + r.Page.String() + " " + cmp.Or(f.set(f.page(r.Page)), "NIL") + ")")
	}
	s.sayModSeq(r, f)
	if r.Relevancy {
		s.sayScores(r, f)
	}
}

// sayModSeq tells the highest MODSEQ: of all that was found or, where only MIN, MAX
// or a page are told, of these (RFC 7162 §3.1.10).
func (s *session) sayModSeq(r imap.SearchReturn, f *found) {
	if !f.modSeqs || len(f.seqs) == 0 {
		return
	}
	of := f.seqs
	if !r.All && !r.Count && (r.Min || r.Max || r.Page != nil) {
		of = f.told(r)
	}
	if highest := f.modSeq(of); highest > 0 {
		s.enc.Raw(fmt.Sprintf(" MODSEQ %d", highest))
	}
}

// sayScores writes RELEVANCY (RFC 6203 §4), a score for each message of the list.
func (s *session) sayScores(r imap.SearchReturn, f *found) {
	of := f.seqs
	if r.Page != nil {
		of = f.page(r.Page)
	}
	if len(of) == 0 {
		return
	}
	b := []byte(" RELEVANCY (")
	for i, seq := range of {
		if i > 0 {
			b = append(b, ' ')
		}
		score := f.scores[seq]
		if score == 0 {
			score = exactScore // it was a hit without any fuzziness
		}
		b = strconv.AppendUint(b, uint64(score), 10)
	}
	s.enc.Raw(string(append(b, ')')))
}
