package filter

import (
	"fmt"
	"slices"
	"time"

	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/smtp"
	"facteur/internal/mail/spf"
)

// Disposition is what becomes of a letter.
type Disposition string

// The dispositions.
const (
	Accept Disposition = "accept"
	Junk   Disposition = "junk"
	Reject Disposition = "reject"
	Defer  Disposition = "defer"
	// Quarantined: accepted, and kept away from the mailbox. Discard: accepted, and thrown
	// away. They are for one recipient; see Fate.
	Quarantined Disposition = "quarantine"
	Discard     Disposition = "discard"
)

// Verdict is what is to be done, and why.
type Verdict struct {
	Disposition Disposition
	// Check is the one that decided: "spf", "dmarc", "from"; "" where nothing speaks
	// against the letter.
	Check string
	// Because says why, in one or two sentences; "" where there is nothing to say.
	Because string
	// Reply is what the client is told; nil unless it is refused or deferred.
	Reply *smtp.Reply
	// Override is why less was done than the author's domain asks for, in the words of
	// aggregate reports (RFC 9990 §3.1.1.10): "trusted_forwarder", "mailing_list",
	// "local_policy"; "" where it was done.
	Override string
}

// Applied is the disposition in DMARC's words: "none", "quarantine" or "reject".
func (v Verdict) Applied() string {
	switch v.Disposition {
	case Junk:
		return string(dmarc.Quarantine)
	case Reject:
		return string(dmarc.Reject)
	}
	return string(dmarc.PolicyNone)
}

// accepted is the verdict on a letter that nothing speaks against.
var accepted = Verdict{Disposition: Accept}

// Verdict decides. It looks at nothing but its arguments.
func (r *Rules) Verdict(e *Evidence, now time.Time) Verdict {
	policy := r.DMARC.Policy
	if policy == Off || policy == "" {
		return accepted
	}
	v := accepted
	switch e.DMARC.Status {
	case dmarc.TempError:
		v = r.undecided(e)
	case dmarc.Fail:
		v = r.disowned(e, now)
	}
	if policy == Score {
		return v
	}
	if odd := r.author(e); odd.Disposition.severity() > v.Disposition.severity() {
		return odd
	}
	return v
}

// severity orders dispositions.
func (d Disposition) severity() int {
	return slices.Index([]Disposition{Accept, Junk, Defer, Reject}, d)
}

// author looks at who is said to have written the letter (AUT-015).
func (r *Rules) author(e *Evidence) Verdict {
	a := &e.DMARC.Author
	switch {
	case e.Cut:
		return odd(r.DMARC.UnreadableFrom, "The header of the letter is so long that it was not looked at whole: it may name other authors.")
	case a.Fields == 0 && !a.Unreadable:
		return odd(r.DMARC.NoFrom, "The letter has no From field, by which its author is known.")
	case len(a.Domains) == 0:
		return odd(r.DMARC.UnreadableFrom, "The From field of the letter names no author who could be asked about.")
	case a.Unreadable || a.More:
		return odd(r.DMARC.UnreadableFrom, "The From field of the letter names authors who could not be asked about, beside one who could.")
	case len(a.Domains) > 1 && e.DMARC.Status == dmarc.TempError:
		return odd(r.DMARC.UnreadableFrom, "The letter names authors in several domains, and the DNS did not tell about each.")
	case r.DMARC.RejectMultipleFrom && (len(a.Domains) > 1 || a.Fields > 1):
		return odd(OddReject, "The letter names several authors.")
	}
	return accepted
}

// odd is the verdict on a letter without an author that can be read.
func odd(o Odd, because string) Verdict {
	v := Verdict{Disposition: Accept, Check: "from", Because: because}
	switch o {
	case OddJunk:
		v.Disposition = Junk
	case OddReject:
		v.Disposition = Reject
		v.Reply = smtp.NewReply(550, "5.7.1", because)
	default:
		return accepted
	}
	return v
}

