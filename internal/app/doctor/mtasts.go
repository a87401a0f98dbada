package doctor

import (
	"context"
	"strings"

	"facteur/internal/base/lookup"
	"facteur/internal/net/tlspolicy"
)

// checkSTS: what is announced is there, and has our mail hosts in it.
func checkSTS(ctx context.Context, w *World, d Domain, r *report) {
	if !d.Receives {
		return
	}
	h := w.house(d)
	a := w.Resolver.LookupTXT(ctx, "_mta-sts."+d.Name)
	if a.State() == lookup.TryAgain {
		r.untold("whether "+d.Name+" has an MTA-STS policy", a.Err())
		return
	}
	id, err := tlspolicy.ParseRecord(a.Value())
	switch {
	case err != nil:
		r.add(Warning, "The _mta-sts record of %s can't be read: %v.", d.Name, err).because("Others do as if there were none.").do(h.STS().String())
	case id == "":
		r.add(Note, "%s has no MTA-STS policy.", d.Name).
			because("With one, nobody on the way can take the TLS from mail to here. It needs a web server for %s.", h.PolicyURL()).
			do(append([]string{"; serve this at " + h.PolicyURL() + ":"}, commented(h.PolicyText(), h.STS().String())...)...)
	default:
		checkPolicy(ctx, w, d, r)
	}
}

// commented is a text as comments of a zone file, and what follows it.
func commented(text, record string) (lines []string) {
	for line := range strings.Lines(text) {
		lines = append(lines, ";   "+strings.TrimSpace(line))
	}
	return append(lines, record)
}

func checkPolicy(ctx context.Context, w *World, d Domain, r *report) {
	if a := w.Resolver.LookupAddr(ctx, "mta-sts."+d.Name); a.State() == lookup.TryAgain {
		r.untold("whether the MTA-STS policy of "+d.Name+" is served", a.Err())
		return
	}
	p, err := w.Policy(ctx, d.Name)
	if err != nil {
		r.add(Warning, "The MTA-STS policy of %s is announced, and could not be fetched: %v.", d.Name, err).
			because("Others go by the old one as long as that counts, and report failures.").
			do(append([]string{"; serve this at " + w.house(d).PolicyURL() + ":"}, commented(w.house(d).PolicyText(), "")...)...)
		return
	}
	hosts := w.Resolver.LookupMX(ctx, d.Name)
	if hosts.State() == lookup.TryAgain {
		r.untold("whether the MTA-STS policy of "+d.Name+" has its mail hosts", hosts.Err())
	}
	for _, h := range hosts.Value() {
		if !p.Covers(h.Host) {
			level := Warning
			if p.Mode == tlspolicy.Enforce {
				level = Failure
			}
			r.about(h.Host, level, "The MTA-STS policy of %s does not have its mail host %s.", d.Name, h.Host).
				because("Others do not send to it.").do("; add to "+w.house(d).PolicyURL()+", and change the id of the record:", ";   mx: "+h.Host)
		}
	}
	switch {
	case len(r.list) > 0:
	case p.Mode != tlspolicy.Enforce:
		r.add(Note, "The MTA-STS policy of %s has the mode %s.", d.Name, p.Mode).because("It protects once it says enforce. Wait for reports without failures first.")
	default:
		r.add(OK, "The MTA-STS policy of %s is enforced.", d.Name)
	}
}

// checkTLSRPT: others are told where to report how their TLS to here worked (RFC 8460).
func checkTLSRPT(ctx context.Context, w *World, d Domain, r *report) {
	if !d.Receives {
		return
	}
	want := "_smtp._tls." + d.Name + `. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@` + d.Name + `"`
	a := w.Resolver.LookupTXT(ctx, "_smtp._tls."+d.Name)
	var found []string
	for _, text := range a.Value() {
		if strings.HasPrefix(text, "v=TLSRPTv1;") {
			found = append(found, text)
		}
	}
	switch {
	case a.State() == lookup.TryAgain:
		r.untold("where reports about TLS to "+d.Name+" go", a.Err())
	case len(found) == 0:
		r.add(Note, "%s does not ask for reports about TLS.", d.Name).because("Others could tell when their connections to here fail.").do(want).link("https://www.rfc-editor.org/rfc/rfc8460")
	case len(found) > 1 || !strings.Contains(found[0], "rua=mailto:") && !strings.Contains(found[0], "rua=https:"):
		r.add(Warning, "The _smtp._tls records of %s are not one that can be read.", d.Name).because("Nobody reports anything.").do(want)
	default:
		r.add(OK, "Reports about TLS to %s are asked for.", d.Name)
	}
}
