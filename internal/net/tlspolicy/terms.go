package tlspolicy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"

	"facteur/internal/net/dns"
	"facteur/internal/net/smtpc"
)

// Host is a mail host of a destination.
type Host struct {
	Name string
	Port uint16
	// Secure: the MX record that names it was validated by DNSSEC.
	Secure bool
	// Addrs are its addresses, and whether they were validated.
	Addrs dns.Host
}

// Terms are what a connection to one host has to have.
type Terms struct {
	Security smtpc.Security
	// ServerName is what is asked for in the handshake; "": the host.
	ServerName string
	// Check looks at the certificate; nil: nobody cares. Where Security is not Verified
	// its complaint is only reported.
	Check      func(tls.ConnectionState) error
	MinVersion uint16
	// Policy and Lines are what a report calls it.
	Policy PolicyType
	Lines  []string
	// Trusted: the name of the host does not hang on a DNS answer that anybody could
	// have forged.
	Trusted bool
	// Expected is for RequireTLS: DANE, MTA-STS or the admin says that the host has TLS.
	// Where it does not offer any, somebody in between may have taken that away.
	Expected bool
	// Why tells people, in a few words, what the terms come from.
	Why string

	host  string
	roots *x509.CertPool
}

// Refusal is why a host does not get mail at this time.
type Refusal struct {
	Type ResultType
	Text string
	// Permanent: waiting does not help.
	Permanent bool
}

// Error gives the Text.
func (r *Refusal) Error() string { return r.Text }

// certificateWanted says what a level of the settings asks for.
func certificateWanted(l Level) string {
	if l == Fingerprint {
		return "a certificate as the settings name it (" + l.String() + ")"
	}
	return "a good certificate for the right name (" + l.String() + ")"
}

// Terms decides for a host of the destination. The error is a *Refusal.
func (k *Keeper) Terms(ctx context.Context, d *Demand, h Host) (Terms, error) {
	t := Terms{Policy: PolicyNone, MinVersion: d.rule.MinVersion, Trusted: d.nameIsTrusted(h), host: h.Name, roots: d.rule.Roots}
	switch d.Level {
	case None:
		t.Security, t.Why = smtpc.Clear, "no TLS: the settings say so"
		return t, nil
	case Fingerprint, Verify, Secure:
		t.Security, t.Check = smtpc.Verified, d.rule.check(d.Domain, h.Name)
		t.Trusted = t.Trusted || d.Level != Verify
		t.Why = certificateWanted(d.Level)
		return t, nil
	case Dane, DaneOnly:
		records, err := k.daneRecords(ctx, d, h)
		if err != nil || records != nil {
			return t.dane(d, h, records, err)
		}
	}
	if d.STS != nil {
		return t.sts(d, h)
	}
	t.Security, t.Why = smtpc.Opportunistic, "TLS if it is offered"
	if d.Level == Encrypt {
		t.Security, t.Why = smtpc.Encrypted, "TLS, whoever the host proves to be"
	}
	return t, nil
}

// nameIsTrusted: DNSSEC or a policy says that the host takes mail for the domain, or the
// domain or the admin itself.
func (d *Demand) nameIsTrusted(h Host) bool {
	return d.Named || h.Secure || h.Name == d.Domain || d.STS != nil && d.STS.Covers(h.Name)
}

// daneRecords are the TLSA records of a host, nil where DANE does not apply.
func (k *Keeper) daneRecords(ctx context.Context, d *Demand, h Host) (*tlsa, error) {
	var records *tlsa
	if d.trust && (h.Secure || d.Named || h.Name == d.Domain) {
		var err error
		if records, err = k.tlsaOf(ctx, h); err != nil {
			return nil, &Refusal{Type: DNSSECInvalid, Text: fmt.Sprintf("TLSA lookup error for %s:%d: %v", h.Name, h.Port, err)}
		}
	}
	if d.Level == DaneOnly && (records == nil || len(records.usable) == 0) {
		return records, &Refusal{Type: DANERequired, Text: fmt.Sprintf("host %s has no usable TLSA records that DNSSEC validates, and the settings demand them (dane-only)", h.Name)}
	}
	return records, nil
}

