package report

import (
	"fmt"
	"strings"

	"facteur/internal/store/report"
)

// few is how many letters are no reason to do something.
const few = 10

// Advice says in one line what a source is, and what to do about it.
func Advice(s report.Source) string {
	failed := s.Letters - s.Passed
	switch {
	case s.Letters == 0:
		return "no letters"
	case failed == 0:
		return passing(s)
	case s.Passed >= failed && s.DKIM > 0:
		return fmt.Sprintf("%s of %s letters fail: a forwarder or list that changes letters; nothing to do", count(failed), count(s.Letters))
	case s.Overridden >= failed-few && s.Overridden > 0:
		return "a mailing list or forwarder, and receivers let it pass: nothing to do"
	case s.Signed > 0 && s.DKIM == 0 && s.Signed >= failed/2:
		return fmt.Sprintf("%s letters have your signature, and it does not hold: compare the key in the DNS with that of the signer, if it is no forwarder", count(s.Signed))
	case s.Known > 0 && s.Known >= failed/2 && !stopped(s, failed):
		return fmt.Sprintf("%s letters fail both and have your return path: add it to SPF or sign with DKIM, if it is yours", count(failed))
	case stopped(s, failed):
		return "spoofing, policy stops it" + unlessYours(s)
	case failed < few:
		return fmt.Sprintf("%s fail both: spoofing or a forwarder; nothing to do yet", letters(failed))
	}
	return fmt.Sprintf("%s letters fail both; it sends in your name: add it to SPF or sign with DKIM%s", count(failed), otherwise(s))
}

// stopped tells that receivers did not deliver most of what failed.
func stopped(s report.Source, failed int64) bool {
	return s.Rejected+s.Quarantined > 0 && (s.Rejected+s.Quarantined)*10 >= failed*9
}

// passing is the advice about a source whose letters all pass.
func passing(s report.Source) string {
	switch {
	case s.DKIM == s.Letters && s.SPF == s.Letters:
		return "in order"
	case s.DKIM == s.Letters && s.Known > s.Letters/2:
		return "DKIM holds; SPF does not cover it: add it to SPF if it is yours"
	case s.DKIM == s.Letters:
		return "forwarder, DKIM intact: nothing to do"
	case s.DKIM == 0:
		return "SPF alone: sign with DKIM, or these letters fail when they are forwarded"
	}
	return "in order: each letter passes SPF or DKIM"
}

func unlessYours(s report.Source) string {
	if len(s.Others) == 0 {
		return ""
	}
	return "; if " + strings.Join(s.Others, ", ") + " sends for you, let it sign with DKIM for your domain"
}

func otherwise(s report.Source) string {
	switch {
	case len(s.Others) > 0:
		return " for your domain (it is authentic as " + strings.Join(s.Others, ", ") + ")"
	case s.Policy == "none" || s.Policy == "":
		return "; if it is not yours, p=quarantine would stop it"
	}
	return ""
}

func letters(n int64) string {
	if n == 1 {
		return "1 letter"
	}
	return count(n) + " letters"
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
