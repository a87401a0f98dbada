package filter

import (
	"fmt"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
)

// What the checks found, in plain English. What a stranger wrote goes through shown.

// shownMax is how much of a stranger's word stands in a sentence, in bytes.
const shownMax = 120

// shown is what a stranger wrote, in a sentence.
func shown(s string) string { return event.Clean(s, shownMax) }

// cutShort is the beginning of a text, of at most n bytes, on one line.
func cutShort(s string, n int) string { return event.Clean(s, n) }

// spfSentence tells of the result that counts, and of HELO beside it.
func spfSentence(e *Evidence) string {
	var all []string
	if r := e.SPFMail; r != nil {
		all = append(all, "SPF "+spfPhrase(r)+whose(e))
	}
	if r := e.SPFHelo; r != nil && (e.SPFMail == nil || r.Status != spf.None && r.Domain != e.SPFMail.Domain) {
		all = append(all, "SPF of the HELO name "+spfPhrase(r)+whose(e))
	}
	if all == nil {
		return ""
	}
	return strings.Join(all, ". ") + "."
}

func whose(e *Evidence) string {
	if e.Relayed == "" {
		return ""
	}
	return ", says " + shown(e.Relayed)
}

// spfPhrase is "passed for example.org by ip4:192.0.2.1".
func spfPhrase(r *spf.Result) string {
	domain, by := shown(r.Domain), ""
	if r.Mechanism != "" {
		by = " by " + shown(r.Mechanism)
	}
	switch r.Status {
	case spf.Pass:
		return "passed for " + domain + by
	case spf.Fail:
		return "failed for " + domain + by
	case spf.SoftFail:
		return "failed softly for " + domain + by
	case spf.Neutral:
		return "is neutral for " + domain + by
	case spf.None:
		return "has no record for " + domain
	case spf.TempError:
		return "could not be asked for " + domain + " (" + shown(r.Problem) + ")"
	}
	return "has a faulty record for " + domain + " (" + shown(r.Problem) + ")"
}

// spfShort is SPF in a refusal.
func spfShort(e *Evidence) string {
	if r := e.SPF(); r != nil {
		return string(r.Status) + " for " + shown(r.Domain)
	}
	return "not asked"
}

// toldMost is how many signatures a sentence tells of.
const toldMost = 4

// dkimSentence is "DKIM: example.org passed, list.example failed because …".
func dkimSentence(all []dkim.Result) string {
	if len(all) == 0 {
		return ""
	}
	var parts []string
	for i := range all {
		if i == toldMost {
			parts = append(parts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		parts = append(parts, shown(all[i].Domain)+" "+dkimPhrase(&all[i]))
	}
	return "DKIM: " + strings.Join(parts, ", ") + "."
}

func dkimPhrase(r *dkim.Result) string {
	because := ""
	if r.Reason != "" {
		because = " (" + event.Clean(r.Reason, 2*shownMax) + ")"
	}
	switch r.Status {
	case dkim.Pass:
		return "passed"
	case dkim.Fail:
		return "failed" + because
	case dkim.TempError:
		return "could not be asked" + because
	case dkim.Policy:
		return "does not count" + because
	case dkim.Neutral:
		return "says nothing" + because
	}
	return "is faulty" + because
}

// dkimShort is DKIM in a refusal.
func dkimShort(e *Evidence) string {
	if len(e.DKIM) == 0 {
		return "no signature"
	}
	var parts []string
	for i := range e.DKIM[:min(len(e.DKIM), 2)] {
		parts = append(parts, string(e.DKIM[i].Status)+" for "+shown(e.DKIM[i].Domain))
	}
	return strings.Join(parts, ", ")
}

// arcSentence tells of the chain of seals.
func arcSentence(r arc.Result) string {
	switch r.Status {
	case arc.Pass:
		last := r.Sets[len(r.Sets)-1]
		return fmt.Sprintf("ARC: a chain of %d seals holds, the last of %s.", len(r.Sets), shown(last.Domain))
	case arc.Fail:
		return "ARC: the chain of seals does not hold (" + shown(r.Reason) + ")."
	}
	return ""
}

// dmarcSentence tells what the author's domain says.
func dmarcSentence(r *dmarc.Result) string {
	switch r.Status {
	case dmarc.Pass:
		return "DMARC of " + shown(r.Asked) + " passed."
	case dmarc.Fail:
		if r.Policy != dmarc.PolicyNone { // the verdict tells of it
			return "DMARC of " + shown(r.Asked) + " failed."
		}
		return "DMARC of " + shown(r.Asked) + " failed, and its policy is none."
	case dmarc.TempError:
		return "DMARC of " + shown(r.Asked) + " could not be asked."
	case dmarc.PermError:
		return "DMARC could not be asked (" + shown(r.Reason) + ")."
	}
	return ""
}

// domainOf is what stands behind the last "@" of an address, or the whole.
func domainOf(s string) string {
	return fold(s[strings.LastIndexByte(s, '@')+1:])
}
