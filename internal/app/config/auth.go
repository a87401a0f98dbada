package config

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"facteur/internal/base/conf"
	"facteur/internal/mail/address"
	"facteur/internal/mail/sasl"
	"facteur/internal/net/oidc"
	"facteur/internal/store/directory"
)

// Auth is how people prove who they are, at every service.
type Auth struct {
	// The mechanisms that clients may use, in the order in which they are offered.
	// Those with -PLUS, which notice somebody in between, are offered under TLS 1.3;
	// EXTERNAL to clients with a certificate that says who they are (client_ca,
	// [[client_certificate]]); OAUTHBEARER and XOAUTH2 with
	// oidc_issuer or oauth2_introspection_url. CRAM-MD5 is used only when it is listed: it keeps
	// something beside the password's hash that is as good as the password, made when
	// the password is set the next time or used by PLAIN. Without TLS nothing is
	// offered, except to clients on this machine.
	Mechanisms []Mechanism `toml:"mechanisms"`
	// How many failed log-ins one client may have within failure_time_unit, at all
	// services together, before it has to wait. Wider networks as in
	// limits.connections_per_client. A wrong password that is tried again counts
	// once. Who has logged in to an account before is counted on his own.
	// limits.exempt is not counted.
	FailuresPerClient int `toml:"failures_per_client"`
	// How many failed log-ins to one account within failure_time_unit, from clients
	// that never logged in to it, before such clients have to wait. The owner's own
	// do not.
	FailuresPerAccount int `toml:"failures_per_account"`
	// The time over which failures count. It can't change while the server runs.
	FailureTimeUnit conf.Duration `toml:"failure_time_unit"`
	// How long a failed log-in is left without an answer.
	FailureDelay conf.Duration `toml:"failure_delay"`
	// A file with certificates, PEM, of those who sign clients' certificates: an
	// e-mail address in such a certificate is the account that it stands for
	// (EXTERNAL).
	ClientCA string `toml:"client_ca"`
	// Where it can be asked whose an OAuth 2.0 token is (RFC 7662), "https://…".
	// Plain http only on this machine.
	OAuth2IntrospectionURL string `toml:"oauth2_introspection_url"`
	// Who we are there.
	OAuth2ClientID string `toml:"oauth2_client_id"`
	// A file with our password there, in its first line. It may not be readable by
	// everybody.
	OAuth2ClientSecretFile string `toml:"oauth2_client_secret_file"`
	// What names the account in the answer. Empty: "email", or else "username".
	OAuth2UsernameAttribute string `toml:"oauth2_username_attribute"`
	// A word that has to stand in the "scope" of the answer. Empty: any token of that
	// server opens the mail, also one that its owner gave to somebody's game or calendar;
	// set it where others than your mail programs get tokens there.
	OAuth2Scope string `toml:"oauth2_scope"`
	// The OpenID Connect issuer whose tokens (JWTs) are taken, "https://id.example.org",
	// as they have it in "iss". They are checked here with the keys that it publishes.
	// Tokens of another form go to oauth2_introspection_url, if there is one.
	OIDCIssuer string `toml:"oidc_issuer"`
	// What has to stand in "aud" of such a token: the name that mail has at the issuer.
	OIDCAudience string `toml:"oidc_audience"`
	// The claim that names the account. Empty: "email" of tokens that say
	// "email_verified": true; others are refused, since at many issuers people write their
	// address themselves, also that of somebody else. Where the issuer leaves
	// "email_verified" out (Entra does), name another claim that only its admins set, or
	// "email" if they alone set that: then it counts unless a token says that nobody checked it.
	OIDCClaim string `toml:"oidc_claim"`
	// A word that has to stand in "scope" or "scp". Empty: none has to.
	OIDCScope string `toml:"oidc_scope"`
}

