// Package login is the gate at which people prove who they are: one for all doors,
// SMTP and IMAP, and whatever else asks for a password.
//
//	Mechanisms(peer)                  what the door offers
//	Begin(peer, mechanism) → Next …   a SASL exchange, to an account or a Refusal
//	Password(peer, user, password)    the same for protocols with a log-in of their own
//
// A Refusal says what kind it is, and each door has its own words for that. What
// may be tried at all is counted across the doors (base/limit): over the limit the
// answer comes late and is "try again later", and no password is looked at.
//
// # Invariants
//
// Nothing that could be overheard is asked for: without TLS there is no mechanism,
// unless both ends are this machine. A wrong password and an unknown user are the
// same Refusal, after the same work and the same wait (ABU-012). What nobody could
// find out is Later, never Wrong. Secrets are in no Refusal.
//
// Nothing is kept here; a restart knows from the directory which networks belong to
// which account.
package login

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/directory"
)

// Peer is who wants to come in.
type Peer struct {
	Addr netip.Addr
	// Service is the door: "imap", "pop3" or "smtp". Some passwords count at some doors only.
	Service string
	// TLS is the state of the encryption, nil without.
	TLS *tls.ConnectionState
	// Loopback: both ends are this machine.
	Loopback bool
}

// Safe tells that nobody can listen in.
func (p Peer) Safe() bool { return p.TLS != nil || p.Loopback }

// Rules is what the admin set. A Rules is not changed once it is in use.
type Rules struct {
	// Hostname stands in challenges.
	Hostname string
	// Mechanisms may be used, in the order in which they are offered. Those that
	// need something else, a certificate or TLS 1.3, are offered where it is there.
	Mechanisms []string
	// Limits are for failed log-ins; Delay is the wait before one is answered.
	Limits limit.LoginRules
	Delay  time.Duration
	// Certificates say whose a client's certificate is.
	Certificates Certificates
	// Token tells whose a bearer token is; nil: tokens are not taken.
	Token func(ctx context.Context, token string) lookup.Answer[string]
}

// Accounts is what the gate asks of store/directory.
type Accounts struct {
	Password func(ctx context.Context, service, login, password string) lookup.Answer[directory.Account]
	Keys     func(ctx context.Context, login string, h sasl.Hash) (sasl.Keys, directory.Holder, error)
	Context  func(ctx context.Context, login string) (sasl.MD5Context, directory.Holder, error)
	Admit    func(ctx context.Context, h directory.Holder) lookup.Answer[directory.Account]
	Vouched  func(ctx context.Context, login string) lookup.Answer[directory.Account]
	// Name is a log-in name in the form in which failures are counted; nil: as an address
	// is compared.
	Name     func(login string) string
	Remember func(ctx context.Context, account string, network netip.Prefix, now time.Time) error
}

// AccountsOf are those of a directory.
func AccountsOf(d *directory.Directory) Accounts {
	return Accounts{
		Password: d.AuthenticateAt, Keys: d.Keys, Context: d.MD5Context,
		Admit: d.Admit, Vouched: d.Vouched, Name: d.LoginName, Remember: d.RememberNetwork,
	}
}

// House is what a gate stands in. All but EndPoints must be set.
type House struct {
	// Rules is asked at each attempt, so that a reload takes effect for the next.
	Rules    func() *Rules
	Accounts Accounts
	Logins   *limit.Logins
	// EndPoints are the channel bindings by our certificates.
	EndPoints func() []sasl.Binding
	// Bars says why an account is not let in at a service, though all is right; "" where it
	// is. nil: nobody is barred.
	Bars func(service, account string) string
}

// Gate is asked by all doors, from any goroutine.
type Gate struct{ house House }

// New makes a Gate.
func New(h House) *Gate { return &Gate{h} }

// Home tells of a client that somebody logged in from there before.
func (g *Gate) Home(client netip.Addr) bool { return g.house.Logins.Home(client) }

// Mechanisms are what p may use, in the order in which they are offered; none where
// somebody could listen in.
func (g *Gate) Mechanisms(p Peer) []string {
	if !p.Safe() {
		return nil
	}
	rules := g.house.Rules()
	out := make([]string, 0, len(rules.Mechanisms))
	for _, m := range rules.Mechanisms {
		if rules.has(m, p) {
			out = append(out, m)
		}
	}
	return out
}

// TakesPasswords tells whether p may send a password as it is.
func (g *Gate) TakesPasswords(p Peer) bool {
	return p.Safe() && slices.ContainsFunc(g.house.Rules().Mechanisms, func(m string) bool { return m == sasl.PLAIN || m == sasl.LOGIN })
}

// has tells whether what a mechanism needs is there.
func (r *Rules) has(mechanism string, p Peer) bool {
	switch {
	case strings.HasSuffix(mechanism, "-PLUS"):
		return p.binds()
	case mechanism == sasl.EXTERNAL:
		return len(r.Certificates.names(p.TLS, time.Now())) > 0
	case mechanism == sasl.OAUTHBEARER, mechanism == sasl.XOAUTH2:
		return r.Token != nil
	}
	return true
}

// binds tells whether there is a channel binding that clients know. TLS 1.2 has
// only tls-unique, which Go does not give.
func (p Peer) binds() bool { return p.TLS != nil && p.TLS.Version >= tls.VersionTLS13 }

// bindings are what is known of p's TLS connection, if that was offered.
func (g *Gate) bindings(r *Rules, p Peer) []sasl.Binding {
	offered := slices.ContainsFunc(r.Mechanisms, func(m string) bool { return strings.HasSuffix(m, "-PLUS") })
	if !offered || !p.binds() {
		return nil
	}
	var list []sasl.Binding
	if g.house.EndPoints != nil {
		list = g.house.EndPoints()
	}
	if b, ok := sasl.Exporter(p.TLS); ok {
		list = append(slices.Clone(list), b)
	}
	return list
}

// Begin starts an exchange. Close it.
func (g *Gate) Begin(ctx context.Context, p Peer, mechanism string) (*Exchange, *Refusal) {
	if !p.Safe() {
		return nil, &Refusal{Reason: NeedsTLS}
	}
	mechanism = strings.ToUpper(mechanism)
	x := &Exchange{gate: g, rules: g.house.Rules(), ctx: ctx, peer: p, mechanism: mechanism, asked: time.Now()}
	if slices.Contains(x.rules.Mechanisms, mechanism) && x.rules.has(mechanism, p) {
		x.machine = sasl.NewServer(mechanism, x.judge())
	}
	if x.machine == nil {
		return nil, &Refusal{Reason: Unknown}
	}
	return x, nil
}

// Password checks a password that came without SASL.
func (g *Gate) Password(ctx context.Context, p Peer, user, password string) (directory.Account, *Refusal) {
	switch {
	case !p.Safe():
		return directory.Account{}, &Refusal{Reason: NeedsTLS, User: user}
	case !g.TakesPasswords(p):
		return directory.Account{}, &Refusal{Reason: Unknown, User: user}
	}
	x := &Exchange{gate: g, rules: g.house.Rules(), ctx: ctx, peer: p, mechanism: sasl.PLAIN, asked: time.Now()}
	defer x.Close()
	err := error(sasl.ErrWrong)
	if user != "" && password != "" { // an empty one proves nothing to some directories, and lets in
		err = x.password(sasl.Credentials{User: user, Password: password})
	}
	if x.user = user; err == nil {
		err = x.admit()
	}
	if err != nil {
		return directory.Account{}, x.refuse(err)
	}
	return x.account, nil
}
