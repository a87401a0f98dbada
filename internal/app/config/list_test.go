package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/store/list"
)

func TestListsOnServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"secret": 0o600, "open": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("canary\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	const (
		ldap = "[[list]]\nname='a'\nsource='ldap://h/dc=x?mail?sub?(mail={key})'\n"
		pg   = "[[list]]\nname='a'\nsource='postgres://u@h/d?query=SELECT a FROM t WHERE k = $1'\n"
		file = "[[list]]\nname='a'\nsource='file:x'\n"
	)
	secret := fmt.Sprintf("password_file='%s/secret'\n", dir)
	for in, want := range map[string]string{
		ldap: "", pg: "", pg + secret + "tls='none'\nca_file='x'\ncache_time='5m'\n": "",
		ldap + "bind_dn='cn=x'\n" + secret + "tls='starttls'\n": "",
		ldap + "bind_dn='cn=x'\n":                               "f:5:9: list[0].bind_dn: bind_dn and password_file belong together",
		ldap + secret:                                           "f:2:3: list[0].bind_dn: bind_dn and password_file belong together",
		pg + "bind_dn='cn=x'\n":                                 "f:5:9: list[0].bind_dn: means nothing here",
		file + secret:                                           "f:5:15: list[0].password_file: means nothing here",
		file + "cache_time='1m'\n":                              "f:5:12: list[0].cache_time: means nothing here",
		file + "ca_file='x'\n":                                  "f:5:9: list[0].ca_file: means nothing here",
		file + "tls='none'\n":                                   "f:5:5: list[0].tls: means nothing here",
		strings.Replace(ldap, "ldap:", "ldaps:", 1) + "tls='none'\n": "f:5:5: list[0].tls: means nothing here",
		ldap + "tls='maybe'\n":                                `f:5:5: list[0].tls: expected "starttls" or "none", found "maybe"`,
		ldap + "cache_time='1d'\n":                            "f:5:12: list[0].cache_time: expected 1s to 1h, or nothing for 30s",
		pg + "password_file='" + dir + "/open'\n":             "f:5:15: list[0].password_file: " + dir + "/open is open to others (mode 0644); chmod 600 it",
		pg + "password_file='" + dir + "/none'\n":             "no such file",
		strings.Replace(ldap, "(mail={key})", "(mail=%s)", 1): "f:4:8: list[0].source: invalid URL escape \"%s)\"; the key is written {key}",
		strings.Replace(ldap, "(mail={key})", "({key}=a)", 1): "f:4:8: list[0].source: {key} stands in the name of an attribute",
		strings.Replace(ldap, "(mail={key})", "(mail=a)", 1):  "f:4:8: list[0].source: the filter does not ask for the key",
		strings.Replace(pg, "$1", "\"$1\"", 1):                "list[0].source: expected $1 once",
		strings.Replace(pg, "u@", "u:canary@", 1):             "f:4:8: list[0].source: a password does not belong into the settings",
		"[[list]]\nname='a'\nsource='mysql:x'\n":              `f:4:8: list[0].source: the parameters of "mysql:x" stand in main.cf`,
	} {
		c, err := Parse("f", []byte("hostname='mx.example.org'\n"+in))
		var got string
		if err != nil {
			got = err.Error()
		} else if errs := c.Check(); len(errs) > 0 {
			got = errs[0].Error()
		}
		if !strings.Contains(got, want) || (want == "") != (got == "") || strings.Contains(got, "canary") {
			t.Errorf("MAP-002 %q\n got %s\nwant %s", in, got, want)
		}
	}
}

// Paths of a list count from the directory of the file, and what is shown can be read.
func TestListPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "facteur.toml")
	const text = "hostname='mx.example.org'\n[[list]]\nname='a'\nsource='ldap://h/dc=x?mail?sub?(mail={key})'\nbind_dn='cn=x'\npassword_file='secret'\nca_file='ca.pem'\ntls='starttls'\ncache_time='2m'\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s := c.ListSources()[0]
	if s.PasswordFile != filepath.Join(dir, "secret") || s.CAFile != filepath.Join(dir, "ca.pem") || s.TLS != list.TLSStart || s.CacheTime.Minutes() != 2 || !strings.HasPrefix(s.From, "ldap://h/") {
		t.Errorf("%+v", s)
	}
	var show, diff, again bytes.Buffer
	c.WriteShow(&show)
	c.WriteDiff(&diff)
	second, err := Parse("f", show.Bytes())
	if err != nil {
		t.Fatalf("what is shown can't be read: %v\n%s", err, show.String())
	}
	if second.WriteDiff(&again); again.String() != diff.String() {
		t.Errorf("show loses something:\n%s\nbecame\n%s", diff.String(), again.String())
	}
}