// ClientCertificate is one certificate that stands for an account.
type ClientCertificate struct {
	// The SHA-256 fingerprint of the certificate, as "openssl x509 -noout
	// -fingerprint -sha256" writes it, with or without colons.
	Fingerprint string `toml:"fingerprint"`
	// The account that whoever holds its key may log in to (EXTERNAL).
	Account string `toml:"account"`
}

// Mechanism is the name of a SASL mechanism.
type Mechanism string

func mechanisms() []Mechanism {
	var out []Mechanism
	for _, m := range sasl.Mechanisms() {
		out = append(out, Mechanism(m))
	}
	return out
}

// Form says what a mechanism may be.
func (Mechanism) Form() string { return oneOf(mechanisms()...) }

// UnmarshalText takes the name of a mechanism.
func (m *Mechanism) UnmarshalText(text []byte) error { return choose(m, text, mechanisms()...) }

func defaultAuth() Auth {
	return Auth{
		Mechanisms: []Mechanism{sasl.PLAIN, sasl.LOGIN, sasl.SCRAMSHA256Plus, sasl.SCRAMSHA256, sasl.SCRAMSHA1Plus, sasl.SCRAMSHA1,
			sasl.EXTERNAL, sasl.OAUTHBEARER, sasl.XOAUTH2},
		FailuresPerClient: 10, FailuresPerAccount: 50,
		FailureTimeUnit: conf.Duration(time.Hour), FailureDelay: conf.Duration(2 * time.Second),
	}
}

// complete makes paths absolute.
func (a *Auth) complete(dir string) {
	a.ClientCA, a.OAuth2ClientSecretFile = from(dir, a.ClientCA), from(dir, a.OAuth2ClientSecretFile)
}

// ID is the octets of the fingerprint.
func (c ClientCertificate) ID() (id [32]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(c.Fingerprint, ":", ""))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("expected the 64 hexadecimal digits of a SHA-256 fingerprint")
	}
	return [32]byte(b), nil
}

// LoginMechanisms are those that clients may use. Where accounts are kept elsewhere,
// only those are offered that every account can use, unless the file lists others.
func (c *Config) LoginMechanisms() []Mechanism {
	all := c.Auth.Mechanisms
	if len(c.Directories) == 0 || !slices.Equal(all, defaultAuth().Mechanisms) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(m Mechanism) bool { return strings.HasPrefix(string(m), "SCRAM-") })
}

// KeyKinds is what has to be kept of passwords for the mechanisms.
func (c *Config) KeyKinds() directory.Kinds {
	has := func(m ...Mechanism) bool {
		return slices.ContainsFunc(m, func(m Mechanism) bool { return slices.Contains(c.Auth.Mechanisms, m) })
	}
	return directory.Kinds{
		SCRAMSHA256: has(sasl.SCRAMSHA256, sasl.SCRAMSHA256Plus), SCRAMSHA1: has(sasl.SCRAMSHA1, sasl.SCRAMSHA1Plus),
		CRAMMD5: has(sasl.CRAMMD5),
	}
}

// AsksForCertificates tells whether clients are asked for a certificate.
func (c *Config) AsksForCertificates() bool {
	return c.Auth.ClientCA != "" || len(c.ClientCertificates) > 0
}

// ClientRoots are the certificates of client_ca; nil without one.
func (a *Auth) ClientRoots() (*x509.CertPool, error) {
	if a.ClientCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.ClientCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", a.ClientCA)
	}
	return pool, nil
}

// OAuth2ClientSecret is the first line of its file; "" without one.
func (a *Auth) OAuth2ClientSecret() (string, error) {
	if a.OAuth2ClientSecretFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(a.OAuth2ClientSecretFile)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty", a.OAuth2ClientSecretFile)
	}
	return line, nil
}

