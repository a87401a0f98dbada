package app

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/limit"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/login"
	"facteur/internal/mail/sasl"
	"facteur/internal/net/certs"
	"facteur/internal/net/introspect"
	"facteur/internal/net/oidc"
	"facteur/internal/store/directory"
	"facteur/internal/store/mailbox"
)

// openGate makes the gate at which all doors ask who somebody is.
func (a *App) openGate(c *config.Config) error {
	rules, err := loginRules(c)
	if err != nil {
		return err
	}
	a.setLogin(c, rules)
	logins := limit.NewLogins(c.Auth.FailureTimeUnit.Std())
	err = a.directory.Networks(context.Background(), time.Now(), func(account string, network netip.Prefix) { logins.Know(account, network) })
	if err != nil {
		return err
	}
	a.gate = login.New(login.House{
		Rules: a.logins.Load, Accounts: login.AccountsOf(a.directory), Logins: logins, EndPoints: a.endPoints, Bars: a.bars,
	})
	return nil
}

// setLogin takes over [auth].
func (a *App) setLogin(c *config.Config, rules *login.Rules) {
	a.directory.Keep(c.KeyKinds())
	a.logins.Store(rules)
}

// loginRules reads the files that [auth] names.
func loginRules(c *config.Config) (*login.Rules, error) {
	r := &login.Rules{
		Hostname: c.Hostname, Delay: c.Auth.FailureDelay.Std(),
		Limits: limit.LoginRules{
			PerClient: c.Auth.FailuresPerClient, PerAccount: c.Auth.FailuresPerAccount, Exempt: prefixes(c.Limits.Exempt),
		},
		Certificates: login.Certificates{Owners: make(map[login.Fingerprint]string)},
	}
	for _, m := range c.LoginMechanisms() {
		r.Mechanisms = append(r.Mechanisms, string(m))
	}
	for _, own := range c.ClientCertificates {
		id, err := own.ID()
		if err != nil {
			return nil, err
		}
		r.Certificates.Owners[id] = own.Account
	}
	secret, err := c.Auth.OAuth2ClientSecret()
	if err != nil {
		return nil, err
	}
	if r.Certificates.Roots, err = c.Auth.ClientRoots(); err != nil {
		return nil, err
	}
	if url := c.Auth.OAuth2IntrospectionURL; url != "" {
		r.Token = introspect.New(introspect.Config{
			URL: url, ClientID: c.Auth.OAuth2ClientID, ClientSecret: secret, Attribute: c.Auth.OAuth2UsernameAttribute,
			Scope: c.Auth.OAuth2Scope,
		}).Account
	}
	r.Token = tokens(c, r.Token)
	return r, nil
}

// tokens adds tokens that are checked here to those that another is asked about.
func tokens(c *config.Config, other func(context.Context, string) lookup.Answer[string]) func(context.Context, string) lookup.Answer[string] {
	if c.Auth.OIDCIssuer == "" {
		return other
	}
	v := oidc.New(oidc.Config{Issuer: c.Auth.OIDCIssuer, Audience: c.Auth.OIDCAudience, Claim: c.Auth.OIDCClaim, Scope: c.Auth.OIDCScope})
	return func(ctx context.Context, token string) lookup.Answer[string] {
		if other != nil && !oidc.Looks(token) {
			return other(ctx, token)
		}
		return v.Account(ctx, token)
	}
}

// endPoints are the channel bindings by the certificates in use.
func (a *App) endPoints() []sasl.Binding {
	var out []sasl.Binding
	for _, c := range a.certs.Leaves() {
		out = append(out, sasl.EndPoint(c))
	}
	return out
}

// open opens the mailboxes of who has logged in.
func (a *App) open(ctx context.Context, account directory.Account) (*mailbox.Account, error) {
	return a.mailboxes.Open(ctx, a.owner(account))
}

// asking adds to a listener's TLS that clients are asked for a certificate, where
// users log in. Any will do for the handshake, as a client may have one that has
// nothing to do with us; the gate decides what it is worth. Clients are told whom we
// trust to sign, unless single certificates count too, which nobody we know signed.
func asking(c *config.Config, s config.Service, p certs.Policy) certs.Policy {
	if !people(s) || !c.AsksForCertificates() {
		return p
	}
	p.ClientAuth = tls.RequestClientCert
	if len(c.ClientCertificates) == 0 {
		p.ClientCAs, _ = c.Auth.ClientRoots() // loginRules told what is wrong with it
	}
	return p
}
