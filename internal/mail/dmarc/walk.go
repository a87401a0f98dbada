package dmarc

import (
	"context"
	"strings"

	"facteur/internal/base/lookup"
)

// maxLabels is where the tree walk takes its short cut: after the first question
// of a name of eight labels or more it goes on with the last seven (RFC 9989 §4.10).
const maxLabels = 8

// Step is one question of a tree walk.
type Step struct {
	// Domain was asked about, at "_dmarc." in front of it.
	Domain string
	// State is what the DNS answered.
	State lookup.State
	// Record is what was found; nil if nothing was that counts.
	Record *Record
	// Problem says why what was found does not count, or why there is no answer.
	Problem string
	// Ends tells that the record ends the walk: psd=y or psd=n.
	Ends bool
}

// Tree is what a walk found.
type Tree struct {
	// Steps are the questions in order, from the start upwards.
	Steps []Step
	// Org is the Organizational Domain of the start (RFC 9989 §4.10.2).
	Org string
	// Why says in a sentence how it was determined.
	Why string
	// Failed: a question had no answer; Org is not to be relied on.
	Failed bool
}

// Org walks up the tree from a domain in its canonical form, and tells which domain
// is the organisation's. All questions are asked one after the other; there are at
// most eight.
func Org(ctx context.Context, txt TXT, domain string) Tree {
	return (&walker{txt: txt}).walk(ctx, domain)
}

// walker asks about each name once.
type walker struct {
	txt  TXT
	seen map[string]Step
}

// ask looks for the record of one domain.
func (w *walker) ask(ctx context.Context, domain string) Step {
	if step, ok := w.seen[domain]; ok {
		return step
	}
	step := read(domain, w.txt(ctx, "_dmarc."+domain))
	if w.seen == nil {
		w.seen = map[string]Step{}
	}
	w.seen[domain] = step
	return step
}

// read takes the one record from an answer: others are none, several are none.
func read(domain string, a lookup.Answer[[]string]) Step {
	step := Step{Domain: domain, State: a.State()}
	if a.State() == lookup.TryAgain {
		step.Problem = "no answer: " + a.Err().Error()
	}
	for _, text := range a.Value() {
		if !Is(text) {
			continue
		}
		if step.Record != nil || step.Problem != "" {
			step.Record, step.Problem = nil, "several records: none of them counts"
			return step
		}
		r, err := Parse(text)
		if err != nil {
			step.Problem = err.Error()
			continue
		}
		step.Record = r
	}
	step.Ends = step.Record != nil && step.Record.PSD != "u"
	return step
}

func (w *walker) walk(ctx context.Context, domain string) Tree {
	var t Tree
	for _, name := range targets(domain) {
		step := w.ask(ctx, name)
		t.Steps = append(t.Steps, step)
		t.Failed = t.Failed || step.State == lookup.TryAgain
		if step.Ends {
			break
		}
	}
	t.choose(domain)
	return t
}

// targets are the names to ask about, in order.
func targets(domain string) []string {
	names := []string{domain}
	labels := strings.Split(domain, ".")
	next := labels[1:]
	if len(labels) >= maxLabels {
		next = labels[len(labels)-(maxLabels-1):]
	}
	for ; len(next) > 0; next = next[1:] {
		names = append(names, strings.Join(next, "."))
	}
	return names
}

// choose selects the Organizational Domain from the longest name to the shortest.
func (t *Tree) choose(domain string) {
	t.Org, t.Why = domain, "no record was found: the domain stands for itself"
	for _, step := range t.Steps {
		switch {
		case step.Record == nil:
		case step.Record.PSD == "n":
			t.Org, t.Why = step.Domain, "its record says that it is an organisation's domain (psd=n)"
			return
		case step.Record.PSD == "y" && step.Domain != domain:
			t.Org, t.Why = oneBelow(domain, step.Domain), "it is one label below "+step.Domain+", which is a public suffix (psd=y)"
			return
		default:
			t.Org, t.Why = step.Domain, "it is the shortest name that has a record"
		}
	}
}

// oneBelow gives the name on the way from the domain to its ancestor that is one
// label longer than the ancestor.
func oneBelow(domain, ancestor string) string {
	rest := strings.TrimSuffix(domain, "."+ancestor)
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + ancestor
}

// Applies gives the step whose record applies to the domain that the walk began at:
// its own, the organisation's, the public suffix's; nil if there is none.
func (t *Tree) Applies(domain string) *Step {
	var org, suffix *Step
	for i := range t.Steps {
		switch s := &t.Steps[i]; {
		case s.Record == nil:
		case s.Domain == domain:
			return s
		case s.Domain == t.Org:
			org = s
		case s.Record.PSD == "y":
			suffix = s
		}
	}
	if org != nil {
		return org
	}
	return suffix
}
