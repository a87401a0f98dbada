package namespace

import (
	"context"
	"slices"
	"strings"

	"facteur/internal/store/mailbox"
)

// Judgement is what a user says of letters of his own by what he does with them: he moves
// them to the junk mailbox or out of it, or sets a keyword.
type Judgement struct {
	// User is the address of the account, Mailbox where the letters are now, by its name
	// within the account, UIDs which they are.
	User, Mailbox string
	UIDs          []uint32
	Spam          bool
	By            By
	// Correcting: it only says that it is no spam if somebody, or the filter, said that it
	// is. Some mail programs mark whatever they think is good; and who stores letters brings
	// others than those that he takes out of the junk mailbox.
	Correcting bool
}

// By is what the user did.
type By uint8

// The acts.
const (
	ByMoving By = iota
	ByStoring
	ByKeyword
)

// OnJudgement says who hears of judgements. fn must not wait: the user does meanwhile. It
// is to be called before anybody opens a Space.
func (h *House) OnJudgement(fn func(Judgement)) { h.judged = fn }

// junk and trash are the special uses that say something of a letter; what is in the
// other two the user wrote himself.
const (
	junkUse   = `\Junk`
	trashUse  = `\Trash`
	sentUse   = `\Sent`
	draftsUse = `\Drafts`
)

// use is the special uses of a mailbox of the user's own; listening says whether anybody
// wants to know.
func (s *Space) use(ctx context.Context, p *Place) (uses []string, listening bool) {
	if s.house == nil || s.house.judged == nil || p == nil || !p.Own() {
		return nil, false
	}
	text, err := p.Account.Use(ctx, p.Name)
	return strings.Fields(text), err == nil
}

// transferred tells what a copy or a move says of letters.
func (s *Space) transferred(ctx context.Context, to *Place, pairs []mailbox.UIDPair) {
	target, listening := s.use(ctx, to)
	if !listening || len(pairs) == 0 {
		return
	}
	source, listening := s.use(ctx, s.selected)
	if !listening {
		return
	}
	into, outOf := slices.Contains(target, junkUse), slices.Contains(source, junkUse)
	own := slices.ContainsFunc(source, func(u string) bool { return u == sentUse || u == draftsUse })
	if into == outOf || into && own || outOf && slices.Contains(target, trashUse) {
		return
	}
	uids := make([]uint32, len(pairs))
	for i, p := range pairs {
		uids[i] = p.To
	}
	s.house.judged(Judgement{User: s.user, Mailbox: to.Name, UIDs: uids, Spam: into, By: ByMoving})
}

// Stored tells what it says of letters that a client stored them in a mailbox. Programs that
// keep a copy of the mailboxes at home (mbsync, OfflineIMAP) move letters in this way: they
// store them where they are now, and remove them where they were.
func (s *Space) Stored(ctx context.Context, to *Place, uids []uint32) {
	uses, listening := s.use(ctx, to)
	if !listening || slices.ContainsFunc(uses, func(u string) bool { return u == trashUse || u == sentUse || u == draftsUse }) {
		return
	}
	isJunk := slices.Contains(uses, junkUse)
	s.house.judged(Judgement{User: s.user, Mailbox: to.Name, UIDs: slices.Clone(uids), Spam: isJunk, By: ByStoring, Correcting: !isJunk})
}

// The keywords of RFC 9051 §2.3.2, and what mail programs wrote before. In lower case.
var (
	junkKeywords    = []string{"$junk", "junk"}
	notJunkKeywords = []string{"$notjunk", "notjunk", "nonjunk"}
)

// Marked tells what it says of letters of the selected mailbox that these keywords were
// set. That it is no spam means something in the junk mailbox; elsewhere it takes back what
// was said before.
func (s *Space) Marked(ctx context.Context, uids []uint32, keywords []string) {
	isJunk, isGood := hasAny(keywords, junkKeywords), hasAny(keywords, notJunkKeywords)
	if isJunk == isGood || len(uids) == 0 {
		return
	}
	uses, listening := s.use(ctx, s.selected)
	if !listening {
		return
	}
	s.house.judged(Judgement{User: s.user, Mailbox: s.selected.Name, UIDs: slices.Clone(uids), Spam: isJunk, By: ByKeyword,
		Correcting: isGood && !slices.Contains(uses, junkUse)})
}

func hasAny(list, wanted []string) bool {
	return slices.ContainsFunc(list, func(k string) bool { return slices.Contains(wanted, strings.ToLower(k)) })
}
