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

	"facteur/internal/mail/dkim"
	"facteur/internal/test/sim"
)

// TestDKIMSignAndVerify: a letter in a file, signed with a key in a file.
func TestDKIMSignAndVerify(t *testing.T) {
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
	dns, err := sim.StartDNS("127.0.0.1:0", fmt.Sprintf("s1._domainkey.example.org. TXT %q\n!servfail s1._domainkey.broken.example\n", record))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	const text = "From: anna@example.org\nTo: bob@example.net\nSubject: dinner\n\nAt eight.\n"
	sign := func(domain string, more ...string) string {
		return good(t, text, append([]string{"dkim", "sign", "-", "--key", key, "--domain", domain, "--selector", "s1"}, more...)...)
	}
	signed := sign("example.org")
	if !strings.HasSuffix(signed, text) || !strings.HasPrefix(signed, "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org;") || strings.Contains(signed, "\r") {
		t.Errorf("signed:\n%s", signed)
	}
	cases := []struct {
		name, letter string
		flags        []string
		status       int
		want         []string
	}{
		{"good", signed, nil, 0, []string{"pass", "example.org", "s1", "ed25519-sha256", "256", "relaxed/relaxed"}},
		{"changed", strings.Replace(signed, "eight", "nine", 1), nil, 1, []string{"fail", "the body was changed after signing; the header was not"}},
		{"another form", sign("example.org", "--canonicalization", "simple/relaxed", "--identity", "anna@example.org", "--oversign", "-", "--headers", "From:To"), nil, 0, []string{"pass", "simple/relaxed"}},
		{"over", sign("example.org", "--expire", "1h", "--at", "2020-01-01T00:00:00Z"), nil, 1, []string{"fail", "it expired at 2020-01-01T01:00:00Z"}},
		{"in time", sign("example.org", "--expire", "1h", "--at", "2020-01-01T00:00:00Z"), []string{"--at", "2020-01-01T00:30:00Z"}, 0, []string{"pass"}},
		{"no key", sign("example.net"), nil, 1, []string{"permerror", "there is no key at s1._domainkey.example.net"}},
		{"no DNS", sign("broken.example"), nil, 2, []string{"temperror", "the DNS did not answer"}},
		{"no signature", text, nil, 1, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, out, errs := call(t, tc.letter, append([]string{"dkim", "verify", "-", "--dns", dns.Addr()}, tc.flags...)...)
			if status != tc.status || errs != "" {
				t.Errorf("status %d, %q", status, errs)
			}
			for _, w := range tc.want {
				if !strings.Contains(out, w) {
					t.Errorf("no %q in\n%s", w, out)
				}
			}
		})
	}
	var result dkim.Result
	if err := json.Unmarshal([]byte(good(t, signed, "dkim", "verify", "--json", "-", "--dns", dns.Addr())), &result); err != nil || result.Status != dkim.Pass || result.Domain != "example.org" {
		t.Errorf("JSON: %+v, %v", result, err)
	}
	if got := good(t, text, "dkim", "sign", "-", "--field", "--key", key, "--domain", "example.org", "--selector", "s1"); strings.Contains(got, "From: ") {
		t.Errorf("--field prints more than a field:\n%s", got)
	}
}

// TestDKIMMistakes: what is wrong is told, and nothing was judged.
func TestDKIMMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"dkim", "verify", "/nowhere/letter"}, "no such file"},
		{[]string{"dkim", "verify", "-", "--at", "noon"}, `--at: "noon" is no time`},
		{[]string{"dkim", "verify", "-", "--dns", "nowhere:x"}, "--dns: "},
		{[]string{"dkim", "verify", "-"}, "-: it is empty"},
		{[]string{"dkim", "sign", "-", "--key", "/nowhere/key", "--domain", "example.org", "--selector", "s"}, "no such file"},
		{[]string{"dkim", "sign", "-", "--key", os.DevNull, "--domain", "example.org", "--selector", "s"}, "no private key in PEM form"},
	} {
		status, out, errs := call(t, "", tc.args...)
		if status != 2 || out != "" || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: %d, %q, %q", tc.args, status, out, errs)
		}
	}
}
