package interop

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// PostgreSQL is Debian's server with a cluster of its own, which belongs to the user
// postgres. PostgreSQLUser may read the table that the statements of a test make.
type PostgreSQL struct {
	t       testing.TB
	dir     string
	port    int
	process *Process
}

// Who may read, and the password for connections by TCP.
const (
	PostgreSQLUser     = "reader"
	PostgreSQLPassword = "canary:postgres"
)

const postgresHBA = `local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl all all ::1/128 scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
`

// NewPostgreSQL makes the cluster. Start starts it; Do gives it tables.
func NewPostgreSQL(t testing.TB) *PostgreSQL {
	t.Helper()
	NeedRoot(t)
	p := &PostgreSQL{t: t, dir: Room(t), port: FreePort(t)}
	initdb := p.program("initdb")
	cert, key := SelfSigned(t, p.dir)
	for _, path := range []string{p.dir, cert, key} {
		Chown(t, path, "postgres")
	}
	p.asPostgres(initdb, "-D", p.data(), "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	WriteFile(t, filepath.Join(p.data(), "pg_hba.conf"), postgresHBA)
	return p
}

func (p *PostgreSQL) data() string { return filepath.Join(p.dir, "data") }

// program finds what Debian keeps by version, the newest.
func (p *PostgreSQL) program(name string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		Missing(p.t, "PostgreSQL's %s is not installed", name)
	}
	return slices.Max(found)
}

// drop is a command line that runs another as the user postgres: the server
// refuses to be root.
func (p *PostgreSQL) drop(args ...string) (string, []string) {
	return Need(p.t, "setpriv"), append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", "--"}, args...)
}

func (p *PostgreSQL) asPostgres(args ...string) string {
	p.t.Helper()
	name, all := p.drop(args...)
	return Run(p.t, "", name, all...)
}

// Start starts it and waits until it answers.
func (p *PostgreSQL) Start() {
	p.t.Helper()
	name, all := p.drop(p.program("postgres"), "-D", p.data(), "-k", p.dir, "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(p.dir, "cert.pem"), "-c", "ssl_key_file="+filepath.Join(p.dir, "key.pem"))
	p.process = Spawn(p.t, []string{"PWD=" + p.dir}, name, all...)
	p.t.Cleanup(p.Stop)
	WaitUntil(p.t, "PostgreSQL answers", func() bool {
		_, err := TryRun(p.t, "", p.program("pg_isready"), "-h", p.dir, "-p", strconv.Itoa(p.port))
		return err == nil || !p.process.Running()
	})
}

// Stop ends it so that it leaves no shared memory behind.
func (p *PostgreSQL) Stop() {
	if p.process.Running() {
		p.process.Signal(syscall.SIGQUIT)
		p.process.WaitFor(StartWait)
	}
}

// Do runs statements as the owner of everything.
func (p *PostgreSQL) Do(statements string) string {
	p.t.Helper()
	return Run(p.t, statements, p.program("psql"), "-h", p.dir, "-p", strconv.Itoa(p.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt", "postgres")
}

// URL is the database as PostgreSQLUser, at a host or, for "", at the socket.
func (p *PostgreSQL) URL(host string) string {
	if host == "" {
		host = url.PathEscape(p.dir)
	}
	return fmt.Sprintf("postgres://%s@%s:%d/postgres", PostgreSQLUser, host, p.port)
}

// CA is the certificate that clients have to trust. It is for "localhost".
func (p *PostgreSQL) CA() string { return filepath.Join(p.dir, "cert.pem") }

// Process is the running server.
func (p *PostgreSQL) Process() *Process { return p.process }

// secretFile writes a password as settings want it: for nobody else's eyes.
func secretFile(t testing.TB, password string) string {
	t.Helper()
	path := WriteFile(t, filepath.Join(t.TempDir(), "secret"), password+"\n")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
