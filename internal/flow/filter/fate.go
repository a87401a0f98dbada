package filter

import (
	"cmp"
	"fmt"
	"slices"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/policy"
)

// Fate is what becomes of a letter for one recipient, and why.
type Fate struct {
	Disposition Disposition
	// Category is what it is for; "" where nothing stands against the letter.
	Category Category
	// Because says why, in a sentence; "" where there is nothing to say.
	Because string
	// Would is what would become of it by what is on trial, where that is not Disposition;
	// WouldBecause says why. "" where nothing else would.
	Would        Disposition
	WouldBecause string
	// Tally is what was added up for him, Wants what he wants.
	Tally Tally
	Wants *policy.Effective
	// Allowed: a list of his allows the sender, who has proven who he is. The letter is no
	// spam to him, whatever its score.
	Allowed bool
	// trial: the filter is, and the letter does not count as spam.
	trial bool
}

// listing is what a recipient's lists say of the senders of a letter.
type listing struct {
	policy.Listing
	// proven: whom they allow has proven who he is.
	proven bool
}

// Blocked is what becomes of the letters of senders on a block list.
type Blocked string

// The choices.
const (
	BlockedJunk   Blocked = "junk"
	BlockedKilled Blocked = "kill" // as letters above the level kill
)

// fate is what becomes of a letter for one recipient, and what would by what is on trial. It
// looks at nothing but its arguments.
func (r *Rules) fate(remarks []Remark, v Verdict, account string, wants *policy.Effective, usual float64, l listing) Fate {
	f := r.decide(remarks, v, account, wants, usual, l)
	if wants.Tried != nil {
		f.tries(r.decide(remarks, v, account, wants.Tried, usual, l), "By the policy on trial: ")
	}
	if r.Scale.All {
		f.suspend(v)
	}
	return f
}

// suspend has a fate only told: nothing becomes of the letter but what v says.
func (f *Fate) suspend(v Verdict) {
	tried := *f
	f.Disposition, f.Category, f.Because, f.trial = Accept, "", v.Because, true
	if v.Disposition == Junk {
		f.Disposition, f.Category, f.trial = Junk, Spam, false
	}
	f.Would, f.WouldBecause = "", ""
	f.tries(tried, "The filter is on trial: ")
}

// tries notes what would become of the letter.
func (f *Fate) tries(would Fate, by string) {
	if would.Disposition != f.Disposition {
		f.Would, f.WouldBecause = would.Disposition, by+cmp.Or(would.Because, "nothing speaks against it.")
	}
}

// decide is what becomes of a letter by some wishes: what the letter is, then who sent it,
// then how it adds up. Whom a list allows, and who is proven, is let through where DMARC asks
// for the junk folder: that speaks of another, the author in a letter of a mailing list, as
// an identity of which DMARC failed is never taken for proven. usual is the server's level of junk.
func (r *Rules) decide(remarks []Remark, v Verdict, account string, wants *policy.Effective, usual float64, l listing) Fate {
	f := Fate{Disposition: Accept, Wants: wants}
	remarks = append(slices.Clone(remarks), l.remarks()...)
	f.Tally = r.Scale.Weigh(remarks, account, wants, usual)
	if v.Disposition == Junk {
		f.Disposition, f.Category, f.Because = Junk, Spam, v.Because
	}
	if c, because := r.category(remarks, account, Virus, Banned); c != "" && f.destined(c, because) {
		return f
	}
	if f.Allowed = l.Kind == policy.Allow && l.proven; f.Allowed {
		f.admit(v, l)
		return f
	}
	switch {
	case l.Kind == policy.Block:
		f.blocked(r.Blocked, l)
	case f.Tally.Score >= wants.Kill:
		f.destined(Spam, fmt.Sprintf("Its score of %s reaches the level kill (%s).", number(f.Tally.Score), number(wants.Kill)))
	}
	if f.Disposition == Accept || f.Disposition == Junk {
		f.lesser(r, remarks, account)
	}
	return f
}

// admit lets a letter pass of which the sender is on an allow list, and proven.
func (f *Fate) admit(v Verdict, l listing) {
	word := fmt.Sprintf("%s is on the allow list of %s, and proved to be the sender.", shown(l.By.What()), whoseList(l.By.Match))
	switch {
	case f.Disposition == Accept:
		f.Because = word
	case v.Check == "dmarc":
		f.Disposition, f.Category, f.Because = Accept, "", v.Because+" "+word
	}
}

