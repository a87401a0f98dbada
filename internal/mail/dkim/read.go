package dkim

import (
	"cmp"
	"crypto"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// Options are what an admin may change. The zero Options are the defaults.
type Options struct {
	// Most is how many signatures are evaluated, 8 if it is 0.
	Most int
	// MinBits and MaxBits are the RSA keys that are believed, 1024 and 4096 if they
	// are 0. Below is a failure, above is not calculated.
	MinBits, MaxBits int
	// Skew is how wrong the clocks of others may be, 10 minutes if it is 0.
	Skew time.Duration
	// Partial lets a signature pass that does not cover the end of the body (l=). It
	// is "policy" else: anything may have been written there.
	Partial bool
}

// maxResults bounds what is reported of a message with a thousand signatures.
const maxResults = 64

func (o Options) complete() Options {
	o.Most = cmp.Or(max(o.Most, 0), 8)
	o.MinBits = max(cmp.Or(o.MinBits, 1024), 1024)
	o.MaxBits = cmp.Or(max(o.MaxBits, 0), 4096)
	o.Skew = cmp.Or(max(o.Skew, 0), 10*time.Minute)
	return o
}

// Signatures are those of a message, between its header and the end of its body.
type Signatures struct {
	all     []*signature
	fields  *Fields
	body    *Body
	options Options
}

// Read finds the signatures in a header, and claims from b what they need: before
// the body is written to it. The header must not change until Verify is done.
func Read(h message.Header, b *Body, o Options) *Signatures {
	s := &Signatures{body: b, options: o.complete()}
	for f := range h.Fields() {
		if f.Is("DKIM-Signature") && len(s.all) < maxResults*16 {
			s.all = append(s.all, readSignature(h[f.Start:f.End], f.Value))
		}
	}
	if len(s.all) == 0 {
		return s
	}
	s.pick(authors(h))
	wanted := false
	for _, sig := range s.all {
		if sig.result.Status == "" {
			sig.digest = b.Want(sig.result.Body, crypto.SHA256, sig.limit)
			wanted = true
		}
	}
	if wanted {
		s.fields = NewFields(h)
	}
	return s
}

// Len is how many signatures Verify will tell of.
func (s *Signatures) Len() int { return len(s.all) }

// pick leaves those that are worth the work: those of the author's domain, then
// the others, from the top. Those that can't be read cost nothing, and count last.
func (s *Signatures) pick(from []string) {
	ranked := slices.Clone(s.all)
	slices.SortStableFunc(ranked, func(a, b *signature) int { return cmp.Compare(a.rank(from), b.rank(from)) })
	for i, sig := range ranked {
		if i >= s.options.Most {
			sig.result.Status, sig.result.Skipped = Policy, true
			sig.result.Reason = "it was not looked at: the message has too many signatures"
		}
	}
	keep := make(map[*signature]bool, maxResults)
	for _, sig := range ranked[:min(len(ranked), maxResults)] {
		keep[sig] = true
	}
	s.all = slices.DeleteFunc(s.all, func(sig *signature) bool { return !keep[sig] })
}

func (s *signature) rank(from []string) int {
	switch {
	case s.result.Status != "":
		return 3
	case slices.Contains(from, s.result.Domain):
		return 0
	case slices.ContainsFunc(from, func(f string) bool { return Organisation(f) == Organisation(s.result.Domain) }):
		return 1
	}
	return 2
}

// Organisation is a good guess at whose a domain is, for an order, or to tell strangers
// apart: the name right below a public suffix. DMARC knows it from the DNS.
func Organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return strings.ToLower(org)
}

// mostAuthors is how many domains of From give a signature its precedence.
const mostAuthors = 8

// authors are the domains in From.
func authors(h message.Header) []string {
	var domains []string
	for _, text := range h.All("From") {
		for _, m := range message.ParseAddresses(text) {
			if len(domains) == mostAuthors {
				return domains
			}
			if d, err := address.ParseDomain(m.Host); err == nil {
				domains = append(domains, d)
			}
		}
	}
	return domains
}
