package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/mail/arc"
	"facteur/internal/mail/dkim"
	"facteur/internal/test/sim"
)

// TestARCSignAndVerify: a letter in a file is sealed twice, and its chain told.
func TestARCSignAndVerify(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	record, err := dkim.Key{Private: private}.Record()
	if err != nil {
		t.Fatal(err)
	}
	dns, err := sim.StartDNS("127.0.0.1:0", fmt.Sprintf("s1._domainkey.one.example. TXT %q\ns1._domainkey.two.example. TXT %[1]q\n", record))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	const text = "Authentication-Results: mx.one.example; dmarc=pass header.from=example.org\nFrom: anna@example.org\nTo: bob@example.net\nSubject: dinner\n\nAt eight.\n"
	seal := func(letter, domain string, more ...string) string {
		return good(t, letter, append([]string{"arc", "sign", "-", "--key", key, "--domain", domain, "--selector", "s1"}, more...)...)
	}
	one := seal(text, "one.example")
	if !strings.HasSuffix(one, text) || !strings.HasPrefix(one, "ARC-Seal: i=1; a=ed25519-sha256; d=one.example;") || strings.Contains(one, "\r") {
		t.Errorf("sealed:\n%s", one)
	}
	two := seal(strings.Replace(one, "eight", "nine", 1), "two.example", "--chain", "pass", "--results", "mx.two.example; dmarc=fail")
	for _, tc := range []struct {
		name, letter string
		status       int
		want         []string
	}{
		{"one", one, 0, []string{"pass i=1 one.example", "as the first of them sealed it", "dmarc=pass (mx.one.example)"}},
		{"two", two, 0, []string{"pass i=2 two.example", "as set 2 sealed it; it was changed before", "dmarc=fail (mx.two.example)"}},
		{"changed", strings.Replace(one, "eight", "nine", 1), 1, []string{"fail i=1 one.example (set 1: the body was changed"}},
		{"none", text, 1, []string{"none"}},
	} {
		status, out, errs := call(t, tc.letter, "arc", "verify", "-", "--dns", dns.Addr())
		if status != tc.status || errs != "" {
			t.Errorf("%s: status %d, %q", tc.name, status, errs)
		}
		for _, w := range tc.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in\n%s", tc.name, w, out)
			}
		}
	}
	var r arc.Result
	if err := json.Unmarshal([]byte(good(t, two, "arc", "verify", "--json", "-", "--dns", dns.Addr())), &r); err != nil || r.Status != arc.Pass || len(r.Sets) != 2 {
		t.Errorf("JSON: %+v, %v", r, err)
	}
	status, _, errs := call(t, "From: a@b.example\n\nx\n", "arc", "sign", "-", "--key", key, "--domain", "one.example", "--selector", "s1")
	if status != 2 || !strings.Contains(errs, "expected --results") {
		t.Errorf("%d %q", status, errs)
	}
}
