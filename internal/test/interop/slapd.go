package interop

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// Slapd is Debian's LDAP server with a directory of its own. Only who binds as
// SlapdUser may read it.
type Slapd struct {
	t           testing.TB
	dir         string
	port, ports int
	process     *Process
}

// Who may read the directory, and the password.
const (
	SlapdUser     = "cn=reader,dc=example,dc=org"
	SlapdPassword = "canary:slapd"
)

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/misc.schema
pidfile %[1]s/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
database mdb
suffix "dc=example,dc=org"
directory %[1]s/db
dbnosync
access to attrs=userPassword by anonymous auth by dn.exact="` + SlapdUser + `" read by * none
access to * by dn.exact="` + SlapdUser + `" read by * none
`

// NewSlapd makes the directory of the entries in ldif (RFC 2849).
func NewSlapd(t testing.TB, ldif string) *Slapd {
	t.Helper()
	program := Need(t, "slapd")
	NeedRoot(t)
	s := &Slapd{t: t, dir: Room(t), port: FreePort(t), ports: FreePort(t)}
	SelfSigned(t, s.dir)
	if err := os.Mkdir(filepath.Join(s.dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	WriteFile(t, s.conf(), fmt.Sprintf(slapdConf, s.dir))
	Run(t, ldif, program, "-T", "add", "-f", s.conf())
	for _, name := range []string{"", "db", "db/data.mdb", "db/lock.mdb", "key.pem"} {
		Chown(t, filepath.Join(s.dir, name), "openldap")
	}
	return s
}

func (s *Slapd) conf() string { return filepath.Join(s.dir, "slapd.conf") }

// CA is the certificate that clients have to trust. It is for "localhost".
func (s *Slapd) CA() string { return filepath.Join(s.dir, "cert.pem") }

// URL is where it listens: for ldap and ldaps at a host, for ldapi at its socket.
func (s *Slapd) URL(scheme, host string) string {
	switch scheme {
	case "ldaps":
		return fmt.Sprintf("ldaps://%s:%d", host, s.ports)
	case "ldapi":
		return "ldapi://" + url.PathEscape(filepath.Join(s.dir, "socket"))
	}
	return fmt.Sprintf("ldap://%s:%d", host, s.port)
}

// Start starts it and waits until it listens.
func (s *Slapd) Start() {
	s.t.Helper()
	at := s.URL("ldap", "127.0.0.1") + "/ " + s.URL("ldaps", "127.0.0.1") + "/ " + s.URL("ldapi", "") + "/"
	s.process = Spawn(s.t, nil, Need(s.t, "slapd"), "-d", "0", "-u", "openldap", "-g", "openldap", "-h", at, "-f", s.conf())
	WaitListening(s.t, "tcp", Loopback(s.port), s.process)
	WaitListening(s.t, "unix", filepath.Join(s.dir, "socket"), s.process)
}

// Process is the running server.
func (s *Slapd) Process() *Process { return s.process }
