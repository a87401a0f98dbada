package tlspolicy

import (
	"fmt"
	"strings"
)

// Explain tells people what a destination demands and why, a sentence a line. What a
// single host must have is in its Terms.
func (d *Demand) Explain() []string {
	var out []string
	switch {
	case d.Ruled:
		out = append(out, fmt.Sprintf("level %s: the settings say so, and what the domain publishes does not count", d.Level))
	case d.rule.Level == Dane:
		out = append(out, "level dane: TLSA records count where DNSSEC validates them, as the resolver says")
	default:
		out = append(out, fmt.Sprintf("level %s: no entry of the settings is about it", d.Level))
	}
	if !d.trust {
		out = append(out, "DNSSEC: not known, because the resolver's word does not count (dns.trust_ad)")
	}
	if d.Ruled || d.Named {
		return out
	}
	return append(out, d.explainSTS()...)
}

func (d *Demand) explainSTS() (out []string) {
	switch {
	case d.STS != nil && d.STS.Mode == Enforce:
		out = append(out, "MTA-STS: enforced; mail hosts are "+strings.Join(d.STS.MX, ", "))
	case d.STS != nil:
		out = append(out, "MTA-STS: only being tested; mail hosts are "+strings.Join(d.STS.MX, ", "))
	case d.Trouble == nil && d.Doubt == nil:
		out = append(out, "MTA-STS: none")
	}
	if d.Trouble != nil {
		out = append(out, "MTA-STS: announced, but "+d.Trouble.Error()+older(d.STS))
	}
	if d.Doubt != nil {
		out = append(out, "MTA-STS: it can't be told whether there is any: "+d.Doubt.Error()+older(d.STS))
	}
	return out
}

func older(known *Policy) string {
	if known == nil {
		return ""
	}
	return "; the policy that was fetched before counts"
}