// undecided is the verdict where the DNS did not tell: never a refusal for good (AUT-004).
func (r *Rules) undecided(e *Evidence) Verdict {
	if !r.DMARC.DeferTempError {
		return accepted
	}
	domain := e.DMARC.Asked
	return Verdict{Disposition: Defer, Check: "dmarc", Because: fmt.Sprintf("The DNS did not tell whether the letter is from %s.", shown(domain)),
		Reply: smtp.NewReply(451, "4.7.26", fmt.Sprintf("It could not be found out whether the message is from %s; try again later", shown(domain)))}
}

// disowned is the verdict on a letter that its author's domain disowns.
func (r *Rules) disowned(e *Evidence, now time.Time) Verdict {
	asked := e.DMARC.Policy
	switch {
	case asked != dmarc.Quarantine && asked != dmarc.Reject:
		return accepted
	case r.DMARC.DeferTempError && isUnproven(e):
		return r.undecided(e)
	case r.DMARC.Policy == Score:
		return Verdict{Disposition: Accept, Check: "dmarc", Override: "local_policy",
			Because: fmt.Sprintf("DMARC of %s asks to %s it; here, that is evidence only.", shown(e.DMARC.Asked), asked)}
	}
	v := Verdict{Check: "dmarc", Disposition: Junk, Because: fmt.Sprintf("DMARC of %s asks to %s it.", shown(e.DMARC.Asked), asked)}
	if who, how := r.voucher(e, now); who != "" {
		v.Disposition, v.Override = Accept, how
		v.Because = fmt.Sprintf("DMARC of %s asks to %s it; it was accepted nevertheless, because %s.", shown(e.DMARC.Asked), asked, who)
		return v
	}
	if asked == dmarc.Quarantine {
		return v
	}
	if r.DMARC.Policy == Quarantine {
		v.Override = "local_policy"
		v.Because = fmt.Sprintf("DMARC of %s asks to reject it; here, such letters are taken as junk.", shown(e.DMARC.Asked))
		return v
	}
	if e.Relayed != "" { // it would have to tell the sender, who may be forged
		v.Override = "local_policy"
		v.Because = fmt.Sprintf("DMARC of %s asks to reject it; it was taken as junk instead, because our own server %s had accepted it.", shown(e.DMARC.Asked), shown(e.Relayed))
		return v
	}
	if isUnproven(e) {
		v.Override = "local_policy"
		v.Because = fmt.Sprintf("DMARC of %s asks to reject it; it was taken as junk instead, because the DNS did not tell all that was asked.", shown(e.DMARC.Asked))
		return v
	}
	if hint := hint(e); hint != "" {
		v.Override = "mailing_list"
		v.Because = fmt.Sprintf("DMARC of %s asks to reject it; it was taken as junk instead, because %s.", shown(e.DMARC.Asked), hint)
		return v
	}
	v.Disposition = Reject
	v.Reply = refusal(e)
	return v
}

// isUnproven tells that a check failed for want of an answer which could have proved that
// the letter is from where it says (AUT-004): another time, it might.
func isUnproven(e *Evidence) bool {
	related := func(domain string) bool {
		return sameOrAbove(domain, e.DMARC.Asked) || sameOrAbove(e.DMARC.Asked, domain) || e.DMARC.Org != "" && sameOrAbove(e.DMARC.Org, domain)
	}
	if s := e.SPF(); s != nil && s.Status == spf.TempError && related(s.Domain) {
		return true
	}
	return slices.ContainsFunc(e.DKIM, func(d dkim.Result) bool { return d.Status == dkim.TempError && related(d.Domain) })
}

// refusal tells the sender's postmaster what was missing, and what to do about it.
func refusal(e *Evidence) *smtp.Reply {
	domain := shown(e.DMARC.Asked)
	code := "5.7.1"
	if e.SPF() != nil && len(e.DKIM) > 0 { // RFC 7372 §3.3: several checks, and all failed
		code = "5.7.26"
	}
	return &smtp.Reply{Code: 550, Enhanced: code, Lines: []string{
		fmt.Sprintf("Message rejected: %s publishes a DMARC policy of reject, and nothing proves that the message is from there.", domain),
		fmt.Sprintf("SPF: %s. DKIM: %s.", spfShort(e), dkimShort(e)),
		fmt.Sprintf("Send through the servers of %s, or let them sign.", domain)}}
}
