package report

import (
	"fmt"
	"strings"

	"facteur/internal/store/report"
)

// Advice says in one line what a source is, as far as that can be known from reports, and
// what to do about it. What they can't tell it leaves open: "if it is yours".
func Advice(s report.Source) string {
	failed := s.Letters - s.Passed
	switch {
	case s.Letters == 0:
		return "no letters"
	case failed == 0:
		return passing(s)
	case s.Broken*2 >= failed:
		return broken(s, failed)
	case s.Forwarded*10 >= failed*9:
		return share(failed, s) + ", by a forwarder or mailing list, and receivers let them pass: nothing to do"
	case s.SPF > 0:
		return share(failed, s) + "; SPF has this source, but they have another return path and no signature: sign all mail with DKIM"
	}
	return share(failed, s) + ": " + stranger(s) + "; if not, " + spoofing(s, failed)
}

// passing is the advice about a source whose letters all pass.
func passing(s report.Source) string {
	switch {
	case s.DKIM == s.Letters && s.SPF == s.Letters:
		return "in order"
	case s.DKIM == s.Letters && s.Returning*2 > s.Letters:
		return "DKIM holds, SPF does not cover it: add it to SPF if it is yours; a forwarder needs nothing"
	case s.DKIM == s.Letters && s.SPF == 0:
		return "forwarder, or a service that signs for you; DKIM intact: nothing to do"
	case s.DKIM == 0:
		return "SPF alone: sign with DKIM, or these letters fail when they are forwarded"
	}
	return "in order: each letter passes SPF or DKIM"
}

// broken is the advice about a source whose letters that fail have our signature.
func broken(s report.Source, failed int64) string {
	if s.DKIM > 0 {
		return share(failed, s) + " though you signed them: a forwarder or list that changes letters, most likely; nothing to do"
	}
	return share(failed, s) + " though they have your signature: a list or forwarder that changes letters, or, if it is yours, its key is not the one in the DNS"
}

// stranger is what to do about a source that is not known, if it is ours.
func stranger(s report.Source) string {
	switch {
	case len(s.Others) > 0:
		return "if " + strings.Join(s.Others, ", ") + " sends for you, let it sign with DKIM for your domain"
	case s.Returning*2 >= s.Letters-s.Passed:
		return "they have your return path; if it is yours, add it to SPF or sign with DKIM"
	}
	return "if it is yours, add it to SPF and sign with DKIM"
}

// spoofing is what it is if it is not ours.
func spoofing(s report.Source, failed int64) string {
	stopped := s.Rejected + s.Quarantined
	switch {
	case stopped*10 >= failed*9:
		return "it is spoofing, and your policy stops it"
	case s.Policy == "none" || s.Policy == "":
		return "it is spoofing, and p=none lets it through: p=quarantine or p=reject would stop it"
	case stopped > 0:
		return "it is spoofing, and your policy stops " + count(stopped) + " of them"
	}
	return "it is spoofing or a forwarder; receivers did not heed p=" + s.Policy
}

// share is "12 of 1,204 letters fail", or "1,204 letters fail" where none passes.
func share(failed int64, s report.Source) string {
	switch {
	case failed < s.Letters:
		return fmt.Sprintf("%s of %s letters fail", count(failed), count(s.Letters))
	case failed == 1:
		return "1 letter fails both"
	}
	return count(failed) + " letters fail both"
}

// count is a number with commas, "1,204".
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TLSAdvice says in one line what to do about failures of one kind, by the words of RFC
// 8460 §4.3.
func TLSAdvice(f report.TLSFailures) string {
	host := f.Host
	if host == "" {
		host = "the mail host"
	}
	switch f.Result {
	case "starttls-not-supported":
		return host + " did not offer STARTTLS: look what stands between it and the world"
	case "certificate-host-mismatch":
		return "the certificate of " + host + " is for another name: get one for the name in the MX record"
	case "certificate-expired":
		return "the certificate of " + host + " had expired: renew it, and let that happen by itself"
	case "certificate-not-trusted":
		return "the certificate of " + host + " is of nobody that others trust, or an intermediate one is missing"
	case "validation-failure":
		return "TLS with " + host + " failed: " + orUnknown(f.Reason)
	case "tlsa-invalid", "dnssec-invalid", "dane-required":
		return "the TLSA record of " + host + " does not fit its certificate, or DNSSEC is broken: \"facteur tls policy\" tells"
	case "sts-policy-fetch-error":
		return "the MTA-STS policy could not be fetched: look at https://mta-sts.DOMAIN/.well-known/mta-sts.txt"
	case "sts-policy-invalid":
		return "the MTA-STS policy can't be read: look at it, and at the record at _mta-sts.DOMAIN"
	case "sts-webpki-invalid":
		return "the web server at mta-sts.DOMAIN has no certificate that others trust"
	}
	return f.Result + ": " + orUnknown(f.Reason)
}

func orUnknown(s string) string {
	if s == "" {
		return "no reason is told"
	}
	return s
}
