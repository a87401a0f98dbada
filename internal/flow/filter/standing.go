package filter

import (
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
)

// What is learnt of those who bring the letters of others: see store/reputation.

// standings is what is known of the domains that proved to have brought the letter.
func (c *Case) standings() []Standing {
	if c.filter.known == nil || !c.filter.rules.Learn {
		return nil
	}
	out := proven(&c.evidence)
	for i := range out {
		d := c.filter.known.Domain(out[i].Domain)
		out[i].Since, out[i].Good, out[i].Authors, out[i].Bad = d.Since, d.Good, d.Authors, d.Bad
	}
	return out
}

// Learn remembers who brought the letter, once it is ours: a good one, or spam as rules
// and hooks say.
func (c *Case) Learn(v Verdict, spam bool) {
	if c.filter.known == nil || !c.filter.rules.Learn || v.Check != "" {
		return
	}
	for _, l := range lessons(&c.evidence, spam) {
		c.filter.known.NoteDomain(l.domain, l.author, l.good)
	}
}

// lesson is that a domain brought a letter of an author.
type lesson struct {
	domain, author string
	good           bool
}

// lessons are what a letter teaches. A good one does so only where its author's own
// signature shows that he wrote it, and its other marks that it was sent on: else a forger
// would earn his standing with letters in the names of domains without a record, and a
// provider that sends for everybody (with a signature of his beside that of the customer)
// would come to vouch for each of his customers. The authors of one organisation are one.
func lessons(e *Evidence, spam bool) (out []lesson) {
	if e.DMARC.Asked == "" || !spam && !e.DMARC.DKIMAligned && !changedOnTheWay(e) {
		return nil
	}
	author := dkim.Organisation(e.DMARC.Asked)
	for _, d := range proven(e) {
		if sentOn(e, d) && dkim.Organisation(d.Domain) != author {
			out = append(out, lesson{d.Domain, author, !spam})
		}
	}
	return out
}

// sentOn tells that a letter bears the marks of having been sent on by a domain which it
// proves: as a list's, under a sender that it made by SRS, below its seal.
func sentOn(e *Evidence, by Standing) bool {
	of := dkim.Organisation(by.Domain)
	switch {
	case sameOrAbove(of, e.List):
		return true
	case isSRS(e.Sender.Local) && sameOrAbove(of, e.Sender.Domain):
		return true
	}
	return e.ARC.Status == arc.Pass && sameOrAbove(of, e.ARC.Sets[len(e.ARC.Sets)-1].Domain)
}
