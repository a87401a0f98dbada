// Package oidc tells whose a bearer token is that an OpenID Connect issuer signed: a JWT
// (RFC 7519, RFC 9068), checked here with the keys that the issuer publishes.
//
// # On the wire
//
// GET of ISSUER/.well-known/openid-configuration (OpenID Connect Discovery 1.0), which
// has to name the same issuer, and of the jwks_uri that it names (RFC 7517). Both by
// HTTPS, plain HTTP only on this machine; no redirect is followed and no proxy is used.
// Answers are at most 256 KiB and take at most five seconds. Tokens are sent to nobody.
//
// Keys are fetched when a token is first seen, anew each hour, and when a token names a
// key that is not known, at most every ten seconds: keys change without anybody telling
// us, and strangers may name what they like.
//
// # Invariants
//
// There are three answers. A token that is not the issuer's, not for us, not of now, or
// not signed by one of its keys, is wrong; while the keys are not to be had, nobody knows,
// and the answer is "try again". Keys that are known are used on while the issuer is down.
// What a token may be signed with is a list of ours: RSA and ECDSA with SHA-2, Ed25519.
// "none" and the symmetric ones are not on it, and a key is used for its own kind only.
// Nothing is kept on disk, and no token stands in an error. Tokens, keys and signatures are
// read by go-jose. When keys are fetched, and the claims, are our own: the usual clients fetch
// for each unknown key, use a key until a strange one comes, and give one error for "wrong" and
// "nobody knows".
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/lookup"
)

// Config is whose tokens are taken, and which.
type Config struct {
	// Issuer is its URL, as the tokens have it in "iss".
	Issuer string
	// Audience has to stand in "aud" of a token. Never empty.
	Audience string
	// Claim has the name of the account. "": "email" of tokens that say that it was checked
	// (email_verified); with "email" itself, a token need not say so, but not the contrary.
	Claim string
	// Scope has to stand in "scope" or "scp"; "": none.
	Scope string
}

// CheckURL tells why a URL is none that keys may come from.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New(`expected a URL such as "https://id.example.org", without user and password`)
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("expected https")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err != nil || !a.IsLoopback() {
		return errors.New("expected https, as whoever is in between could make tokens; http only to this machine (127.0.0.1)")
	}
	return nil
}

// Verifier checks tokens. Its methods may be called from any goroutine.
type Verifier struct {
	config Config
	keys   *keeper
	now    func() time.Time
}

// New makes a Verifier; the issuer is not asked anything yet.
func New(c Config) *Verifier { return &Verifier{config: c, keys: newKeeper(c.Issuer), now: time.Now} }

// skew is how far clocks may be apart.
const skew = time.Minute

// Account is the name of the account that a token belongs to; NotFound for one that is
// not valid here.
func (v *Verifier) Account(ctx context.Context, token string) lookup.Answer[string] {
	t, err := parse(token)
	if err != nil {
		return lookup.No[string](err)
	}
	// What can be told without the keys is told first, so that a token of somebody
	// else's issuer makes nobody fetch anything.
	name, err := v.read(t.claims)
	if err != nil {
		return lookup.No[string](err)
	}
	switch signed, err := v.keys.verify(ctx, t); {
	case err != nil:
		return lookup.Later[string](fmt.Errorf("keys of %s: %w", v.config.Issuer, err))
	case !signed:
		return lookup.No[string](errors.New("the token is not signed by a key of its issuer"))
	}
	return lookup.Yes(name)
}

// Looks tells whether a bearer token could be a JWT: three parts with dots between.
func Looks(token string) bool { return strings.Count(token, ".") == 2 }

// claims are what a token says (RFC 7519 §4.1, RFC 9068 §2.2).
type claims map[string]any

// read checks what a token says, and gives the name in it.
func (v *Verifier) read(c claims) (string, error) {
	now := v.now()
	expires, ok := c.time("exp")
	switch {
	case c["iss"] != v.config.Issuer:
		return "", errors.New("the token is of another issuer")
	case !slices.Contains(c.words("aud"), v.config.Audience):
		return "", errors.New("the token is for somebody else (aud)")
	case !ok || !now.Before(expires.Add(skew)):
		return "", errors.New("the token is no longer valid")
	}
	for _, name := range []string{"nbf", "iat"} {
		if begins, ok := c.time(name); ok && now.Add(skew).Before(begins) {
			return "", errors.New("the token is not valid yet")
		}
	}
	if s := v.config.Scope; s != "" && !slices.Contains(c.list("scope"), s) && !slices.Contains(c.list("scp"), s) {
		return "", errors.New("the token is not for mail (scope)")
	}
	return c.name(v.config.Claim)
}

// name is whose the token is. At many issuers people write their e-mail address
// themselves, and whoever wrote somebody else's would get his mail.
func (c claims) name(claim string) (string, error) {
	chosen := claim != ""
	if !chosen {
		claim = "email"
	}
	name, _ := c[claim].(string)
	if name == "" {
		return "", fmt.Errorf("the token has no %q; oidc_claim names what has the account", claim)
	}
	said, given := c["email_verified"]
	switch {
	case claim != "email" || said == true || said == "true" || chosen && !given:
		return name, nil
	case given:
		return "", errors.New(`the issuer says that nobody checked the "email" (email_verified)`)
	}
	return "", errors.New(`the token does not say that somebody checked the "email" (email_verified); ` +
		`let oidc_claim name a claim that people can not change at the issuer`)
}

// words are a text, or several.
func (c claims) words(name string) (out []string) {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// list is a text of words with blanks between, or several texts.
func (c claims) list(name string) (out []string) {
	for _, s := range c.words(name) {
		out = append(out, strings.Fields(s)...)
	}
	return out
}

// time is a NumericDate.
func (c claims) time(name string) (time.Time, bool) {
	n, ok := c[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Float64()
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}
