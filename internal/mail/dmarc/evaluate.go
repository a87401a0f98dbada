package dmarc

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/base/lookup"
)

// Evaluate tells what DMARC says about a message: each domain in From is evaluated,
// and the worst result is given.
func Evaluate(ctx context.Context, txt TXT, q Question) Result {
	author := ReadAuthor(q.Header)
	if len(author.Domains) == 0 {
		return Result{Status: PermError, Author: author, Reason: author.Problem}
	}
	w := &walker{txt: txt}
	var worst Result
	for i, domain := range author.Domains {
		r := w.evaluate(ctx, domain, q)
		if i == 0 || r.severity() > worst.severity() {
			worst = r
		}
	}
	if author.More && worst.severity() < (Result{Status: PermError}).severity() {
		worst = Result{Status: PermError, Asked: author.Domains[0], Reason: fmt.Sprintf("more than %d domains in From, or %d addresses", MaxAuthors, maxAuthorAddresses)}
	}
	worst.From, worst.Author = author.Domains, author
	return worst
}

// severity orders results: what asks for more is worse. No record is worse than a
// pass, so that beside a domain without a record another's pass says nothing.
func (r Result) severity() int {
	switch {
	case r.Status == Fail && r.Policy == Reject:
		return 6
	case r.Status == Fail && r.Policy == Quarantine:
		return 5
	case r.Status == TempError:
		return 4
	case r.Status == PermError:
		return 3
	case r.Status == Fail:
		return 2
	case r.Status == None:
		return 1
	}
	return 0
}

// evaluate does one Author Domain: policy discovery, then alignment.
func (w *walker) evaluate(ctx context.Context, domain string, q Question) Result {
	r := Result{Asked: domain}
	found := w.discover(ctx, domain)
	if found.Record == nil || !found.Record.Usable() {
		return r.without(found)
	}
	r.Domain, r.Record = found.Domain, found.Record
	if !w.wishes(ctx, &r, q.Exists) {
		return r
	}
	a := alignment{walker: w, result: &r}
	a.identities(ctx, q)
	a.conclude()
	return r
}

// discover looks for the record that applies (RFC 9989 §4.10.1). The Author
// Domain's own ends the search; the tree is walked only without it.
func (w *walker) discover(ctx context.Context, domain string) Step {
	own := w.ask(ctx, domain)
	if own.Record != nil || own.State == lookup.TryAgain {
		return own
	}
	tree := w.walk(ctx, domain)
	if tree.Failed {
		for _, s := range tree.Steps {
			if s.State == lookup.TryAgain {
				return s
			}
		}
	}
	if s := tree.Applies(domain); s != nil {
		return *s
	}
	return own
}

// without is the result when no record applies.
func (r Result) without(found Step) Result {
	r.Status = None
	switch {
	case found.State == lookup.TryAgain:
		r.Status, r.Reason = TempError, "the DNS did not say whether "+found.Domain+" has a DMARC record"
	case found.Record != nil:
		r.Reason = "the DMARC record of " + found.Domain + " has no readable policy and no address for reports"
	case found.Problem != "":
		r.Reason = found.Domain + ": " + found.Problem
	default:
		r.Reason = r.Asked + " has no DMARC record"
	}
	return r
}

// wishes fills in what the owner asks for. np needs to know whether the domain
// exists, which is asked only where it makes a difference.
func (w *walker) wishes(ctx context.Context, r *Result, exists Exists) bool {
	own := r.Domain == r.Asked
	p, tag := r.Record.Wants(own, true)
	if absent, absentTag := r.Record.Wants(own, false); absent != p && exists != nil {
		switch exists(ctx, r.Asked).State() {
		case lookup.NotFound:
			p, tag = absent, absentTag
		case lookup.TryAgain:
			r.Status, r.Reason = TempError, "the DNS did not say whether "+r.Asked+" exists"
			r.Tag, r.Policy = tag, PolicyNone
			return false
		}
	}
	r.Tag, r.Policy = tag, r.Record.Effective(p)
	return true
}

// alignment looks for an authenticated domain that is aligned with the author's.
type alignment struct {
	*walker
	result  *Result
	unknown bool // a tree walk that would have decided had no answer
	passed  []string
}

// identities takes all that passed (RFC 9989 §4.10.2).
func (a *alignment) identities(ctx context.Context, q Question) {
	if q.SPF.Status == string(Pass) {
		a.result.SPFAligned = a.aligned(ctx, q.SPF.Domain, a.result.Record.StrictSPF)
		a.passed = append(a.passed, "SPF passes for "+canonical(q.SPF.Domain))
	}
	for _, s := range q.DKIM {
		if s.Status != string(Pass) {
			continue
		}
		if !a.result.DKIMAligned && a.aligned(ctx, s.Domain, a.result.Record.StrictDKIM) {
			a.result.DKIMAligned, a.result.Signer = true, canonical(s.Domain)
		}
		if len(a.passed) < 4 {
			a.passed = append(a.passed, "DKIM passes for "+canonical(s.Domain))
		}
	}
}

// aligned compares a domain with the author's: the same, or, relaxed, of the same
// organisation. What is not at or under the author's Organizational Domain can't
// have the same one, and costs no question.
func (a *alignment) aligned(ctx context.Context, domain string, strict bool) bool {
	domain = canonical(domain)
	if domain == a.result.Asked {
		return domain != ""
	}
	if strict || domain == "" {
		return false
	}
	author := a.walk(ctx, a.result.Asked)
	if author.Failed {
		a.unknown = true
		return false
	}
	a.result.Org = author.Org
	if domain != author.Org && !strings.HasSuffix(domain, "."+author.Org) {
		return false
	}
	other := a.walk(ctx, domain)
	a.unknown = a.unknown || other.Failed
	return !other.Failed && other.Org == author.Org
}

// conclude decides, and says why.
func (a *alignment) conclude() {
	r := a.result
	switch {
	case r.DKIMAligned:
		r.Status, r.Reason = Pass, "signed by "+r.Signer
	case r.SPFAligned:
		r.Status, r.Reason = Pass, "sent from where SPF allows it"
	case a.unknown:
		r.Status, r.Reason = TempError, "the DNS did not say which organisation's domains these are"
	case len(a.passed) > 0:
		r.Status, r.Reason = Fail, strings.Join(a.passed, ", ")+", which is not aligned with "+r.Asked
	default:
		r.Status, r.Reason = Fail, "neither SPF nor DKIM passes"
	}
}
