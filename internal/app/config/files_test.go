package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("0123456789abcdef0123456789abcdef\n"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret, table, other := put("secret", 0o600), put("table", 0o600), put("other", 0o600)
	program, database := put("program", 0o700), put("users.db", 0o600)
	c := &Config{DataDir: filepath.Join(dir, "data")}
	c.Forwarding.SRSSecrets = []string{secret}
	c.Addresses.VirtualAliasMaps = Maps{"hash:" + table, "texthash:" + other, "hash:" + filepath.Join(dir, "gone"), "hash:" + dir}
	c.Directories = []Directory{{Source: "sqlite:" + database, Home: "/home/%u"}}
	c.TLS.Certificate = []string{program}
	if got, want := c.Files(), []string{other, secret, table}; !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}
