package rspamd

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"facteur/internal/test/doubling"
)

const answer = `{"is_skipped":false,"score":7.5,"required_score":15.0,"action":"add header","symbols":{"MILD":{"name":"MILD","score":-0.5},"HEAVY\r\nX: y":{"score":8.0,"options":["a"]}},"message-id":"a@b"}`

func TestParse(t *testing.T) {
	t.Parallel()
	a, err := parse([]byte(answer))
	if err != nil || a.Score != 7.5 || a.Required != 15 || a.Action != "add header" || len(a.Symbols) != 2 || a.Symbols[0] != (Symbol{"HEAVY??X: y", 8}) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := parse([]byte(`{"is_skipped":true}`)); err != nil || !a.Skipped {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := parse([]byte(`{"is_skipped":true,"score":15.0,"required_score":15.0,"action":"reject","symbols":{"GTUBE":{"score":0.0}}}`)); err != nil || a.Skipped || a.Score != 15 || len(a.Symbols) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	for _, text := range []string{"", "null", "[]", "{}", `{"score":1}`, `{"action":"reject"}`, `{"score":"1","action":"reject"}`, `{"score":1e999,"action":"reject"}`,
		`{"score":NaN,"action":"reject"}`, `{"score":1,"action":"reject"} {}`, `{"error":"no memory"}`, `{"score":null,"action":"reject"}`, "pong"} {
		if a, err := parse([]byte(text)); err == nil {
			t.Errorf("%s is no answer, and gives %+v", text, a)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(answer))
	f.Add([]byte(`{"error":"x\n"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parse(text)
		odd := func(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) }
		if odd(a.Action) || len(a.Symbols) > symbolsMost || a.Score-a.Score != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		for _, s := range a.Symbols {
			if odd(s.Name) {
				t.Fatalf("%q", s.Name)
			}
		}
	})
}

func TestParseDoubling(t *testing.T) {
	doubling.Check(t, "an answer", 2000, func(n int) func() {
		var b strings.Builder
		for i := range n {
			b.WriteString(`"S` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + `":{"score":1},`)
		}
		text := []byte(`{"score":1,"action":"reject","symbols":{` + b.String() + `"L":{"score":2}}}`)
		return func() { parse(text) }
	})
}

func ask(t *testing.T, h http.HandlerFunc) (*Client, context.Context) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := New(Config{Network: "tcp", Address: strings.TrimPrefix(s.URL, "http://"), Password: "secret"})
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c, ctx
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c, ctx := ask(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/checkv2" || string(body) != "the letter" || r.ContentLength != 10 || r.Header.Get("Helo") != "evil??X-Y: z" || len(r.Header["Rcpt"]) != 2 ||
			r.Header.Get("From") != "<>" || r.Header.Get("Ip") != "192.0.2.1" || r.Header.Get("Queue-Id") != "4AB" || r.Header.Get("Password") != "secret" {
			t.Errorf("%v %v %q", r.URL, r.Header, body)
		}
		io.WriteString(w, answer)
	})
	l := Letter{From: "<>", To: []string{"a@b.test", "c@d.test"}, IP: "192.0.2.1", Helo: "evil\r\nX-Y: z", QueueID: "4AB"}
	if a, err := c.Check(ctx, l, strings.NewReader("the letter"), 10); err != nil || a.Score != 7.5 {
		t.Errorf("%+v, %v", a, err)
	}
}

// What is no answer gives none.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a refusal":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"no"}`, 403) },
		"a redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.1/", 302) },
		"garbage":     func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "\x00\xff") },
		"without end": func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(zeros{}, answerMost+100)) },
		"half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			io.WriteString(w, answer)
		},
		"it breaks off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, ctx := ask(t, h)
			if a, err := c.Check(ctx, Letter{}, strings.NewReader("x"), 1); err == nil {
				t.Errorf("%+v", a)
			}
			if c.Ping(ctx) == nil {
				t.Error("that is no pong")
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// FLT-018: one that hangs is left when the context ends.
func TestCheckEnds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := New(Config{Network: "tcp", Address: l.Addr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Check(ctx, Letter{}, strings.NewReader("x"), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
