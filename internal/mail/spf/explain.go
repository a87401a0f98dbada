package spf

import (
	"context"
	"strings"

	"facteur/internal/base/lookup"
)

// maxExplanation is what fits into a reply beside our own words, in octets.
const maxExplanation = 500

// explain finds what the owner of the record that failed wants to be told (§6.2). All
// that can go wrong leaves it empty.
func (e *evaluation) explain(ctx context.Context, v verdict) string {
	if v.record == nil || v.record.Exp == nil {
		return ""
	}
	e.terms = 0 // §4.6.4: what is asked for the explanation is not counted
	name, err := e.target(ctx, v.record.Exp, v.domain)
	if err != nil {
		return ""
	}
	a := e.dns.TXT(ctx, name)
	if a.State() != lookup.Found || len(a.Value()) != 1 || len(a.Value()[0]) > maxRecord {
		return ""
	}
	m, err := parseMacro(a.Value()[0], inExplain)
	if err != nil {
		return ""
	}
	text, err := e.expand(ctx, m, v.domain)
	if err != nil || !printable(text) {
		return ""
	}
	return strings.TrimSpace(clipTo(text, maxExplanation))
}
