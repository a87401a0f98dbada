package doctor

import (
	"context"
	"net/url"
	"strings"

	"facteur/internal/base/lookup"
)

// checkBIMI looks at the logo that a domain publishes (row 227). What a domain should do
// about it stands in docs/DOCTOR.md.
func checkBIMI(ctx context.Context, w *World, d Domain, r *report) {
	if d.NeverSends {
		return
	}
	const spec = "https://bimigroup.org/implementation-guide/"
	name := "default._bimi." + d.Name
	a := w.Resolver.LookupTXT(ctx, name)
	var found []string
	for _, text := range a.Value() {
		if strings.HasPrefix(text, "v=BIMI1") {
			found = append(found, text)
		}
	}
	switch {
	case a.State() == lookup.TryAgain:
		r.untold("whether "+d.Name+" has a logo", a.Err())
	case len(found) == 0:
		r.add(OK, "%s publishes no logo (BIMI), and need not.", d.Name).
			because("A logo is shown by Gmail and Apple only with a certificate for it (VMC for a trade mark, CMC for one in use for a year): about 700 to 1500 dollars a year.").link(spec)
	case len(found) > 1:
		r.add(Warning, "%s has %d BIMI records; one would count.", d.Name, len(found)).link(spec)
	default:
		checkLogo(ctx, w, d, found[0], r)
	}
}

// checkLogo looks at a record.
func checkLogo(ctx context.Context, w *World, d Domain, record string, r *report) {
	tags := map[string]string{}
	for tag := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(tag), "=")
		tags[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if tags["l"] == "" && tags["a"] == "" {
		r.add(OK, "%s says that it has no logo.", d.Name)
		return
	}
	checkURL(d, "l", tags["l"], ".svg", "a logo in the profile SVG Tiny PS", r)
	if tags["a"] == "" {
		r.add(Note, "The logo of %s has no certificate (a=).", d.Name).
			because("Gmail and Apple show it only with a VMC or CMC, about 700 to 1500 dollars a year; Yahoo and Fastmail without.")
	} else {
		checkURL(d, "a", tags["a"], ".pem", "the certificate of the logo", r)
	}
	if p, told := policyOf(ctx, w, d.Name, r); told && p != "quarantine" && p != "reject" {
		r.add(Warning, "%s publishes a logo, and its DMARC policy is %s.", d.Name, p).
			because("A logo is shown only for domains whose policy is quarantine or reject.").do("facteur dmarc show " + d.Name + "   # what is to be changed for p=quarantine")
	}
	if len(r.list) == 0 {
		r.add(OK, "The BIMI record of %s can be read.", d.Name)
	}
}

func checkURL(d Domain, tag, value, ending, what string, r *report) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" || u.Host == "" || !strings.HasSuffix(strings.ToLower(u.Path), ending) {
		r.add(Warning, "In the BIMI record of %s, %s= is not the address of %s (https://…%s).", d.Name, tag, what, ending)
	}
}
