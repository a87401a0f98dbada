package post

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/internal/test/sim"
)

// server is a web server at loopback. Its certificate is for example.com, to which the zone
// of client leads.
func server(t *testing.T, answer http.HandlerFunc) (url string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return "https://example.com:" + s.URL[strings.LastIndexByte(s.URL, ':')+1:], roots
}

func anywhere(netip.Addr) bool { return true }

func client(t *testing.T, roots *x509.CertPool, permit func(netip.Addr) bool) *Client {
	t.Helper()
	return New(Config{Resolver: sim.Zone(t, "example.com. A 127.0.0.1\nother.example. A 127.0.0.1\nhidden.example. AAAA ::ffff:127.0.0.1\n!servfail down.example"), Roots: roots, Permit: permit})
}

func TestPost(t *testing.T) {
	url, roots := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/tlsrpt+gzip" || string(body) != "a report" || r.URL.Path != "/v1" {
			w.WriteHeader(400)
		}
		w.WriteHeader(201)
	})
	status, err := client(t, roots, anywhere).Post(t.Context(), url+"/v1", "application/tlsrpt+gzip", []byte("a report"))
	if status != 201 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
}

// AUT-018 an address that a stranger published leads to nothing of ours, and holds nobody up.
func TestHostileServers(t *testing.T) {
	var asked atomic.Int32
	count := func(w http.ResponseWriter, _ *http.Request) { asked.Add(1) }
	t.Run("AUT-018 machines of our own", func(t *testing.T) {
		url, roots := server(t, count)
		port := url[strings.LastIndexByte(url, ':'):]
		for _, at := range []string{url, "https://127.0.0.1" + port, "https://hidden.example" + port, "https://[::ffff:127.0.0.1]" + port} {
			_, err := client(t, roots, nil).Post(t.Context(), at, "x/y", nil)
			if !errors.Is(err, errPrivate) {
				t.Errorf("%s: %v", at, err)
			}
		}
		if asked.Load() != 0 {
			t.Error("a machine of our own was asked")
		}
	})
	t.Run("AUT-018 redirections", func(t *testing.T) {
		target, _ := server(t, count)
		url, roots := server(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		})
		status, err := client(t, roots, anywhere).Post(t.Context(), url, "x/y", []byte("x"))
		if status != 307 || err != nil || asked.Load() != 0 {
			t.Errorf("%d, %v, asked %d times", status, err, asked.Load())
		}
	})
	t.Run("AUT-018 endless answers", func(t *testing.T) {
		gone := make(chan error, 1)
		url, roots := server(t, func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					gone <- err
					return
				}
			}
		})
		if status, err := client(t, roots, anywhere).Post(t.Context(), url, "x/y", nil); status != 200 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
		<-gone // what is not read is not waited for
	})
	t.Run("AUT-018 endless headers", func(t *testing.T) {
		url, roots := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*postHeader)) })
		if _, err := client(t, roots, anywhere).Post(t.Context(), url, "x/y", nil); err == nil {
			t.Error("no error")
		}
	})
	t.Run("AUT-018 no answer", func(t *testing.T) {
		over := make(chan struct{})
		url, roots := server(t, func(http.ResponseWriter, *http.Request) { <-over })
		defer close(over)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := client(t, roots, anywhere).Post(ctx, url, "x/y", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("somebody else's certificate", func(t *testing.T) {
		url, roots := server(t, count)
		for at, roots := range map[string]*x509.CertPool{url: x509.NewCertPool(), strings.Replace(url, "example.com", "other.example", 1): roots} {
			if _, err := client(t, roots, anywhere).Post(t.Context(), at, "x/y", nil); err == nil {
				t.Errorf("%s: no error", at)
			}
		}
	})
	t.Run("no address", func(t *testing.T) {
		for _, at := range []string{"https://none.example/", "https://down.example/"} {
			if _, err := client(t, nil, anywhere).Post(t.Context(), at, "x/y", nil); err == nil {
				t.Errorf("%s: no error", at)
			}
		}
	})
}
