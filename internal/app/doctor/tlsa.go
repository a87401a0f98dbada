package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"slices"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// checkTLSA: the TLSA records of port 25 are for the certificates that it shows. One that
// is not costs the mail of everybody who looks.
func checkTLSA(ctx context.Context, w *World, r *report) {
	host := w.Config.Hostname
	a := w.Resolver.LookupTLSA(ctx, host, 25)
	want := lines(records.House{Hostname: host, Certificates: leaves(w.Certificates)}.TLSA())
	switch a.State() {
	case lookup.TryAgain:
		r.untold("which TLSA records "+host+" has", a.Err())
	case lookup.NotFound:
		if w.Resolver.TrustsAD() && w.Resolver.LookupHost(ctx, host).Value().Secure {
			r.add(Note, "%s has no TLSA record, and its zone is signed by DNSSEC.", host).
				because("With one, nobody on the way can take the TLS from mail to here, and no authority is needed.").do(want...)
			return
		}
		r.add(OK, "%s has no TLSA record, and needs none without DNSSEC.", host)
	default:
		compareTLSA(w, a.Value(), want, r)
	}
}

func compareTLSA(w *World, set dns.TLSASet, want []string, r *report) {
	host := w.Config.Hostname
	if w.Resolver.TrustsAD() && !set.Secure {
		r.add(Warning, "The TLSA records of %s are not validated by DNSSEC.", host).because("They are worth nothing without it.")
		return
	}
	usable, shown := 0, 0
	for _, t := range set.Records {
		if t.Usage != 2 && t.Usage != 3 || t.Selector > 1 || t.Matching > 2 || len(t.Data) == 0 {
			r.about(host+" TLSA", Warning, "A TLSA record of %s is of no use for mail (usage %d, selector %d, matching %d).", host, t.Usage, t.Selector, t.Matching).
				because("Mail servers read 3 1 1 and 2 1 1 (RFC 7672 §3.1.3).").do(want...)
			continue
		}
		usable++
		if slices.ContainsFunc(w.Certificates, func(c tls.Certificate) bool { return describes(t, c) }) {
			shown++
		}
	}
	switch {
	case len(w.Certificates) == 0:
		r.add(Unknown, "It could not be told whether the TLSA records of %s are right: there is no certificate to compare.", host)
	case usable > 0 && shown == 0:
		r.add(Failure, "No TLSA record of %s is for the certificate that this server shows.", host).
			because("Who looks for DANE sends nothing to here.").do(want...)
	case usable > 0:
		f := r.add(OK, "A TLSA record of %s is for the certificate of this server.", host)
		if usable == 1 {
			f.because("Before the key changes, publish the record of the next one beside it, two days ahead.")
		}
	}
}

// describes tells whether a record is for a certificate or, with usage 2, its chain.
func describes(t dns.TLSA, c tls.Certificate) bool {
	chain := c.Certificate
	if t.Usage == 3 {
		chain = chain[:min(1, len(chain))]
	}
	return slices.ContainsFunc(chain, func(der []byte) bool {
		data := der
		if t.Selector == 1 {
			parsed, err := x509.ParseCertificate(der)
			if err != nil {
				return false
			}
			data = parsed.RawSubjectPublicKeyInfo
		}
		return bytes.Equal(t.Data, digest(t.Matching, data))
	})
}

func digest(matching uint8, data []byte) []byte {
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		return sum[:]
	case 2:
		sum := sha512.Sum512(data)
		return sum[:]
	}
	return data
}

func leaves(list []tls.Certificate) (out []*x509.Certificate) {
	for _, c := range list {
		if c.Leaf != nil {
			out = append(out, c.Leaf)
		}
	}
	return out
}

// lines are records ready to paste.
func lines(list []records.Record) (out []string) {
	for _, r := range list {
		out = append(out, r.String())
	}
	return out
}
