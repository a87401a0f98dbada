package report

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/dmarc"
)

// maxURIs is how many destinations of one record are looked at (AUT-018).
const maxURIs = 5

// destination is where a report goes: to an address, or to a web server.
type destination struct {
	uri     string // as it is noted
	to      address.Address
	web     string // "https://…" of TLS reports
	max     int64  // bytes; 0 without a limit of its own
	problem string // why not
	later   bool   // the DNS did not answer
}

func (d destination) host() string {
	if d.web != "" {
		if u, err := url.Parse(d.web); err == nil {
			return u.Hostname()
		}
	}
	return d.to.Domain
}

// wishes are the destinations that the record of a policy domain names now. later tells
// that the DNS did not answer.
func (o *Office) wishes(ctx context.Context, domain string) (out []destination, later bool) {
	a := o.TXT(ctx, "_dmarc."+domain)
	switch a.State() {
	case lookup.TryAgain:
		return nil, true
	case lookup.NotFound:
		return nil, false
	}
	records := slices.DeleteFunc(slices.Clone(a.Value()), func(s string) bool { return !dmarc.Is(s) })
	if len(records) != 1 { // RFC 9989 §4.10: of several none counts
		return nil, false
	}
	r, err := dmarc.Parse(records[0])
	if err != nil {
		return nil, false
	}
	seen := map[string]bool{}
	for _, u := range r.RUA[:min(len(r.RUA), maxURIs)] {
		d := o.verified(ctx, domain, u)
		if !seen[d.uri] {
			out = append(out, d)
		}
		seen[d.uri] = true
	}
	return out, false
}

// verified is a destination if it is of the same organisation, or its owner says that he
// takes reports about the domain (RFC 9990 §4).
func (o *Office) verified(ctx context.Context, domain string, u dmarc.URI) destination {
	d := destination{uri: "mailto:" + u.Address.String(), to: u.Address, max: u.Max}
	host := u.Address.Domain
	if host == domain {
		return d
	}
	one, other := dmarc.Org(ctx, o.txt(), domain), dmarc.Org(ctx, o.txt(), host)
	if one.Failed || other.Failed {
		d.later, d.problem = true, "the DNS does not say whether they are of one organisation"
		return d
	}
	if one.Org == other.Org {
		return d
	}
	return o.external(ctx, domain, d)
}

// external asks the owner of a destination.
func (o *Office) external(ctx context.Context, domain string, d destination) destination {
	host := d.to.Domain
	name := domain + "._report._dmarc." + host
	if len(name) > 253 {
		d.problem = "the name to ask for " + host + "'s consent is too long"
		return d
	}
	a := o.TXT(ctx, name)
	if a.State() == lookup.TryAgain {
		d.later, d.problem = true, name+" can't be looked up now"
		return d
	}
	consents := slices.DeleteFunc(slices.Clone(a.Value()), func(s string) bool { return !dmarc.Is(s) })
	if a.State() != lookup.Found || len(consents) == 0 {
		d.problem = fmt.Sprintf("%s does not say that it takes reports about %s (no record at %s)", host, domain, name)
		return d
	}
	for _, text := range consents {
		r, err := dmarc.Parse(text)
		if err != nil || len(r.RUA) == 0 {
			continue
		}
		instead := r.RUA[0]
		if instead.Address.Domain != host { // to prevent loops and abuse
			d.problem = fmt.Sprintf("%s sends its reports on to %s, which is not allowed", host, instead.Address.Domain)
			return d
		}
		d.uri, d.to, d.max = "mailto:"+instead.Address.String(), instead.Address, cmp.Or(instead.Max, d.max)
		return d
	}
	return d
}

// tlsWishes are the destinations of reports on TLS (RFC 8460 §3).
func (o *Office) tlsWishes(ctx context.Context, domain string) (out []destination, later bool) {
	a := o.TXT(ctx, "_smtp._tls."+domain)
	if a.State() != lookup.Found {
		return nil, a.State() == lookup.TryAgain
	}
	records := slices.DeleteFunc(slices.Clone(a.Value()), func(s string) bool { return !isTLSRPT(s) })
	if len(records) != 1 { // RFC 8460 §3: of several none counts
		return nil, false
	}
	for _, text := range tlsURIs(records[0]) {
		if d, ok := tlsDestination(text); ok && !slices.ContainsFunc(out, func(o destination) bool { return o.uri == d.uri }) {
			out = append(out, d)
		}
		if len(out) == maxURIs {
			break
		}
	}
	return out, false
}

func isTLSRPT(text string) bool {
	version, _, _ := strings.Cut(text, ";")
	return strings.TrimSpace(version) == "v=TLSRPTv1"
}

// tlsURIs are the URIs of the first rua field.
func tlsURIs(record string) []string {
	for field := range strings.SplitSeq(record, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(field), "="); strings.TrimSpace(name) == "rua" {
			return strings.Split(value, ",")
		}
	}
	return nil
}

// tlsDestination reads a URI: mailto or https; others are passed over.
func tlsDestination(text string) (destination, bool) {
	text = strings.TrimSpace(text)
	if u, err := dmarc.ParseURI(text); err == nil {
		return destination{uri: "mailto:" + u.Address.String(), to: u.Address}, true
	}
	u, err := url.Parse(text)
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.User != nil || u.Hostname() == "" || len(text) > 1024 {
		return destination{}, false
	}
	u.Fragment = ""
	return destination{uri: u.String(), web: u.String()}, true
}
