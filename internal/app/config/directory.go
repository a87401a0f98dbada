package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/mail/password"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// Directory is a place outside of our own database where accounts are kept. See
// docs/DIRECTORIES.md.
type Directory struct {
	// The name that listings and the log have for it, "people".
	Name string `toml:"name"`
	// What it is: "passwd-file", "unix" (the users of this machine), "ldap", "sql",
	// "dovecot" (a running Dovecot) or "maps" (tables). Accounts are looked for in our own
	// database first, then in these in the order of the file.
	Kind DirectoryKind `toml:"kind"`
	// Where it is: for ldap "ldap://host/BASE" (also ldaps:// and ldapi://), for sql
	// "sqlite:/path", "postgres://user@host/database" or "mysql://user@host/database", for
	// passwd-file the path, in which "%d" is the domain of the address, for unix the path
	// of passwd(5), beside which "shadow" is read (empty: /etc/passwd), for dovecot the path
	// of its auth-userdb socket, for maps the tables, as virtual_mailbox_maps has them. Of
	// servers and tables several can be named, with commas between; they are tried in order.
	Source string `toml:"source"`
	// The domains whose accounts it has; mail for them is received here by that. Without
	// any it is asked about all domains that are ours.
	Domains []string `toml:"domains"`
	// The domain of log-in names that have none; empty: such names are nobody's. Dovecot
	// calls this auth_default_realm.
	DefaultDomain string `toml:"default_domain"`
	// How a password is checked: empty compares it with what the directory has; "bind"
	// logs in to the LDAP server with it; "saslauthd:/run/saslauthd/mux" and
	// "dovecot:/run/dovecot/auth-client" ask another service. Where it is not empty, and
	// with passwords in any form, clients have to send their passwords (under TLS), and
	// SCRAM and CRAM-MD5 are not offered unless auth.mechanisms lists them.
	Password string `toml:"password"`
	// The form of passwords that don't say their form themselves, "CRYPT". Dovecot calls
	// this default_pass_scheme.
	PasswordScheme string `toml:"password_scheme"`
	// How names are written in a passwd-file: "%u", whole addresses, or "%n", the part
	// before the "@", which then counts in each domain. Empty: "%u". Dovecot calls this
	// username_format.
	UsernameFormat string `toml:"username_format"`
	// The home of an account of which the directory tells none, "/home/%u": %u is the
	// address, %n the part before the "@", %d the domain.
	Home string `toml:"home"`
	// Where the letters are, "/home/vmail/%d/%n" or "~/Maildir" (below the home). Empty:
	// in the data directory, as for accounts of our own. Dovecot calls this mail_location.
	Maildir string `toml:"maildir"`
	// The directory below which the Maildirs are that tables name, "/var/mail/vhosts".
	// Empty: tables only say who there is. Postfix calls this virtual_mailbox_base.
	MailboxBase string `toml:"mailbox_base"`
	// Whether letters belong to the Unix user that the directory names, and are written
	// as that user. Otherwise they belong to the server's.
	UnixUsers bool `toml:"unix_users"`
	// The least number of a Unix user who has a mailbox. Root never has one.
	MinUID int `toml:"min_uid"`

	// How an account is searched for by its address, ldap: a filter, with %u, %n and %d
	// for the address and its parts; sql: a SELECT in which they stand without quotes.
	// Empty, for ldap: "(|(mail=%u)(mailLocalAddress=%u))".
	AccountQuery string `toml:"account_query"`
	// How an account is searched for by the name that somebody logs in with. Empty: as
	// by its address.
	LoginQuery string `toml:"login_query"`
	// Tells which domains are ours, by a filter or a SELECT with %d. Empty: the directory
	// says nothing of domains.
	DomainQuery string `toml:"domain_query"`
	// Finds all accounts, for listings. Empty, for ldap: the account_query with "*" in
	// the place of the address; for sql: listings leave these accounts out.
	ListQuery string `toml:"list_query"`
	// For ldap: which attribute has what, as "field=attribute"; these come before the
	// usual ones: "address=mail", "password=userPassword", "home=homeDirectory",
	// "uid=uidNumber", "gid=gidNumber", "name=uid", "quota=mailQuota",
	// "forward=mailRoutingAddress", "host=mailHost", "maildir=mailMessageStore". A field
	// without attribute ("quota=") is not asked for.
	Attributes []string `toml:"attributes"`
	// Who we are in the directory, "cn=facteur,dc=example,dc=org". Empty: nobody.
	BindDN string `toml:"bind_dn"`
	// A file with our password there, in its first line. It may not be readable by
	// everybody.
	PasswordFile string `toml:"password_file"`
	// Whether ldap://, postgres:// and mysql:// are encrypted: "starttls" or "none".
	// Empty: "starttls", but "none" on this machine.
	TLS ListTLS `toml:"tls"`
	// A file with the authorities, PEM, that sign the server's certificate. Empty: those
	// of the system.
	CAFile string `toml:"ca_file"`
}

// DirectoryKind is what sort of place a Directory is.
type DirectoryKind string

// The kinds of directories.
const (
	DirectoryPasswdFile DirectoryKind = "passwd-file"
	DirectoryUnix       DirectoryKind = "unix"
	DirectoryLDAP       DirectoryKind = "ldap"
	DirectorySQL        DirectoryKind = "sql"
	DirectoryDovecot    DirectoryKind = "dovecot"
	DirectoryMaps       DirectoryKind = "maps"
)

