package oidc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"facteur/internal/base/lookup"
	"facteur/internal/test/doubling"
)

// issuer is one on this machine.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    []map[string]any
	broken  func(w http.ResponseWriter, r *http.Request) bool // answers instead
	fetched int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetched++
	switch {
	case i.broken != nil && i.broken(w, r):
	case r.URL.Path == "/.well-known/openid-configuration":
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys":
		json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	default:
		http.NotFound(w, r)
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signer makes tokens.
type signer struct {
	kid, alg string
	key      crypto.Signer
}

func (s signer) jwk() map[string]any {
	m := map[string]any{"kid": s.kid, "use": "sig"}
	switch k := s.key.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := k.Bytes()
		size := (len(point) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Curve.Params().Name, b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	return m
}

func (s signer) token(t *testing.T, c claims) string {
	t.Helper()
	header, _ := json.Marshal(map[string]any{"alg": s.alg, "kid": s.kid, "typ": "at+jwt"})
	body, _ := json.Marshal(c)
	text := b64(header) + "." + b64(body)
	return text + "." + b64(s.sign(t, text))
}

// hashes are those of the algorithms, by the end of their names.
var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// sign is made without the library that checks.
func (s signer) sign(t *testing.T, text string) []byte {
	t.Helper()
	h, pss := hashes[s.alg[2:]], s.alg[:2] == "PS"
	digest := func() []byte {
		d := h.New()
		d.Write([]byte(text))
		return d.Sum(nil)
	}
	var out []byte
	var err error
	switch k := s.key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(text))
	case *ecdsa.PrivateKey:
		r, sig, e := ecdsa.Sign(rand.Reader, k, digest())
		size := (k.Curve.Params().BitSize + 7) / 8
		out, err = append(r.FillBytes(make([]byte, size)), sig.FillBytes(make([]byte, size))...), e
	case *rsa.PrivateKey:
		if pss {
			out, err = rsa.SignPSS(rand.Reader, k, h, digest(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			out, err = rsa.SignPKCS1v15(rand.Reader, k, h, digest())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func signers(t *testing.T) map[string]signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]signer{}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		out[alg] = signer{"rsa", alg, r}
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		k, _ := ecdsa.GenerateKey(curve, rand.Reader)
		out[alg] = signer{alg, alg, k}
	}
	_, e, _ := ed25519.GenerateKey(rand.Reader)
	out["EdDSA"] = signer{"ed", "EdDSA", e}
	return out
}

// good are claims that are taken.
func (i *issuer) good() claims {
	return claims{"iss": i.URL, "aud": "mail", "exp": time.Now().Add(time.Hour).Unix(), "email": "alice@example.org", "email_verified": true, "scope": "openid mail"}
}

func want(t *testing.T, what string, got lookup.Answer[string], state lookup.State) {
	t.Helper()
	if got.State() != state || state == lookup.Found && got.Value() != "alice@example.org" {
		t.Errorf("%s: %v %q (%v), want %v", what, got.State(), got.Value(), got.Err(), state)
	}
}

func TestAlgorithms(t *testing.T) {
	i := newIssuer(t)
	all := signers(t)
	for _, s := range all {
		i.keys = append(i.keys, s.jwk())
	}
	i.keys = append(i.keys, map[string]any{"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}, map[string]any{"kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "weak"})
	v := New(Config{Issuer: i.URL, Audience: "mail"})
	for alg, s := range all {
		token := s.token(t, i.good())
		want(t, alg, v.Account(t.Context(), token), lookup.Found)
		for at := range 3 { // one octet of each part is another
			parts := strings.Split(token, ".")
			b, _ := base64.RawURLEncoding.DecodeString(parts[at])
			b[len(b)/2] ^= 1
			parts[at] = b64(b)
			if got := v.Account(t.Context(), strings.Join(parts, ".")); got.State() == lookup.Found {
				t.Errorf("%s: part %d may be changed", alg, at)
			}
		}
	}
	if i.fetched > 4 {
		t.Errorf("the issuer was asked %d times", i.fetched)
	}
	// A token that says "none", or is signed with what everybody can read.
	body, _ := json.Marshal(i.good())
	n := all["RS256"].key.Public().(*rsa.PublicKey).N.Bytes()
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"None","kid":"rsa"}`, `{"alg":"HS256","kid":"rsa"}`, `{"alg":"","kid":"rsa"}`, `{"kid":"rsa"}`,
		`{"alg":"ES256","kid":"rsa"}`, `{"alg":"EdDSA","kid":"rsa"}`, `{"alg":"RS256","kid":"rsa","crit":["exp"]}`} {
		text := b64([]byte(header)) + "." + b64(body)
		mac := hmac.New(sha256.New, n)
		mac.Write([]byte(text))
		for _, signature := range []string{"", b64(mac.Sum(nil)), b64(bytes.Repeat([]byte{0}, 64))} {
			want(t, header, v.Account(t.Context(), text+"."+signature), lookup.NotFound)
		}
	}
}

// Nothing that a token calls critical is understood, not even what the library knows.
func TestCritical(t *testing.T) {
	for header, good := range map[string]bool{`{"alg":"RS256"}`: true, `{"alg":"RS256","crit":["exp"]}`: false, `{"alg":"RS256","crit":["b64"],"b64":true}`: false,
		`{"alg":"RS256","crit":["b64"],"b64":false}`: false, `{"alg":"RS256","crit":[]}`: false} {
		if _, err := parse(b64([]byte(header)) + "." + b64([]byte(`{"iss":"x"}`)) + ".AAAA"); (err == nil) != good {
			t.Errorf("%s: %v", header, err)
		}
	}
}

// absent is a claim that a token does not have.
const absent = "(absent)"

func TestClaims(t *testing.T) {
	i := newIssuer(t)
	s := signers(t)["ES256"]
	i.keys = []map[string]any{s.jwk()}
	now := time.Now()
	for _, c := range []struct {
		name   string
		change claims
		config Config
		want   lookup.State
	}{
		{"as it is", nil, Config{}, lookup.Found},
		{"another issuer", claims{"iss": "https://id.example.net"}, Config{}, lookup.NotFound},
		{"no issuer", claims{"iss": nil}, Config{}, lookup.NotFound},
		{"for somebody else", claims{"aud": "game"}, Config{}, lookup.NotFound},
		{"for several", claims{"aud": []string{"game", "mail"}}, Config{}, lookup.Found},
		{"for nobody", claims{"aud": nil}, Config{}, lookup.NotFound},
		{"over, by the clock of another", claims{"exp": now.Add(-30 * time.Second).Unix()}, Config{}, lookup.Found},
		{"over", claims{"exp": now.Add(-2 * time.Minute).Unix()}, Config{}, lookup.NotFound},
		{"for ever", claims{"exp": nil}, Config{}, lookup.NotFound},
		{"for ever, in words", claims{"exp": "4102444800"}, Config{}, lookup.NotFound},
		{"not yet", claims{"nbf": now.Add(time.Hour).Unix()}, Config{}, lookup.NotFound},
		{"of tomorrow", claims{"iat": now.Add(24 * time.Hour).Unix()}, Config{}, lookup.NotFound},
		{"since a moment", claims{"nbf": now.Add(20 * time.Second).Unix()}, Config{}, lookup.Found},
		{"scope", nil, Config{Scope: "mail"}, lookup.Found},
		{"scope as a list", claims{"scope": nil, "scp": []string{"mail"}}, Config{Scope: "mail"}, lookup.Found},
		{"another scope", claims{"scope": "openid mailing"}, Config{Scope: "mail"}, lookup.NotFound},
		{"no scope", claims{"scope": nil}, Config{Scope: "mail"}, lookup.NotFound},
		{"claim", claims{"upn": "alice@example.org", "email": "x"}, Config{Claim: "upn"}, lookup.Found},
		{"no such claim", nil, Config{Claim: "upn"}, lookup.NotFound},
		{"claim of another type", claims{"email": 1}, Config{}, lookup.NotFound},
		{"address nobody checked", claims{"email_verified": false}, Config{}, lookup.NotFound},
		{"address somebody checked, in a word", claims{"email_verified": "true"}, Config{}, lookup.Found},
		{"address of which nothing is said", claims{"email_verified": nil}, Config{}, lookup.NotFound},
		{"address that the admin trusts", claims{"email_verified": absent}, Config{Claim: "email"}, lookup.Found},
		{"address that the admin trusts and nobody checked", claims{"email_verified": false}, Config{Claim: "email"}, lookup.NotFound},
		{"address left unsaid", claims{"email_verified": absent}, Config{}, lookup.NotFound},
	} {
		all := i.good()
		for k, v := range c.change {
			all[k] = v
			if v == absent {
				delete(all, k)
			}
		}
		c.config.Issuer, c.config.Audience = i.URL, "mail"
		want(t, c.name, New(c.config).Account(t.Context(), s.token(t, all)), c.want)
	}
}

// Keys change; while they can't be fetched nobody knows, and those that are known go on.
func TestRotationAndOutage(t *testing.T) {
	i := newIssuer(t)
	all := signers(t)
	first, second := all["ES256"], all["EdDSA"]
	i.keys = []map[string]any{first.jwk()}
	i.broken = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
	v := New(Config{Issuer: i.URL, Audience: "mail"})
	now := time.Now()
	v.keys.now = func() time.Time { return now }
	want(t, "down from the start", v.Account(t.Context(), first.token(t, i.good())), lookup.TryAgain)
	i.broken = nil
	want(t, "not asked again at once", v.Account(t.Context(), first.token(t, i.good())), lookup.TryAgain)
	now = now.Add(fetchPause)
	want(t, "up", v.Account(t.Context(), first.token(t, i.good())), lookup.Found)
	i.keys = []map[string]any{second.jwk()}
	want(t, "a key nobody knows yet", v.Account(t.Context(), second.token(t, i.good())), lookup.NotFound)
	now = now.Add(fetchPause)
	want(t, "the new key", v.Account(t.Context(), second.token(t, i.good())), lookup.Found)
	want(t, "the old key", v.Account(t.Context(), first.token(t, i.good())), lookup.NotFound)
	asked := i.fetched
	for n := range 100 {
		stranger := first
		stranger.kid = fmt.Sprint("k", n)
		want(t, "a key that is not there", v.Account(t.Context(), stranger.token(t, i.good())), lookup.NotFound)
	}
	if i.fetched != asked {
		t.Errorf("strangers made us ask %d times", i.fetched-asked)
	}
	i.broken = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
	now = now.Add(2 * keysLife)
	want(t, "MAP-004 down for hours", v.Account(t.Context(), second.token(t, i.good())), lookup.Found)
	want(t, "MAP-004 another key meanwhile", v.Account(t.Context(), first.token(t, i.good())), lookup.TryAgain)
}

// What an issuer says is bounded, and leads nowhere else.
func TestHostileIssuers(t *testing.T) {
	s := signers(t)["ES256"]
	elsewhere := newIssuer(t)
	for name, broken := range map[string]func(i *issuer) func(http.ResponseWriter, *http.Request) bool{
		"large": func(*issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				w.Write([]byte(`{"issuer":"` + strings.Repeat("x", 2*answerSize) + `"}`))
				return true
			}
		},
		"redirect": func(*issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, elsewhere.URL+r.URL.Path, 302)
				return true
			}
		},
		"another name": func(*issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				fmt.Fprintf(w, `{"issuer":"https://id.example.net","jwks_uri":"%s/keys"}`, elsewhere.URL)
				return true
			}
		},
		"keys in the clear": func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				fmt.Fprintf(w, `{"issuer":"%s","jwks_uri":"http://192.0.2.1/keys"}`, i.URL)
				return true
			}
		},
		"keys in a file": func(i *issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool {
				fmt.Fprintf(w, `{"issuer":"%s","jwks_uri":"file:///etc/passwd"}`, i.URL)
				return true
			}
		},
		"no keys": func(*issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/keys" {
					return false
				}
				w.Write([]byte(`{"keys":[{"kty":"oct"}]}`))
				return true
			}
		},
		"no JSON": func(*issuer) func(http.ResponseWriter, *http.Request) bool {
			return func(w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte("<html>")); return true }
		},
	} {
		i := newIssuer(t)
		i.keys = []map[string]any{s.jwk()}
		i.broken = broken(i)
		token := s.token(t, i.good())
		got := New(Config{Issuer: i.URL, Audience: "mail"}).Account(t.Context(), token)
		want(t, name, got, lookup.TryAgain)
		if strings.Contains(got.Err().Error(), token) {
			t.Errorf("MAP-010 %s: the token is in the error", name)
		}
	}
	if elsewhere.fetched != 0 {
		t.Error("a redirect was followed")
	}
	for url, good := range map[string]bool{"https://id.example.org": true, "http://127.0.0.1:8080": true, "http://[::1]/x": true, "http://id.example.org": false,
		"http://localhost.example.org": false, "ftp://id.example.org": false, "https://u:p@id.example.org": false, "id.example.org": false, "": false} {
		if (CheckURL(url) == nil) != good {
			t.Errorf("%s: %v", url, CheckURL(url))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a.b.c")
	f.Add(b64([]byte(`{"alg":"RS256"}`)) + "." + b64([]byte(`{"iss":"x"}`)) + ".AA")
	f.Add(b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{}`)) + ".")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parse(text)
		if err == nil && !slices.Contains(algorithms, jose.SignatureAlgorithm(token.algorithm)) {
			t.Errorf("%q is taken", text)
		}
	})
}

func TestDoubles(t *testing.T) {
	header := b64([]byte(`{"alg":"RS256"}`))
	doubling.Check(t, "token", maxToken/8, func(n int) func() {
		text := header + "." + b64([]byte(`{"aud":["`+strings.Repeat(`x","`, n/6)+`"]}`)) + ".AA"
		return func() { parse(text) } //nolint:errcheck // for its cost
	})
}
