package introspect

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/base/lookup"
)

const token = "canary-2YotnFZFEjr1zCsicMWpAA"

// server answers with what reply writes, and counts.
func server(t *testing.T, reply http.HandlerFunc) (url string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		reply(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestAnswers(t *testing.T) {
	// RFC 7662 §2.2, with the address.
	const good = `{"active":true,"client_id":"l238j323ds-23ij4","username":"jdoe","email":"jdoe@example.org","scope":"read write dolphin",` +
		`"sub":"Z5O3upPC88QrAjx00dis","aud":"https://protected.example.net/resource","exp":4102444800}`
	for _, c := range []struct {
		name, attribute string
		status          int
		body            string
		want            lookup.State
		value           string
	}{
		{"RFC 7662 §2.2", "", 200, good, lookup.Found, "jdoe@example.org"},
		{"attribute", "username", 200, good, lookup.Found, "jdoe"},
		{"no address", "", 200, `{"active":true,"username":"jdoe"}`, lookup.Found, "jdoe"},
		{"address nobody checked", "", 200, `{"active":true,"email":"root@example.org","email_verified":false,"username":"root@example.org"}`, lookup.TryAgain, ""},
		{"the same in a word", "", 200, `{"active":true,"email":"root@example.org","email_verified":"false"}`, lookup.TryAgain, ""},
		{"address somebody checked", "", 200, `{"active":true,"email":"a@b","email_verified":"true","username":"jdoe"}`, lookup.Found, "a@b"},
		{"a name that was asked for", "username", 200, `{"active":true,"email":"root@example.org","email_verified":false,"username":"jdoe"}`, lookup.Found, "jdoe"},
		{"not active", "", 200, `{"active":false}`, lookup.NotFound, ""},
		{"over", "", 200, `{"active":true,"email":"a@b","exp":1}`, lookup.NotFound, ""},
		{"attribute is not there", "mail", 200, good, lookup.TryAgain, ""},
		{"attribute is no text", "exp", 200, good, lookup.TryAgain, ""},
		{"active is a word", "", 200, `{"active":"true","email":"a@b"}`, lookup.TryAgain, ""},
		{"nothing about active", "", 200, `{"email":"a@b"}`, lookup.TryAgain, ""},
		{"no JSON", "", 200, `<html>`, lookup.TryAgain, ""},
		{"a list", "", 200, `[]`, lookup.TryAgain, ""},
		{"nothing", "", 200, ``, lookup.TryAgain, ""},
		{"too much", "", 200, `{"active":true,"email":"a@b","x":"` + strings.Repeat("x", answerSize) + `"}`, lookup.TryAgain, ""},
		{"does not know us", "", 401, `{"active":false}`, lookup.TryAgain, ""},
		{"out of order", "", 503, good, lookup.TryAgain, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _ := server(t, says(c.status, c.body))
			got := New(Config{URL: url, Attribute: c.attribute, ClientID: "us", ClientSecret: "canary-secret"}).Account(t.Context(), token)
			if got.State() != c.want || got.Value() != c.value {
				t.Errorf("got %v %q, %v", got.State(), got.Value(), got.Err())
			}
			if err := got.Err(); err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("MAP-010: %v", err)
			}
		})
	}
}

// A token that somebody let a game have does not open the mail.
func TestScope(t *testing.T) {
	for _, c := range []struct {
		scope, of string
		want      lookup.State
	}{
		{"", ``, lookup.Found}, {"", `,"scope":"profile"`, lookup.Found}, {"mail", `,"scope":"openid mail"`, lookup.Found},
		{"mail", `,"scope":"openid email"`, lookup.NotFound}, {"mail", ``, lookup.NotFound}, {"mail", `,"scope":["mail"]`, lookup.NotFound},
	} {
		url, _ := server(t, says(200, `{"active":true,"email":"a@b"`+c.of+`}`))
		if got := New(Config{URL: url, Scope: c.scope}).Account(t.Context(), token); got.State() != c.want {
			t.Errorf("%q of %s: %v", c.scope, c.of, got.State())
		}
	}
}

func TestQuestion(t *testing.T) {
	url, asked := server(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if r.Method != "POST" || r.FormValue("token") != token || r.URL.RawQuery != "" || id != "a%3Ab" || secret != "c+d" {
			t.Errorf("%s %s, token %q, from %q %q", r.Method, r.URL, r.FormValue("token"), id, secret)
		}
		fmt.Fprint(w, `{"active":true,"email":"a@b"}`)
	})
	c := New(Config{URL: url, ClientID: "a:b", ClientSecret: "c d"})
	for range 3 {
		if got := c.Account(t.Context(), token); got.Value() != "a@b" {
			t.Error(got.State(), got.Err())
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A redirect would carry the token to whoever is named there.
func TestNoRedirect(t *testing.T) {
	other, asked := server(t, says(200, `{"active":true,"email":"a@b"}`))
	for _, status := range []int{301, 302, 307, 308} {
		url, _ := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, status) })
		if got := New(Config{URL: url}).Account(t.Context(), token); got.State() != lookup.TryAgain {
			t.Errorf("%d: %v", status, got.State())
		}
	}
	if asked.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

func TestDownAndSlow(t *testing.T) {
	over := make(chan struct{})
	url, _ := server(t, func(w http.ResponseWriter, r *http.Request) { <-over })
	t.Cleanup(func() { close(over) }) // before the server's Close, which waits for its handlers
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := New(Config{URL: url})
	if got := c.Account(ctx, token); got.State() != lookup.TryAgain {
		t.Error("slow:", got.State())
	}
	if got := New(Config{URL: "http://127.0.0.1:1/"}).Account(t.Context(), token); got.State() != lookup.TryAgain || strings.Contains(got.Err().Error(), token) {
		t.Error("down:", got.State(), got.Err())
	}
	if len(c.memory.entries) > 0 {
		t.Error("what nobody knows was remembered")
	}
}

func TestMemory(t *testing.T) {
	m, now := newMemory(), time.Unix(1000, 0)
	m.keep("a", lookup.Yes("x"), time.Time{}, now)
	m.keep("b", lookup.Yes("y"), now.Add(time.Second), now)
	for _, c := range []struct {
		token string
		after time.Duration
		known bool
	}{{"a", 0, true}, {"a", memoryTime - 1, true}, {"a", memoryTime, false}, {"b", 0, true}, {"b", time.Second, false}, {"c", 0, false}} {
		if _, known := m.recall(c.token, now.Add(c.after)); known != c.known {
			t.Errorf("%s after %v: %v", c.token, c.after, known)
		}
	}
	for i := range 2 * memorySize {
		m.keep(fmt.Sprint(i), lookup.Yes("x"), time.Time{}, now)
	}
	if len(m.entries) > memorySize {
		t.Error(len(m.entries), "entries")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"active":true,"email":"a@b","exp":1e300,"email_verified":false}`))
	f.Add([]byte(`{"active":false}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, err := parse(text)
		if err != nil {
			return
		}
		if name, err := answer.name(""); err == nil && name == "" {
			t.Error("a token of nobody")
		}
		answer.expires()
	})
}