func (k *checker) auth() {
	a := &k.c.Auth
	if len(a.Mechanisms) == 0 {
		k.failf("auth.mechanisms", "there is none, and nobody could log in; leave it out for the usual ones")
	}
	for i, m := range a.Mechanisms {
		if slices.Contains(a.Mechanisms[:i], m) {
			k.failf(fmt.Sprintf("auth.mechanisms[%d]", i), "%s is listed twice", m)
		}
	}
	k.atLeast("auth.failures_per_client", int64(a.FailuresPerClient), 1)
	k.atLeast("auth.failures_per_account", int64(a.FailuresPerAccount), 1)
	if t := a.FailureTimeUnit.Std(); t < time.Minute || t > 24*time.Hour {
		k.failf("auth.failure_time_unit", "expected 1m to 1d")
	}
	if t := a.FailureDelay.Std(); t < 0 || t > 30*time.Second {
		k.failf("auth.failure_delay", "expected 0s to 30s; clients do not wait much longer")
	}
	if _, err := a.ClientRoots(); err != nil {
		k.failf("auth.client_ca", "%v; expected a PEM file of the certificates that sign those of clients", err)
	}
	k.oauth2(a)
	k.oidc(a)
	k.clientCertificates()
}

func (k *checker) oauth2(a *Auth) {
	if a.OAuth2IntrospectionURL == "" {
		if a.OAuth2ClientID != "" || a.OAuth2ClientSecretFile != "" || a.OAuth2UsernameAttribute != "" || a.OAuth2Scope != "" {
			k.failf("auth.oauth2_introspection_url", "is missing; without it the other oauth2 settings have no use")
		}
		return
	}
	u, err := url.Parse(a.OAuth2IntrospectionURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		k.failf("auth.oauth2_introspection_url", `expected a URL such as "https://id.example.org/introspect", without user and password`)
	case u.Scheme == "http" && !loopbackHost(u.Hostname()), u.Scheme != "http" && u.Scheme != "https":
		k.failf("auth.oauth2_introspection_url", "expected https, as tokens are sent there; http only to this machine (127.0.0.1)")
	}
	if strings.ContainsFunc(a.OAuth2Scope, unicode.IsSpace) {
		k.failf("auth.oauth2_scope", "expected one word, found %q", a.OAuth2Scope)
	}
	if _, err := a.OAuth2ClientSecret(); err != nil {
		k.failf("auth.oauth2_client_secret_file", "%v", err)
	} else if info, err := os.Stat(a.OAuth2ClientSecretFile); err == nil && info.Mode().Perm()&0o037 != 0 {
		k.failf("auth.oauth2_client_secret_file", "%s is open to others (mode %04o); chmod 600 it", a.OAuth2ClientSecretFile, info.Mode().Perm())
	}
}

func (k *checker) oidc(a *Auth) {
	if a.OIDCIssuer == "" {
		if a.OIDCAudience != "" || a.OIDCClaim != "" || a.OIDCScope != "" {
			k.failf("auth.oidc_issuer", "is missing; without it the other oidc settings have no use")
		}
		return
	}
	if err := oidc.CheckURL(a.OIDCIssuer); err != nil {
		k.failf("auth.oidc_issuer", "%v", err)
	}
	if a.OIDCAudience == "" {
		k.failf("auth.oidc_audience", "is missing; without it a token that somebody gave to a game would open his mail")
	}
	if strings.ContainsFunc(a.OIDCScope, unicode.IsSpace) {
		k.failf("auth.oidc_scope", "expected one word, found %q", a.OIDCScope)
	}
}

func loopbackHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func (k *checker) clientCertificates() {
	seen := map[[32]byte]bool{}
	for i, c := range k.c.ClientCertificates {
		key := fmt.Sprintf("client_certificate[%d]", i)
		id, err := c.ID()
		switch {
		case err != nil:
			k.failf(key+".fingerprint", "%v", err)
		case seen[id]:
			k.failf(key+".fingerprint", "the certificate is there twice")
		}
		seen[id] = true
		if a, err := address.Parse(c.Account); err != nil || a.Domain == "" {
			k.failf(key+".account", `expected the address of an account, such as "alice@example.org", found %q`, c.Account)
		}
	}
}
