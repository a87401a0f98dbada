package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of what an issuer is asked and says.
const (
	answerTime = 5 * time.Second
	answerSize = 256 << 10
	maxKeys    = 100
	// keysLife is how long keys are used before they are fetched anew, and fetchPause the
	// least time between two fetches.
	keysLife   = time.Hour
	fetchPause = 10 * time.Second
)

// keeper has the keys of one issuer.
type keeper struct {
	issuer string
	http   *http.Client
	now    func() time.Time

	fetching sync.Mutex // one fetch at a time
	mu       sync.Mutex
	keys     []jose.JSONWebKey
	fetched  time.Time // when they came
	tried    time.Time // when it was tried last
	failure  error     // of that
}

func newKeeper(issuer string) *keeper {
	transport := &http.Transport{
		MaxConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, TLSHandshakeTimeout: answerTime,
		ResponseHeaderTimeout: answerTime, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
	}
	return &keeper{issuer: issuer, now: time.Now, http: &http.Client{
		Transport: transport, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// verify tells whether one of the keys signed a token. The error is that no keys are to
// be had.
func (k *keeper) verify(ctx context.Context, t token) (bool, error) {
	signed, named, fresh := k.try(t)
	if signed && fresh || named && fresh {
		return signed, nil
	}
	err := k.fetch(ctx)
	signed, named, _ = k.try(t)
	if signed || named || err == nil {
		return signed, nil
	}
	return false, err
}

// try tells whether a key that is known signed a token, whether there is one of its
// name at all, and whether the keys are fresh.
func (k *keeper) try(t token) (signed, named, fresh bool) {
	k.mu.Lock()
	keys := k.keys
	fresh = k.now().Sub(k.fetched) < keysLife
	k.mu.Unlock()
	for _, key := range keys {
		if t.fits(key) {
			named = named || t.key != ""
			if t.signedBy(key) {
				return true, named, fresh
			}
		}
	}
	return false, named, fresh
}

// fetch gets the keys, unless that was just tried.
func (k *keeper) fetch(ctx context.Context) error {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	k.mu.Lock()
	just, failure := k.now().Sub(k.tried) < fetchPause, k.failure
	k.mu.Unlock()
	if just {
		return failure
	}
	// Others wait for the result too: it does not end with the one who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	keys, err := k.discover(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failure = k.now(), err
	if err == nil {
		k.keys, k.fetched = keys, k.tried
	}
	return err
}

// discover asks where the keys are, and gets them.
func (k *keeper) discover(ctx context.Context) ([]jose.JSONWebKey, error) {
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != k.issuer { // Discovery §4.3
		return nil, fmt.Errorf("the issuer there calls itself %.200q", about.Issuer)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.get(ctx, about.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("there are more than %d keys", maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		if key, err := parseKey(text); err == nil { // those of other kinds are for others
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key that could be used")
	}
	return keys, nil
}

func (k *keeper) get(ctx context.Context, from string, into any) error {
	if err := CheckURL(from); err != nil {
		return fmt.Errorf("%.200q: %w", from, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	response, err := k.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the server answers %d %s", from, response.StatusCode, http.StatusText(response.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, answerSize+1))
	switch {
	case err != nil:
		return err
	case len(text) > answerSize:
		return fmt.Errorf("%s: the answer is too large", from)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: the answer is not what was expected", from)
	}
	return nil
}

var errKey = errors.New("that is no key for signatures")

// parseKey reads a JWK (RFC 7517, RFC 7518 §6, RFC 8037).
func parseKey(text []byte) (k jose.JSONWebKey, err error) {
	if err := k.UnmarshalJSON(text); err != nil || !k.IsPublic() || !k.Valid() || k.Use != "" && k.Use != "sig" {
		return k, errKey
	}
	// Shorter ones can be forged, longer ones are work.
	if public, ok := k.Key.(*rsa.PublicKey); ok && (public.N.BitLen() < 2048 || public.N.BitLen() > 8192) {
		return k, errKey
	}
	return k, nil
}
