// Package introspect asks an authorization server whose a bearer token is (OAuth 2.0
// token introspection, RFC 7662).
//
// On the wire: one POST of a form to one URL, with HTTP basic authentication. No
// redirect is followed and no proxy is used, so that the token goes nowhere else.
// Answers are at most 64 KiB and take at most ten seconds.
//
// There are three answers. A server that is down, slow, confused or does not know
// us makes nobody's token wrong: try again. What it said is remembered for some
// seconds under a hash of the token, because mail programs open several connections
// at a time; a token that was revoked works that much longer.
//
// Nothing is kept on disk. Tokens and the client's secret are in no error.
package introspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/lookup"
)

// Bounds of one question.
const (
	answerTime = 10 * time.Second
	answerSize = 64 << 10 // bytes of JSON
	headerSize = 16 << 10 // bytes of HTTP headers
	atOnce     = 8        // questions at a time
)

// Config is whom to ask, and how.
type Config struct {
	// URL is the introspection endpoint.
	URL string
	// ClientID and ClientSecret are who we are there; without an ID nothing is said.
	ClientID, ClientSecret string
	// Attribute of the answer is the name of the account; "": email, or else
	// username.
	Attribute string
	// Scope is what a token must have been given out for; "": anything.
	Scope string
}

// Client asks. Its methods may be called from any goroutine.
type Client struct {
	config Config
	http   *http.Client
	memory memory
}

// New makes a Client. Roots and the like are the system's.
func New(c Config) *Client {
	transport := &http.Transport{
		MaxConnsPerHost: atOnce, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: answerTime, ResponseHeaderTimeout: answerTime, MaxResponseHeaderBytes: headerSize,
		DisableCompression: true, // what is small on the wire should not be large here
	}
	return &Client{config: c, memory: newMemory(), http: &http.Client{
		Transport: transport, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Account is the name of the account that a token belongs to; NotFound for a token
// that is not, or no longer, valid.
func (c *Client) Account(ctx context.Context, token string) lookup.Answer[string] {
	now := time.Now()
	if known, ok := c.memory.recall(token, now); ok {
		return known
	}
	answer, until := c.ask(ctx, token, now)
	if answer.State() != lookup.TryAgain {
		c.memory.keep(token, answer, until, now)
	}
	return answer
}

// errRevoked: the server knows the token as none.
var errRevoked = errors.New("the token is not valid")

// errScope: the server gave the token out for something else.
var errScope = errors.New("the token is not for mail")

// ask asks the server, and tells until when the token is good; zero: it did not say.
func (c *Client) ask(ctx context.Context, token string, now time.Time) (lookup.Answer[string], time.Time) {
	fields, err := c.post(ctx, token)
	if err != nil {
		return lookup.Later[string](fmt.Errorf("token introspection: %w", err)), time.Time{}
	}
	if !fields.active() {
		return lookup.No[string](errRevoked), time.Time{}
	}
	until := fields.expires()
	if !until.IsZero() && !now.Before(until) {
		return lookup.No[string](errRevoked), time.Time{}
	}
	if !fields.isFor(c.config.Scope) {
		return lookup.No[string](errScope), time.Time{}
	}
	name, err := fields.name(c.config.Attribute)
	if err != nil {
		return lookup.Later[string](fmt.Errorf("token introspection: %w", err)), time.Time{}
	}
	return lookup.Yes(name), until
}

func (c *Client) post(ctx context.Context, token string) (fields, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if c.config.ClientID != "" { // each half encoded: RFC 6749 §2.3.1
		r.SetBasicAuth(url.QueryEscape(c.config.ClientID), url.QueryEscape(c.config.ClientSecret))
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, answerSize+1))
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// fields are the members of an answer.
type fields map[string]any

func parse(text []byte) (fields, error) {
	if len(text) > answerSize {
		return nil, errors.New("the answer is too large")
	}
	var f fields
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, errors.New("the answer is no JSON object")
	}
	if _, ok := f["active"].(bool); !ok {
		return nil, errors.New(`the answer does not say whether the token is "active"`)
	}
	return f, nil
}

func (f fields) active() bool { return f["active"] == true }

// isFor tells whether the token was given out for a scope, one of several words (RFC
// 7662 §2.2).
func (f fields) isFor(scope string) bool {
	list, _ := f["scope"].(string)
	return scope == "" || slices.Contains(strings.Fields(list), scope)
}

func (f fields) expires() time.Time {
	seconds, ok := f["exp"].(float64)
	if !ok || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// name is whose the token is. With an e-mail address of which the server says that
// nobody checked it there is no name at all: whoever chose the address may have chosen
// the user name too, and at many servers the one is the other.
func (f fields) name(attribute string) (string, error) {
	wanted := []string{attribute}
	if attribute == "" {
		wanted = []string{"email", "username"}
	}
	for _, a := range wanted {
		name, _ := f[a].(string)
		if name == "" {
			continue
		}
		if a == "email" && f.unchecked() {
			return "", errors.New(`the answer says that nobody checked the "email" (email_verified)`)
		}
		return name, nil
	}
	return "", fmt.Errorf("the answer has no usable %q; oauth2_username_attribute names what has the account", strings.Join(wanted, `" or "`))
}

// unchecked tells that the server knows that nobody checked the e-mail address; some
// say so in a word.
func (f fields) unchecked() bool {
	said, given := f["email_verified"]
	return given && said != true && said != "true"
}
