package filter

import (
	"context"

	"facteur/internal/mail/message"
)

// Past is what was known of a letter when it came, as far as that was written down.
type Past struct {
	// Evidence has the client, the sender, and what SPF, DKIM, ARC and DMARC said.
	Evidence Evidence
	// Verdict is what they decided together; nil: it is found out by the rules of today.
	Verdict *Verdict
	// Remarks are those of checks that can't be asked again as it was then.
	Remarks []Remark
}

// Again opens a Case about a letter that came before, whose whole text l holds, and judges
// it by what was known then: nobody is asked, and only the checks of the end look at it.
// Weigh and Close the Case.
func (f *Filter) Again(ctx context.Context, l Letter, h message.Header, cut bool, past Past) (*Case, Verdict) {
	c := &Case{filter: f, evidence: past.Evidence, letter: l, header: h, reached: Rcpt, lent: &lent{r: l.Message}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.letter.Message = c.lent
	e := &c.evidence
	e.Author, e.Cut = author(h), cut
	e.List, e.Resent = listID(h), h.Count("Resent-From") > 0
	var v Verdict
	if past.Verdict != nil {
		v = *past.Verdict
	} else {
		v = f.rules.Verdict(e, l.Now)
	}
	if f.rules.Scores() {
		c.remarks = append(voices(e, v), past.Remarks...)
	}
	c.examine(ctx)
	return c, v
}