func (t Terms) dane(d *Demand, h Host, records *tlsa, err error) (Terms, error) {
	t.Policy = PolicyTLSA
	if records != nil {
		t.Lines, t.ServerName = records.strings(), records.base
	}
	switch {
	case err != nil:
		t.Why = err.Error()
		return t, err
	case len(records.usable) == 0: // RFC 7672 §2.2
		t.Security, t.Why = smtpc.Encrypted, "TLS: the host has TLSA records, of which we can use none (DANE)"
		t.Check = func(tls.ConnectionState) error { return errUnusable }
		return t, nil
	}
	names := []string{records.base, h.Name, d.Domain}
	t.Security, t.Check = smtpc.Verified, records.check(slices.Compact(names))
	t.Why = fmt.Sprintf("a certificate that the TLSA records of %s name (DANE)", records.base)
	return t, nil
}

// sts follows the policy of the domain. One in testing changes nothing, but the
// certificate is looked at for the report.
func (t Terms) sts(d *Demand, h Host) (Terms, error) {
	t.Policy, t.Lines = PolicySTS, d.STS.Lines()
	covered := d.STS.Covers(h.Name)
	enforced := d.STS.Mode == Enforce
	switch {
	case !covered && enforced:
		err := &Refusal{Type: ValidationFailure, Text: fmt.Sprintf("the MTA-STS policy of %s does not name the mail host %s", d.Domain, h.Name)}
		t.Why = err.Text
		return t, err
	case !covered:
		t.Check = func(tls.ConnectionState) error { return errNotCovered }
	default:
		t.Check = smtpc.CheckNames(t.roots, h.Name)
	}
	switch {
	case enforced:
		t.Security, t.Why = smtpc.Verified, fmt.Sprintf("a certificate for %s: the MTA-STS policy of %s enforces it", h.Name, d.Domain)
	case d.Level == Encrypt:
		t.Security, t.Why = smtpc.Encrypted, "TLS, whoever the host proves to be"
	default:
		t.Security, t.Why = smtpc.Opportunistic, fmt.Sprintf("TLS if it is offered: the MTA-STS policy of %s is only being tested", d.Domain)
	}
	return t, nil
}

// RequireTLS makes the terms those of a message that must travel under TLS all the way
// (RFC 8689 §4.2.1): the name of the host is trusted, and its certificate is for it. The
// error is a *Refusal, temporary where it can't be told now whether the name is.
func (t Terms) RequireTLS(d *Demand) (Terms, error) {
	if !t.Trusted {
		text := fmt.Sprintf("the message must travel under TLS all the way (REQUIRETLS), and neither DNSSEC nor MTA-STS vouches that %s is a mail host of %s", t.host, d.Domain)
		return t, &Refusal{Type: ValidationFailure, Text: text, Permanent: d.Trouble == nil && d.Doubt == nil}
	}
	t.Expected = t.Security >= smtpc.Encrypted || d.STS != nil && d.STS.Covers(t.host)
	if t.Security == smtpc.Verified {
		return t, nil
	}
	t.Security, t.Check = smtpc.Verified, smtpc.CheckNames(t.roots, t.host)
	t.Why = "a certificate for " + t.host + " (REQUIRETLS)"
	return t, nil
}

// Apply puts the terms into the settings of a connection.
func (t Terms) Apply(c *smtpc.Config) {
	c.Security, c.ServerName, c.Check, c.NameTrusted = t.Security, t.ServerName, t.Check, t.Trusted
	if t.MinVersion != 0 {
		base := new(tls.Config)
		if c.TLS != nil {
			base = c.TLS.Clone()
		}
		base.MinVersion = t.MinVersion
		c.TLS = base
	}
}
