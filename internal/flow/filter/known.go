package filter

import "strings"

// Known is a remark that there can be: the family that makes it, and its name. All of them
// together are what the admin can name in [filter.scores], caps and test_only.
type Known struct{ Check, Name string }

// Trapped is the remark about a letter to a spam trap.
var Trapped = Known{"trap", "spam_trap"}

// Proven are the remarks about who sent the letter. They are made of Evidence, by no check.
func Proven() []Known {
	return known(familyAuth, "dmarc_pass", "dmarc_forwarded", "dmarc_reject", "dmarc_quarantine", "dmarc_fail", "dkim_author",
		"spf_pass", "spf_fail", "spf_softfail", "spf_permerror")
}

// Listed are the remarks of the recipients' lists.
func Listed() []Known { return known(familyList, "listed", "allowed_unproven") }

// Ruled is the remark of a rule of the admin's.
func Ruled(rule string) Known { return Known{familyRule, rulePrefix + strings.Trim(nameOf(rule), "_")} }

// rulePrefix is how the names of remarks of rules begin.
const rulePrefix = "rule_"

// IsRuled tells the name of a remark of a rule, of whichever.
func IsRuled(name string) bool { return strings.HasPrefix(name, rulePrefix) }

func known(check string, names ...string) []Known {
	out := make([]Known, len(names))
	for i, name := range names {
		out[i] = Known{check, name}
	}
	return out
}
