package filter

// What is learnt of those who bring the letters of others: see store/reputation.

// standings is what is known of the domains that proved to have brought the letter.
func (c *Check) standings() []Standing {
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
// and hooks say. What nobody knows the author of teaches nothing, and neither does a
// letter that its author's domain disowns: else a forger would vouch for himself.
func (c *Check) Learn(v Verdict, spam bool) {
	e := &c.evidence
	if c.filter.known == nil || !c.filter.rules.Learn || e.DMARC.Asked == "" || v.Check != "" {
		return
	}
	for _, d := range proven(e) {
		c.filter.known.NoteDomain(d.Domain, e.DMARC.Asked, !spam)
	}
}