// lesser are the milder fates: Junk, and what is done with bad headers.
func (f *Fate) lesser(r *Rules, remarks []Remark, account string) {
	if c, because := r.category(remarks, account, BadHeader); c != "" && f.Wants.Destinies[c] != policy.Pass && f.destined(c, because) {
		return
	}
	if f.Tally.Score >= f.Wants.Junk && f.Disposition == Accept {
		f.Disposition, f.Category = Junk, Spam
		f.Because = fmt.Sprintf("Its score of %s reaches the level junk (%s).", number(f.Tally.Score), number(f.Wants.Junk))
	}
}

// category is the first of some categories that a remark puts the letter into.
func (r *Rules) category(remarks []Remark, account string, of ...Category) (Category, string) {
	for _, c := range of {
		for i := range remarks {
			if m := &remarks[i]; m.Category == c && (m.Of == "" || m.Of == account) && !r.Scale.isTest(m) {
				return c, m.Sentence
			}
		}
	}
	return "", ""
}

// destined has done with the letter what is wanted for a category; done: that was not to
// let it pass.
func (f *Fate) destined(c Category, because string) (done bool) {
	switch f.Wants.Destinies[c] {
	case policy.Reject:
		f.Disposition = Reject
	case policy.Quarantine, policy.Discard:
		f.Disposition = Quarantined
		if f.Tally.Score >= f.Wants.Cutoff {
			f.Disposition = Discard
			because += fmt.Sprintf(" Above the level cutoff (%s), nothing is kept.", number(f.Wants.Cutoff))
		}
	default:
		if c == Spam && f.Disposition == Accept {
			f.Disposition, f.Category, f.Because = Junk, Spam, because // it is still above the level junk
		}
		return false
	}
	f.Category, f.Because = c, because
	return true
}

// blocked is what becomes of a letter whose sender is on a block list.
func (f *Fate) blocked(how Blocked, l listing) {
	because := fmt.Sprintf("%s is on the block list of %s.", shown(l.By.What()), whoseList(l.By.Match))
	if how == BlockedKilled && f.destined(Spam, because) {
		return
	}
	f.Disposition, f.Category, f.Because = Junk, Spam, because
}

func whoseList(match string) string {
	if match == "." || match == "" {
		return "the server"
	}
	return shown(match)
}

// allowedUnproven is what an allow list counts for where nothing proves that the letter is
// from whom it names: anybody could write the name of your friend.
const allowedUnproven = -3

// remarks are what a recipient's lists add to the score.
func (l *listing) remarks() (out []Remark) {
	for _, e := range l.Soft {
		out = append(out, Remark{Check: familyList, Name: "listed", Score: e.Score,
			Sentence: fmt.Sprintf("%s is on the list of %s.", shown(e.What()), whoseList(e.Match))})
	}
	if l.Kind == policy.Allow && !l.proven {
		out = append(out, Remark{Check: familyList, Name: "allowed_unproven", Score: allowedUnproven,
			Sentence: fmt.Sprintf("%s is on the allow list of %s, but nothing proves that it is the sender.", shown(l.By.What()), whoseList(l.By.Match))})
	}
	return out
}

// Outcome is what becomes of a letter.
type Outcome struct {
	// Fates are those of the recipients, in their order.
	Fates []Fate
	// Shown is the fate that the header tells of: that of all where they have the same, else
	// what holds for everybody; see Case.Weigh.
	Shown Fate
	// Server is the fate by the server's own levels and lists, and by what it knows itself: what one
	// recipient wants, has learnt or has on his lists is not in it. It is what may be held
	// against who sent the letter; the others have to deal with him, too.
	Server Fate
	// Reply refuses the letter, or puts it off; nil where it is taken.
	Reply *smtp.Reply
}

// settle makes one outcome of many fates. A letter is refused only when all want that; else
// who wanted it gets it into quarantine. shared: the recipients have answers of their own.
func (o *Outcome) settle(remarks []Remark, refusal func(Fate) *smtp.Reply) {
	wanted := func(d Disposition) bool {
		return len(o.Fates) > 0 && !slices.ContainsFunc(o.Fates, func(f Fate) bool { return f.Disposition != d })
	}
	if wanted(Reject) {
		o.Reply = refusal(o.Fates[0])
		return
	}
	if why := deferring(remarks); why != "" {
		o.Reply = unavailable()
		for j := range o.Fates {
			o.Fates[j].Disposition, o.Fates[j].Because = Defer, why
		}
		o.Shown.Disposition, o.Shown.Because = Defer, why
		return
	}
	for i := range o.Fates {
		if f := &o.Fates[i]; f.Disposition == Reject {
			f.Disposition = Quarantined
			f.Because += " It was to be refused, but others get it."
			if f.Tally.Score >= f.Wants.Cutoff {
				f.Disposition = Discard
			}
		}
	}
}
