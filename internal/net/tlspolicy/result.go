package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"

	"facteur/internal/net/smtpc"
)

// PolicyType is what a session was held to (RFC 8460 §4.4).
type PolicyType string

// The types of policies.
const (
	PolicyTLSA PolicyType = "tlsa"
	PolicySTS  PolicyType = "sts"
	PolicyNone PolicyType = "no-policy-found"
)

// ResultType is what went wrong with a session's TLS (RFC 8460 §4.3).
type ResultType string

// The results.
const (
	Success            ResultType = ""
	StartTLSMissing    ResultType = "starttls-not-supported"
	HostMismatch       ResultType = "certificate-host-mismatch"
	CertificateExpired ResultType = "certificate-expired"
	NotTrusted         ResultType = "certificate-not-trusted"
	ValidationFailure  ResultType = "validation-failure"
	TLSAInvalid        ResultType = "tlsa-invalid"
	DNSSECInvalid      ResultType = "dnssec-invalid"
	DANERequired       ResultType = "dane-required"
	STSFetchError      ResultType = "sts-policy-fetch-error"
	STSInvalid         ResultType = "sts-policy-invalid"
	STSWebPKIInvalid   ResultType = "sts-webpki-invalid"
)

// Result is how one session came to its TLS, or why it did not.
type Result struct {
	// Domain is whose policy it is.
	Domain string
	Policy PolicyType
	// Lines are the policy; MX the patterns of one by MTA-STS.
	Lines, MX []string
	Type      ResultType
	// Reason says more about a failure.
	Reason string
	// Local and Remote are the two ends, Host the name of the other; zero where no
	// connection was made.
	Local, Remote netip.Addr
	Host          string
}

// What a Check says of a session that goes on nevertheless.
var (
	errNotCovered = errors.New("the MTA-STS policy does not name the mail host")
	errUnusable   = errors.New("none of the TLSA records can be used")
)

// classify finds the name of an error.
func classify(err error) ResultType {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var web *tls.CertificateVerificationError
	switch {
	case err == nil:
		return Success
	case errors.Is(err, ErrFetch) && errors.As(err, &web):
		return STSWebPKIInvalid
	case errors.Is(err, ErrFetch):
		return STSFetchError
	case errors.Is(err, ErrPolicy), errors.Is(err, ErrRecord):
		return STSInvalid
	case errors.Is(err, errUnusable):
		return TLSAInvalid
	case errors.Is(err, smtpc.ErrNotOffered), errors.Is(err, smtpc.ErrStartTLS):
		return StartTLSMissing
	case errors.As(err, &host):
		return HostMismatch
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return CertificateExpired
	case errors.As(err, &invalid), errors.As(err, &unknown), errors.Is(err, smtpc.ErrNoCertificate), errors.Is(err, ErrFingerprint):
		return NotTrusted
	}
	return ValidationFailure
}

// Observed reports a session that was held to terms of a demand.
func (k *Keeper) Observed(d *Demand, t Terms, s smtpc.Session) {
	if d.quiet {
		return
	}
	r := t.result(d)
	r.Local, r.Remote, r.Host = s.Local.Addr(), s.Remote.Addr(), s.Host
	if s.Err != nil {
		r.Type, r.Reason = classify(s.Err), s.Err.Error()
	}
	k.report(r)
}

// Refused reports a host that was passed over without a connection.
func (k *Keeper) Refused(d *Demand, t Terms, h Host, why *Refusal) {
	if d.quiet {
		return
	}
	r := t.result(d)
	r.Host, r.Type, r.Reason = h.Name, why.Type, why.Text
	k.report(r)
}

func (t Terms) result(d *Demand) Result {
	r := Result{Domain: d.Domain, Policy: t.Policy, Lines: t.Lines}
	if d.STS != nil && t.Policy == PolicySTS {
		r.MX = d.STS.MX
	}
	return r
}

// Trust is what a connection's certificate is worth, in the word that Postfix logs.
func Trust(s tls.ConnectionState, verified bool, roots *x509.CertPool) string {
	switch {
	case verified:
		return "Verified"
	case len(s.PeerCertificates) == 0:
		return "Anonymous"
	case chain(s.PeerCertificates, roots, time.Now()) == nil:
		return "Trusted"
	}
	return "Untrusted"
}
