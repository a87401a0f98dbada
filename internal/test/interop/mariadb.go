package interop

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// MariaDB is Debian's server with data of its own, which belong to the user mysql.
// MariaDBUser may read the database "mail" that the statements of a test fill.
type MariaDB struct {
	t       testing.TB
	dir     string
	port    int
	process *Process
}

// Who may read, and the password.
const (
	MariaDBUser     = "reader"
	MariaDBPassword = "canary:mariadb"
)

// mariaDBSmall keeps the files of a server that holds nothing small.
func mariaDBSmall() []string {
	return []string{"--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--innodb-data-file-path=ibdata1:4M:autoextend"}
}

// NewMariaDB makes the data. Start starts it; Do gives it tables.
func NewMariaDB(t testing.TB) *MariaDB {
	t.Helper()
	NeedRoot(t)
	m := &MariaDB{t: t, dir: Room(t), port: FreePort(t)}
	Need(t, "mariadbd")
	install := Need(t, "mariadb-install-db")
	cert, key := SelfSigned(t, m.dir)
	for _, path := range []string{m.dir, cert, key} {
		Chown(t, path, "mysql")
	}
	name, args := m.drop(append([]string{install, "--no-defaults", "--datadir=" + m.data(), "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve"}, mariaDBSmall()...)...)
	Run(t, "", name, args...)
	return m
}

func (m *MariaDB) data() string { return filepath.Join(m.dir, "data") }

// Socket is the path of the server's socket.
func (m *MariaDB) Socket() string { return filepath.Join(m.dir, "socket") }

// drop is a command line that runs another as the user mysql: the server refuses to be
// root.
func (m *MariaDB) drop(args ...string) (string, []string) {
	return Need(m.t, "setpriv"), append([]string{"--reuid=mysql", "--regid=mysql", "--clear-groups", "--"}, args...)
}

// Start starts it and waits until it answers.
func (m *MariaDB) Start() {
	m.t.Helper()
	name, args := m.drop(append([]string{Need(m.t, "mariadbd"), "--no-defaults", "--datadir=" + m.data(), "--socket=" + m.Socket(),
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(m.port), "--skip-name-resolve", "--pid-file=" + filepath.Join(m.dir, "pid"),
		"--ssl-cert=" + filepath.Join(m.dir, "cert.pem"), "--ssl-key=" + filepath.Join(m.dir, "key.pem")}, mariaDBSmall()...)...)
	m.process = Spawn(m.t, nil, name, args...)
	WaitUntil(m.t, "MariaDB answers", func() bool {
		_, err := TryRun(m.t, "SELECT 1;", Need(m.t, "mariadb"), m.root()...)
		return err == nil || !m.process.Running()
	})
	m.Do(fmt.Sprintf("CREATE DATABASE IF NOT EXISTS mail CHARACTER SET utf8mb4; GRANT SELECT, INSERT ON mail.* TO %s@'%%' IDENTIFIED BY '%s';", MariaDBUser, MariaDBPassword))
}

// Kill ends it as a loss of power would.
func (m *MariaDB) Kill() { m.process.Signal(syscall.SIGKILL); m.process.WaitFor(StartWait) }

func (m *MariaDB) root() []string {
	return []string{"--no-defaults", "--socket=" + m.Socket(), "--user=root", "--default-character-set=utf8mb4", "-N", "-B"}
}

// Do runs statements as the owner of everything.
func (m *MariaDB) Do(statements string) string {
	m.t.Helper()
	return Run(m.t, statements, Need(m.t, "mariadb"), m.root()...)
}

// URL is the database as MariaDBUser, at a host or, for "", at the socket.
func (m *MariaDB) URL(host string) string {
	if host == "" {
		return fmt.Sprintf("mysql://%s@%s/mail", MariaDBUser, url.PathEscape(m.Socket()))
	}
	return fmt.Sprintf("mysql://%s@%s:%d/mail", MariaDBUser, host, m.port)
}

// Addr is where it listens by TCP.
func (m *MariaDB) Addr() string { return Loopback(m.port) }

// CA is the certificate that clients have to trust. It is for "localhost".
func (m *MariaDB) CA() string { return filepath.Join(m.dir, "cert.pem") }

// Process is the running server.
func (m *MariaDB) Process() *Process { return m.process }
