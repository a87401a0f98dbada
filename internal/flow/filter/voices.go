package filter

import (
	"fmt"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/dmarc"
	"facteur/internal/mail/spf"
)

// familyAuth is the family of who sent it. A spammer signs his letters as everybody does:
// that somebody is who he says speaks hardly for him, that he is not speaks against him.
const familyAuth = "auth"

// voices are what SPF, DKIM and DMARC count for, in one voice. What the DNS did not tell
// counts for nothing.
func voices(e *Evidence, v Verdict) []Remark {
	var out []Remark
	say := func(name string, score float64, format string, args ...any) {
		out = append(out, Remark{Check: familyAuth, Name: name, Score: score, Sentence: fmt.Sprintf(format, args...)})
	}
	author := shown(e.DMARC.Asked)
	switch e.DMARC.Status {
	case dmarc.Pass:
		say("dmarc_pass", -0.3, "The letter is from %s, as it says.", author)
		return out // however it came: a forwarder breaks SPF, a list signatures
	case dmarc.Fail:
		unproven(say, e, v, author)
	}
	if s := e.SPF(); s != nil && e.Relayed == "" {
		heard(say, s)
	}
	if e.DMARC.DKIMAligned {
		say("dkim_author", -0.2, "It bears a valid signature of %s.", author)
	}
	return out
}

// unproven is how much it weighs that nothing proves who the author is.
func unproven(say func(string, float64, string, ...any), e *Evidence, v Verdict, author string) {
	switch {
	case v.Override == "trusted_forwarder" || v.Override == "mailing_list" || e.ARC.Status == arc.Pass && e.List != "":
		say("dmarc_forwarded", 0, "Nothing proves that it is from %s, but it seems to have been sent on.", author)
	case e.DMARC.Policy == dmarc.Reject:
		say("dmarc_reject", 4, "Nothing proves that it is from %s, which asks to reject such letters.", author)
	case e.DMARC.Policy == dmarc.Quarantine:
		say("dmarc_quarantine", 3, "Nothing proves that it is from %s, which asks to be wary of such letters.", author)
	default:
		say("dmarc_fail", 1, "Nothing proves that it is from %s.", author)
	}
}

// heard is what SPF weighs where DMARC has not spoken for the letter.
func heard(say func(string, float64, string, ...any), s *spf.Result) {
	domain := shown(s.Domain)
	switch s.Status {
	case spf.Pass:
		say("spf_pass", -0.1, "The host may send for %s.", domain)
	case spf.Fail:
		say("spf_fail", 2, "%s says that the host does not send for it.", domain)
	case spf.SoftFail:
		say("spf_softfail", 0.8, "%s says that the host probably does not send for it.", domain)
	case spf.PermError:
		say("spf_permerror", 0.2, "The SPF record of %s can't be read.", domain)
	}
}
