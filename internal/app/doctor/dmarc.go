package doctor

import (
	"cmp"
	"context"
	"strings"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/dmarc"
)

// checkDMARC looks at the policy of a domain, its own or that of the domain above (row 225).
func checkDMARC(ctx context.Context, w *World, d Domain, r *report) {
	if d.NeverSends {
		return
	}
	want := w.house(d).DMARC().String()
	step, failed := policyStep(ctx, w, d.Name)
	switch {
	case failed != "":
		r.add(Unknown, "It could not be told which DMARC policy %s has: %s.", d.Name, failed)
		return
	case step == nil || step.Record == nil && step.Problem == "":
		r.add(Warning, "%s has no DMARC record.", d.Name).
			because("Google, Yahoo and Microsoft want one of whoever sends much, and nobody tells you who forges mail in its name.").do(want)
		return
	case step.Record == nil:
		r.add(Warning, "The DMARC record of %s does not count: %s.", step.Domain, step.Problem).do(want)
		return
	}
	checkPolicyRecord(d, step, r)
	if !hasBad(r.list) {
		r.add(OK, "The DMARC policy of %s is %s.", d.Name, step.Record.P)
	}
}

func checkPolicyRecord(d Domain, step *dmarc.Step, r *report) {
	record := step.Record
	rua := "; rua=mailto:postmaster@" + step.Domain
	for _, p := range record.Problems {
		if p.Tag == "rf" || p.Tag == "ri" || p.Tag == "pct" {
			continue // of RFC 7489; nobody minds
		}
		r.add(Warning, "In the DMARC record of %s, %s: %s.", step.Domain, p.Tag, strings.TrimSuffix(p.Text, ".")).do(policyRecord(step, "v=DMARC1; p="+cmp.Or(string(record.P), "none")+rua))
	}
	if record.P == dmarc.PolicyNone {
		r.add(Note, "The DMARC policy of %s is none.", d.Name).
			because("Nothing is refused yet. When the reports show only your own servers, go on to quarantine, then to reject.").
			do(policyRecord(step, strings.Replace(record.Text, "p=none", "p=quarantine", 1)), "facteur reports   # what others report")
	}
	if len(record.RUA) == 0 {
		r.add(Note, "Nobody gets reports about mail in the name of %s (rua).", d.Name).because("They tell who sends in its name, and whether your own mail passes.").do(policyRecord(step, strings.TrimRight(record.Text, "; ")+rua))
	}
	if record.Testing {
		r.add(Note, "The DMARC policy of %s is only tried (t=y).", d.Name)
	}
}

// policyRecord is another text in the place of a record. What its owner has chosen stays:
// a policy is never taken back.
func policyRecord(step *dmarc.Step, text string) string {
	return records.Record{Name: "_dmarc." + step.Domain, Type: "TXT", Value: text}.String()
}

// policyStep is where the policy of a domain was found, its own or the organisation's; nil
// without one. failed says why that could not be told.
func policyStep(ctx context.Context, w *World, domain string) (step *dmarc.Step, failed string) {
	tree := dmarc.Org(ctx, w.Resolver.LookupTXT, domain)
	for i := range tree.Steps {
		s := &tree.Steps[i]
		if (s.Domain == domain || s.Domain == tree.Org) && (s.Record != nil || s.Problem != "") {
			if s.State == lookup.TryAgain {
				return nil, s.Problem
			}
			return s, ""
		}
	}
	return nil, ""
}

// policyOf is the policy of a domain: "none", "quarantine" or "reject"; "missing" without
// one. That it could not be told is a finding, and false.
func policyOf(ctx context.Context, w *World, domain string, r *report) (string, bool) {
	step, failed := policyStep(ctx, w, domain)
	switch {
	case failed != "":
		r.about(domain+" DMARC", Unknown, "It could not be told which DMARC policy %s has: %s.", domain, failed)
		return "", false
	case step == nil || step.Record == nil:
		return "missing", true
	case step.Domain != domain && step.Record.SP != "":
		return string(step.Record.SP), true
	}
	return string(step.Record.P), true
}
