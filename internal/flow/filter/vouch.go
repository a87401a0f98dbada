package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/spf"
)

// Who vouches for a letter that its author's domain disowns, in the order of proof:
//
//	a trusted ARC sealer, who says that it was right when it came to him
//	a forwarder of the admin's list: a host, a network, or a domain that proves itself
//	a domain that proves itself, shows that it sent the letter on, and has brought good
//	letters of many for weeks
//
// Proof is the word of somebody who is trusted for a reason and has shown who he is. What
// anybody can write is a hint: it turns a refusal into the junk folder, and no more, for a
// forger writes a List-Id and signs with a domain of his own as well as a list does.

// voucher tells who vouches, as the end of a sentence, and what aggregate reports call it;
// "" if nobody does.
func (r *Rules) voucher(e *Evidence, now time.Time) (who, how string) {
	if sealer := r.sealer(e); sealer != "" {
		return fmt.Sprintf("the trusted sealer %s (ARC) vouches that it passed there", shown(sealer)), "trusted_forwarder"
	}
	if who := r.forwarder(e); who != "" {
		return who + " is a known forwarder", "trusted_forwarder"
	}
	if !r.Learn {
		return "", ""
	}
	for _, s := range e.Known {
		if s.trusted(now) && sentOn(e, s) {
			how = "trusted_forwarder"
			if e.List != "" {
				how = "mailing_list"
			}
			return fmt.Sprintf("%s (%s) has brought %d good letters of others since %s", shown(s.Domain), s.By, s.Good, s.Since.UTC().Format("2 January 2006")), how
		}
	}
	return "", ""
}

// sealer is the trusted domain that saw the letter pass: going back from the last seal,
// only while each sealer is trusted, for an untrusted one could have written what stands
// below its own (RFC 8617 §9.3; AUT-020).
func (r *Rules) sealer(e *Evidence) string {
	if e.ARC.Status != arc.Pass || !e.ARC.Author || len(r.Sealers) == 0 {
		return ""
	}
	for i := len(e.ARC.Sets) - 1; i >= 0; i-- {
		set := &e.ARC.Sets[i]
		if !isOneOf(set.Domain, r.Sealers) {
			return ""
		}
		if sawPass(e, set) {
			return set.Domain
		}
	}
	return ""
}

// sawPass tells that a sealer says the author was right when the letter came to him: by
// DMARC, or by a signature of the author's own domain.
func sawPass(e *Evidence, set *arc.Set) bool {
	if set.Results == nil {
		return false
	}
	for _, m := range set.Results.Find("dmarc") {
		if m.Result == "pass" && fold(m.Property("header", "from")) == fold(e.DMARC.Asked) {
			return true
		}
	}
	for _, m := range set.Results.Find("dkim") {
		if d := fold(m.Property("header", "d")); m.Result == "pass" && d != "" && (d == fold(e.DMARC.Asked) || d == fold(e.DMARC.Org)) {
			return true
		}
	}
	return false
}

// forwarder is who is on the admin's list, as the beginning of a sentence.
func (r *Rules) forwarder(e *Evidence) string {
	if inNetworks(r.ForwarderNetworks, e.Client.Addr) {
		return "its host " + e.Client.Addr.Unmap().String()
	}
	if e.Client.named() && isOneOf(e.Client.Name, r.Forwarders) {
		return "its host " + shown(e.Client.Name)
	}
	for _, d := range proven(e) {
		if isOneOf(d.Domain, r.Forwarders) {
			return fmt.Sprintf("%s (%s)", shown(d.Domain), d.By)
		}
	}
	return ""
}

// provenMax bounds the domains that one letter proves, and that are asked about.
const provenMax = 4

// proven are the domains that proved to have had the letter in their hands, and are not
// the author's.
func proven(e *Evidence) (out []Standing) {
	add := func(domain, by string) {
		domain = fold(domain)
		own := sameOrAbove(domain, e.DMARC.Asked) || sameOrAbove(e.DMARC.Asked, domain) || e.DMARC.Org != "" && sameOrAbove(e.DMARC.Org, domain)
		if domain == "" || own || len(out) == provenMax || slices.ContainsFunc(out, func(s Standing) bool { return s.Domain == domain }) {
			return
		}
		out = append(out, Standing{Domain: domain, By: by})
	}
	for i := range e.DKIM {
		if d := &e.DKIM[i]; d.Status == dkim.Pass && !d.Testing {
			add(d.Domain, "DKIM")
		}
	}
	if s := e.SPFMail; s != nil && s.Status == spf.Pass {
		add(s.Domain, "SPF")
	}
	return out
}

// What makes a domain trusted: time, letters, and authors of many domains, none of which a
// forger has on the day on which he begins.
const (
	trustAge     = 14 * 24 * time.Hour
	trustGood    = 30
	trustAuthors = 8
	trustSpam    = 20 // one bad letter among so many good ones is forgiven
)

// trusted tells that a domain may vouch for letters.
func (s Standing) trusted(now time.Time) bool {
	return !s.Since.IsZero() && now.Sub(s.Since) >= trustAge && s.Good >= trustGood && s.Authors >= trustAuthors && s.Bad*trustSpam <= s.Good
}

// hint tells what speaks for an honest way around, as the end of a sentence; "" if nothing
// does. Anybody can make it up.
func hint(e *Evidence) string {
	list := proven(e)
	switch {
	case e.ARC.Status == arc.Pass:
		return "it came by a chain of seals (ARC), though of nobody who is trusted here"
	case e.List != "" && len(list) > 0:
		return fmt.Sprintf("it came by the list %s and %s (%s) answers for it", shown(e.List), shown(list[0].Domain), list[0].By)
	case e.List != "" && changedOnTheWay(e):
		return fmt.Sprintf("it came by the list %s, which changed it after it was signed", shown(e.List))
	case e.List != "" && e.Client.named() && e.Sender.Domain != "" && sameOrAbove(e.Sender.Domain, e.Client.Name):
		return fmt.Sprintf("it came by the list %s, from the list's host %s", shown(e.List), shown(e.Client.Name))
	case isSRS(e.Sender.Local) && len(list) > 0:
		return shown(list[0].Domain) + " sent it on"
	case e.Resent && len(list) > 0:
		return shown(list[0].Domain) + " sent it on by somebody's wish"
	case changedOnTheWay(e):
		return fmt.Sprintf("%s signed its header, and only its body was changed on the way", shown(e.DMARC.Asked))
	}
	return ""
}

// changedOnTheWay tells that the author's own signature holds for the header, and not for
// the whole body: what a list does that adds a footer, and a relay that writes a letter in
// other characters.
func changedOnTheWay(e *Evidence) bool {
	return slices.ContainsFunc(e.DKIM, func(d dkim.Result) bool {
		changed := d.Status == dkim.Fail && !d.BodyIntact || d.Status == dkim.Policy && d.Limited > 0
		return changed && d.HeaderIntact && sameOrAbove(d.Domain, e.DMARC.Asked)
	})
}

// isSRS tells the local part that a forwarder makes (SRS).
func isSRS(local string) bool {
	return len(local) > 5 && (strings.EqualFold(local[:4], "SRS0") || strings.EqualFold(local[:4], "SRS1")) && strings.ContainsRune("=+-", rune(local[4]))
}
