package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What "facteur check" says of [auth] and [[client_certificate]].
func TestAuth(t *testing.T) {
	dir := t.TempDir()
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"ca.pem": {authorityPEM(t), 0o644}, "empty": {"", 0o600}, "blank": {"\nsecret\n", 0o600}, "secret": {"s\n", 0o600}, "open": {"s\n", 0o644},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	const url = "oauth2_introspection_url=\"https://id.example.org/introspect\"\n"
	print := strings.Repeat("ab", 32)
	for name, test := range map[string]struct{ entry, want string }{
		"all": {"mechanisms=[\"PLAIN\",\"CRAM-MD5\",\"EXTERNAL\"]\nfailures_per_client=5\nfailures_per_account=5\nfailure_time_unit=\"10m\"\n" +
			"failure_delay=\"0s\"\nclient_ca=\"ca.pem\"\n" + url + "oauth2_client_id=\"us\"\noauth2_client_secret_file=\"secret\"", ""},
		"no mechanism":      {"mechanisms=[]", "auth.mechanisms: there is none"},
		"unknown mechanism": {"mechanisms=[\"GSSAPI\"]", "GSSAPI"},
		"twice":             {"mechanisms=[\"PLAIN\",\"PLAIN\"]", "auth.mechanisms[1]: PLAIN is listed twice"},
		"no failures":       {"failures_per_client=0", "auth.failures_per_client: expected at least 1"},
		"none by account":   {"failures_per_account=0", "auth.failures_per_account: expected at least 1"},
		"too short":         {"failure_time_unit=\"1s\"", "auth.failure_time_unit: expected 1m to 1d"},
		"too long":          {"failure_delay=\"5m\"", "auth.failure_delay: expected 0s to 30s"},
		"no file":           {"client_ca=\"nowhere.pem\"", "auth.client_ca: open "},
		"no certificate":    {"client_ca=\"empty\"", "has no certificate in PEM"},
		"token in the clear": {"oauth2_introspection_url=\"http://id.example.org/\"",
			"auth.oauth2_introspection_url: expected https"},
		"tokens on this machine": {"oauth2_introspection_url=\"http://127.0.0.1:8080/\"", ""},
		"no host":                {"oauth2_introspection_url=\"introspect\"", "auth.oauth2_introspection_url: expected a URL"},
		"password in the URL":    {"oauth2_introspection_url=\"https://a:b@id.example.org/\"", "without user and password"},
		"nobody to ask":          {"oauth2_client_id=\"us\"", "auth.oauth2_introspection_url: is missing"},
		"two scopes":             {url + "oauth2_scope=\"mail imap\"", "auth.oauth2_scope: expected one word"},
		"scope of nothing":       {"oauth2_scope=\"mail\"", "auth.oauth2_introspection_url: is missing"},
		"secret is nowhere":      {url + "oauth2_client_secret_file=\"nowhere\"", "auth.oauth2_client_secret_file: open "},
		"secret is blank":        {url + "oauth2_client_secret_file=\"blank\"", "is empty"},
		"MAP-010 secret is open": {url + "oauth2_client_secret_file=\"open\"", "is open to others (mode 0644); chmod 600 it"},
		"fingerprint":            {"[[client_certificate]]\nfingerprint=\"ab:cd\"\naccount=\"a@example.org\"", "client_certificate[0].fingerprint: expected the 64"},
		"nobody's certificate":   {"[[client_certificate]]\nfingerprint=\"" + print + "\"", "client_certificate[0].account: expected the address"},
		"certificate twice": {"[[client_certificate]]\nfingerprint=\"" + print + "\"\naccount=\"a@example.org\"\n" +
			"[[client_certificate]]\nfingerprint=\"" + strings.ToUpper(print) + "\"\naccount=\"b@example.org\"",
			"client_certificate[1].fingerprint: the certificate is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(filepath.Join(dir, "facteur.toml"), []byte("hostname=\"mail.example.org\"\ndata_dir=\"/nowhere\"\n[auth]\n"+test.entry+"\n"))
			if err == nil {
				err = errors.Join(c.Check()...)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func authorityPEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
