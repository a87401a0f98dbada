package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"facteur/internal/base/conf"
	"facteur/internal/store/list"
)

// List is a table that rules can look things up in.
type List struct {
	// The name by which rules ask for it, "blocked".
	Name string `toml:"name"`
	// Where it is kept: "file:/path" (lines "key value", as in Postfix's access(5)),
	// "cidr:/path" (networks), "regexp:/path" (patterns),
	// "sqlite:/path?query=SELECT value FROM t WHERE key = ?",
	// "ldap://host/BASE?attribute?scope?(filter with {key})" (also ldaps:// and ldapi://),
	// "postgres://user@host/database?query=SELECT value FROM t WHERE key = $1",
	// "mysql://user@host/database?query=SELECT value FROM t WHERE key = ?", or any table by
	// its name in Postfix: "hash:/etc/postfix/virtual", "ldap:/etc/postfix/ldap.cf",
	// "tcp:127.0.0.1:10001" and so on; docs/TABLES.md has them all. A
	// relative path counts from the directory of this file. Files are read again when
	// they change. Of servers several can be named, with commas between; they are tried
	// in order. One that does not answer within 5 seconds makes mail that needs it wait
	// (451), and is left alone for a moment.
	Source string `toml:"source"`
	// Instead of a source: the entries themselves, each "key" or "key value".
	Entries []string `toml:"entries"`
	// Who we are in a directory, "cn=facteur,dc=example,dc=org". Empty: nobody. Postfix
	// calls this bind_dn.
	BindDN string `toml:"bind_dn"`
	// A file with our password for the directory or the database, in its first line. It
	// may not be readable by everybody.
	PasswordFile string `toml:"password_file"`
	// Whether ldap:// and postgres:// are encrypted: "starttls" (the certificate has to
	// be good, and for this host) or "none". Empty: "starttls", but "none" on this
	// machine.
	TLS ListTLS `toml:"tls"`
	// A file with the authorities, PEM, that sign the server's certificate. Empty: those
	// of the system.
	CAFile string `toml:"ca_file"`
	// How long an answer of a directory or a PostgreSQL database is used again. Empty:
	// 30s. At most 4096 answers are kept of each list.
	CacheTime conf.Duration `toml:"cache_time"`
}

// ListTLS is how the way to a server is encrypted.
type ListTLS string

// Form says what may be written.
func (ListTLS) Form() string { return oneOf[ListTLS](list.TLSStart, list.TLSNone) }

// UnmarshalText takes one of the choices, or nothing.
func (t *ListTLS) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*t = ""
		return nil
	}
	return choose(t, text, list.TLSStart, list.TLSNone)
}

// source is the list in the form that store/list opens.
func (l List) source() list.Source {
	return list.Source{Name: l.Name, From: l.Source, Entries: l.Entries, BindDN: l.BindDN, PasswordFile: l.PasswordFile,
		TLS: string(l.TLS), CAFile: l.CAFile, CacheTime: l.CacheTime.Std()}
}

// ListNames are the names of all lists.
func (c *Config) ListNames() []string {
	out := make([]string, len(c.Lists))
	for i, l := range c.Lists {
		out[i] = l.Name
	}
	return out
}

// ListSources are the lists in the form that store/list opens, and behind them the
// tables that only stand in a setting of tables.
func (c *Config) ListSources() []list.Source {
	return append(c.declaredLists(), c.mapSources()...)
}

// TablesIn are the tables that stand in one text, as the source of a [[directory]] of the
// kind "maps" has them.
func (c *Config) TablesIn(text string) (out []list.Source, err error) {
	names, err := list.Split(text)
	known := c.ListSources()
	for _, name := range names {
		s := list.Source{Name: name, From: c.absolute(name)}
		if i := slices.IndexFunc(known, func(k list.Source) bool { return k.Name == name }); i >= 0 {
			s = known[i]
		}
		out = append(out, s)
	}
	return out, err
}

func (c *Config) declaredLists() []list.Source {
	out := make([]list.Source, len(c.Lists))
	for i, l := range c.Lists {
		out[i] = l.source()
		out[i].From = c.absolute(l.Source)
		out[i].PasswordFile, out[i].CAFile = c.beside(l.PasswordFile), c.beside(l.CAFile)
	}
	return out
}

// absolute makes the path of a source count from the directory of the file.
func (c *Config) absolute(source string) string {
	if c.path == "" {
		return source
	}
	return list.Absolute(source, filepath.Dir(c.path))
}

// beside makes a path count from the directory of the file.
func (c *Config) beside(path string) string {
	if c.path == "" {
		return path
	}
	return from(filepath.Dir(c.path), path)
}

// lists checks the lists, without asking any server.
func (k *checker) lists() {
	seen := map[string]bool{}
	for i, l := range k.c.Lists {
		key := fmt.Sprintf("list[%d]", i)
		switch {
		case l.Name == "" || strings.ContainsAny(l.Name, " \t\"'"):
			k.failf(key+".name", "expected one word by which rules ask for the list, found %q", l.Name)
		case seen[l.Name]:
			k.failf(key+".name", "two lists are called %q", l.Name)
		case (l.Source == "") == (l.Entries == nil):
			k.failf(key+".source", `expected either a source, such as "file:/etc/facteur/blocked", or entries`)
		}
		seen[l.Name] = true
		if err := l.source().Check(); err != nil {
			k.failf(key+".source", "%v", err)
		}
		k.server(key, l)
	}
}

// server checks the settings of lists on servers.
func (k *checker) server(key string, l List) {
	s := l.source()
	encrypted, plain := s.TakesTLS()
	for name, wrong := range map[string]bool{
		"bind_dn": l.BindDN != "" && !s.IsLDAP(), "password_file": l.PasswordFile != "" && !s.TakesPassword(),
		"ca_file": l.CAFile != "" && !encrypted, "cache_time": l.CacheTime != 0 && !s.IsRemote(),
	} {
		if wrong {
			k.failf(key+"."+name, "means nothing here; only lists from servers (ldap:, postgres:, mysql:) have it, and a file of Postfix's says who we are itself")
		}
	}
	if l.TLS != "" && !plain {
		k.failf(key+".tls", "means nothing here; ldap:, postgres: and mysql: can do without TLS, ldaps: can't, and other sources have none")
	}
	if s.IsLDAP() && (l.BindDN == "") != (l.PasswordFile == "") {
		k.failf(key+".bind_dn", "bind_dn and password_file belong together; without both we are nobody in the directory")
	}
	if d := l.CacheTime.Std(); d != 0 && (d < time.Second || d > time.Hour) {
		k.failf(key+".cache_time", "expected 1s to 1h, or nothing for 30s")
	}
	k.secretFile(key+".password_file", k.c.beside(l.PasswordFile))
}

// secretFile refuses a file with a secret that others can read (MAP-011).
func (k *checker) secretFile(key, file string) {
	if file == "" {
		return
	}
	if err := openToOthers(file); err != nil {
		k.failf(key, "%v", err)
	}
}

// openToOthers says why a file is no place for a secret.
func openToOthers(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", file)
	case info.Mode().Perm()&0o037 != 0:
		return fmt.Errorf("%s is open to others (mode %04o); chmod 600 it", file, info.Mode().Perm())
	}
	return nil
}
