package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files writes a certificate for name into two files.
func files(t *testing.T, name string) Pair {
	t.Helper()
	text, err := makeSelfSigned(name, time.Now())
	must(t, err)
	path := filepath.Join(t.TempDir(), "pair.pem")
	must(t, os.WriteFile(path, text, 0o600))
	return Pair{path, path}
}

// shake runs a handshake and gives the client's side of it.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		s := tls.Server(c, server)
		if s.Handshake() == nil {
			s.Write([]byte("x")) // carries the session ticket along
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer c.Close()
	s := tls.Client(c, client)
	if err := s.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = s.Read(make([]byte, 1))
	return s.ConnectionState(), err
}

func TestSelfSignedIsKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	now := time.Now()
	first, err := selfSigned(dir, "mx.example.org", now)
	must(t, err)
	for _, name := range []string{"mx.example.org", "localhost", "127.0.0.1", "::1"} {
		if err := first.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	again, err := selfSigned(dir, "mx.example.org", now)
	must(t, err)
	if !first.Leaf.Equal(again.Leaf) {
		t.Error("a second start made another certificate")
	}
	renamed, err := selfSigned(dir, "mail.example.org", now)
	must(t, err)
	if renamed.Leaf.Equal(first.Leaf) || renamed.Leaf.VerifyHostname("mail.example.org") != nil {
		t.Error("the new hostname has no new certificate")
	}
	later, err := selfSigned(dir, "mail.example.org", now.Add(selfSignedLife))
	must(t, err)
	if later.Leaf.Equal(renamed.Leaf) {
		t.Error("an old certificate is not renewed")
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "selfsigned.pem"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("MAP-011: %s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedSelfSignedIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "selfsigned.pem"), []byte("torn"), 0o600))
	_, err := selfSigned(dir, "mx.example.org", time.Now())
	must(t, err)
}

func TestNameChoosesCertificate(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Pairs: []Pair{files(t, "a.example"), files(t, "b.example")}})
	must(t, err)
	for asked, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "c.example": "a.example", "": "a.example"} {
		state, err := shake(t, s.For("smtp", Policy{}), &tls.Config{ServerName: asked, InsecureSkipVerify: true})
		must(t, err)
		if got := state.PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("%q: got the certificate of %s, want %s", asked, got, want)
		}
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Pairs: []Pair{files(t, "old.example")}})
	must(t, err)
	bad := filepath.Join(t.TempDir(), "none.pem")
	for _, pairs := range [][]Pair{{files(t, "new.example"), {bad, bad}}, {{files(t, "a.example").Certificate, files(t, "b.example").Key}}} {
		if err := s.Reload(Source{Pairs: pairs}); err == nil {
			t.Error("a bad pair was taken")
		}
	}
	if got := s.Infos(); len(got) != 1 || got[0].Names[0] != "old.example" {
		t.Errorf("%+v", got)
	}
	server := s.For("smtp", Policy{})
	must(t, s.Reload(Source{Pairs: []Pair{files(t, "new.example")}}))
	state, err := shake(t, server, &tls.Config{ServerName: "new.example", InsecureSkipVerify: true})
	must(t, err)
	if got := state.PeerCertificates[0].DNSNames; !slices.Contains(got, "new.example") {
		t.Errorf("after the reload: %v", got)
	}
}

// SMTP-013: a session of one service is not resumed at another.
func TestSMTP013TicketsStayInTheirService(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Hostname: "mx.example.org", Dir: t.TempDir()})
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert((*s.current.Load())[0].Leaf)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{ServerName: "mx.example.org", RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(9), MaxVersion: version}
		resumed := func(service string) bool {
			state, err := shake(t, s.For(service, Policy{}), client)
			must(t, err)
			return state.DidResume
		}
		if resumed("submission") {
			t.Error("the first session was resumed")
		}
		if !resumed("submission") {
			t.Error("a session is not resumed at its own service")
		}
		for _, other := range []string{"smtp", "imaps"} {
			if resumed(other) {
				t.Errorf("version %x: a session of submission was resumed at %s", version, other)
			}
			if resumed("submission") {
				t.Errorf("version %x: a session of %s was resumed at submission", version, other)
			}
		}
	}
}

func TestOldVersionsAndStrangeProtocolsAreRefused(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Hostname: "mx.example.org", Dir: t.TempDir()})
	must(t, err)
	for name, client := range map[string]*tls.Config{
		"TLS 1.1":   {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		"a browser": {NextProtos: []string{"h2", "http/1.1"}},
	} {
		client.InsecureSkipVerify = true
		if _, err := shake(t, s.For("imaps", Policy{}), client); err == nil {
			t.Errorf("%s had a handshake", name)
		}
	}
	_, err = shake(t, s.For("imaps", Policy{}), &tls.Config{NextProtos: []string{"imap"}, InsecureSkipVerify: true})
	must(t, err)
}

func TestWEB018ExpiryIsTold(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		left time.Duration
		want string
	}{
		{15 * 24 * time.Hour, ""},
		{13 * 24 * time.Hour, "the certificate for a.example, b.example expires on 2026-12-05"},
		{-time.Hour, "the certificate for a.example, b.example expired on 2026-11-22; clients refuse it"},
	} {
		if got := (Info{Names: []string{"a.example", "b.example"}, Expires: now.Add(test.left)}).Warning(now); got != test.want {
			t.Errorf("%v before the end: %q, want %q", test.left, got, test.want)
		}
	}
}