func directoryKinds() []DirectoryKind {
	return []DirectoryKind{DirectoryPasswdFile, DirectoryUnix, DirectoryLDAP, DirectorySQL, DirectoryDovecot, DirectoryMaps}
}

// Form says what may be written.
func (DirectoryKind) Form() string { return oneOf(directoryKinds()...) }

// UnmarshalText takes one of the kinds.
func (k *DirectoryKind) UnmarshalText(text []byte) error {
	return choose(k, text, directoryKinds()...)
}

// defaultMinUID is Debian's first user.
const defaultMinUID = 1000

// LeastUID is min_uid, or its default.
func (d Directory) LeastUID() uint32 {
	if d.MinUID <= 0 {
		return defaultMinUID
	}
	return uint32(d.MinUID)
}

// CanonicalDomains are the domains in the form that is compared. Check has told of
// those that are none.
func (d Directory) CanonicalDomains() (out []string) {
	for _, name := range d.Domains {
		if name, err := canonicalName(name); err == nil {
			out = append(out, name)
		}
	}
	return out
}

// Beside makes a path of the settings count from the directory of their file.
func (c *Config) Beside(path string) string { return c.beside(path) }

// Absolute makes the path of a source count from the directory of the file.
func (c *Config) Absolute(source string) string { return c.absolute(source) }

// directories checks what can be seen without asking anybody.
func (k *checker) directories() {
	seen := map[string]bool{}
	for i, d := range k.c.Directories {
		key := fmt.Sprintf("directory[%d]", i)
		switch {
		case d.Name == "" || strings.ContainsAny(d.Name, " \t\"'"):
			k.failf(key+".name", "expected one word, found %q", d.Name)
		case seen[d.Name]:
			k.failf(key+".name", "two directories are called %q", d.Name)
		}
		seen[d.Name] = true
		if d.Kind == "" {
			k.failf(key+".kind", "is missing; expected %s", d.Kind.Form())
		}
		for j, name := range d.Domains {
			if _, err := canonicalName(name); err != nil {
				k.failf(fmt.Sprintf("%s.domains[%d]", key, j), "%v", err)
			}
		}
		k.directoryNames(key, d)
	}
}

func (k *checker) directoryNames(key string, d Directory) {
	if name, err := canonicalName(d.DefaultDomain); d.DefaultDomain != "" && err != nil {
		k.failf(key+".default_domain", "%v", err)
	} else if d.DefaultDomain != "" && len(d.Domains) > 0 && !slices.Contains(d.CanonicalDomains(), name) {
		k.failf(key+".default_domain", "%s is not among the domains of the directory", d.DefaultDomain)
	}
	if err := directory.Template(d.Home).Check(); err != nil {
		k.failf(key+".home", "%v", err)
	}
	if err := directory.Template(d.Maildir).Check(); err != nil {
		k.failf(key+".maildir", "%v", err)
	}
	if !slices.Contains([]string{"", "%u", "%n", "%Lu", "%Ln"}, d.UsernameFormat) {
		k.failf(key+".username_format", `expected "%%u" or "%%n", found %q`, d.UsernameFormat)
	}
	if d.PasswordScheme != "" && !password.Known(d.PasswordScheme) {
		k.failf(key+".password_scheme", "%q is no scheme that we know; expected one such as \"CRYPT\" or \"SSHA256\"", d.PasswordScheme)
	}
	if d.MailboxBase != "" && (d.Kind != DirectoryMaps || !filepath.IsAbs(d.MailboxBase)) {
		k.failf(key+".mailbox_base", `expected an absolute path, for a directory of the kind "maps"`)
	}
	if d.Source == "" && d.Kind != DirectoryUnix && d.Kind != "" {
		k.failf(key+".source", "is missing")
	}
	if d.MinUID < 0 {
		k.failf(key+".min_uid", "expected a number, such as 1000")
	}
	if d.Password == "bind" && d.Kind != DirectoryLDAP {
		k.failf(key+".password", `only an LDAP server can be asked by "bind"`)
	}
	k.secretFile(key+".password_file", k.c.beside(d.PasswordFile))
	k.directoryQueries(key, d)
}

// directoryQueries tells what can be seen of filters and statements without asking
// anybody.
func (k *checker) directoryQueries(key string, d Directory) {
	var parse func(text, letters string) error
	switch d.Kind {
	case DirectoryLDAP:
		parse = func(text, letters string) error { _, err := list.ParseFilter(text, letters); return err }
	case DirectorySQL:
		parse = func(text, letters string) error {
			_, err := list.ParseStatement(text, letters, func(int) string { return "?" })
			return err
		}
		if d.AccountQuery == "" {
			k.failf(key+".account_query", "is missing; expected a SELECT such as in docs/DIRECTORIES.md")
		}
	default:
		return
	}
	for _, q := range []struct{ name, text, letters string }{
		{"account_query", d.AccountQuery, "und"}, {"login_query", d.LoginQuery, "und"}, {"domain_query", d.DomainQuery, "d"}, {"list_query", d.ListQuery, "und"},
	} {
		if q.text == "" {
			continue
		}
		if err := parse(q.text, q.letters); err != nil {
			k.failf(key+"."+q.name, "%v", err)
		}
	}
}
