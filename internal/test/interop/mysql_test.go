package interop

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"facteur/internal/net/mysql"
)

func dialMariaDB(t *testing.T, network, address string, c mysql.Config) (*mysql.Conn, error) {
	t.Helper()
	raw, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	raw.SetDeadline(time.Now().Add(StartWait))
	t.Cleanup(func() { raw.Close() })
	return mysql.Connect(raw, c)
}

// Our client against a real MariaDB: how one logs in, every type of column, and what
// is refused.
func TestMySQLClient(t *testing.T) {
	t.Parallel()
	m := NewMariaDB(t)
	m.Start()
	m.Do(`USE mail;
CREATE TABLE kinds (t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, i INT, m MEDIUMINT, b BIGINT, bu BIGINT UNSIGNED, f FLOAT, d DOUBLE, n DECIMAL(10,3),
  y YEAR, da DATE, ti TIME, ti3 TIME(3), dt DATETIME, dt6 DATETIME(6), c CHAR(5), v VARCHAR(50), x MEDIUMTEXT, bl BLOB, e ENUM('a','b'), nu INT);
INSERT INTO kinds VALUES (-5, 250, -300, -70000, -8000, -5000000000, 18446744073709551615, 1.5, -2.25, -12.500,
  2026, '2026-01-31', '-34:05:06', '1:02:03.045', '2026-01-31 23:59:58', '2026-01-31 00:00:00.000001', 'ab', 'été', REPEAT('x',70000), 0x00ff, 'b', NULL);
CREATE USER plain@'%'; GRANT SELECT ON mail.* TO plain@'%';
INSTALL SONAME 'auth_ed25519'; CREATE USER modern@'%' IDENTIFIED VIA ed25519 USING PASSWORD('x');`)
	good := mysql.Config{User: MariaDBUser, Password: MariaDBPassword, Database: "mail"}
	conn, err := dialMariaDB(t, "tcp", m.Addr(), good)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("types", func(t *testing.T) {
		const columns = "t,tu,s,i,m,b,bu,f,d,n,y,da,ti,ti3,dt,dt6,c,v,hex(bl),e"
		s, err := conn.Prepare("SELECT " + columns + ",x,nu FROM kinds WHERE ? = 'k'")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.Query(10, 1<<20, "k")
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		want := strings.Split(strings.TrimSpace(m.Do("USE mail; SELECT "+columns+" FROM kinds;")), "\t")
		for i, w := range want {
			if rows[0][i].Text != w || rows[0][i].Null {
				t.Errorf("column %d: %q, the server writes %q", i, rows[0][i].Text, w)
			}
		}
		if n := len(want); len(rows[0][n].Text) != 70000 || !rows[0][n+1].Null {
			t.Errorf("text of %d bytes, null %v", len(rows[0][n].Text), rows[0][n+1].Null)
		}
		if rows, err := s.Query(10, 1<<20, "other"); err != nil || len(rows) != 0 {
			t.Error(rows, err)
		}
	})
	t.Run("MAP-002 a value is never text of the statement", func(t *testing.T) {
		s, err := conn.Prepare("SELECT ?")
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range hostileKeys {
			if rows, err := s.Query(1, 1<<20, key); err != nil || len(rows) != 1 || rows[0][0].Text != key {
				t.Errorf("%.40q: %v %v", key, rows, err)
			}
		}
	})
	t.Run("the server's errors leave the connection whole", func(t *testing.T) {
		var said *mysql.Error
		if _, err := conn.Prepare("SELECT nosuch FROM kinds"); !errors.As(err, &said) || said.Code != 1054 || said.State != "42S22" {
			t.Error(err)
		}
		s, err := conn.Prepare("INSERT INTO kinds (t) VALUES (?)")
		if err == nil {
			_, err = s.Query(1, 1<<20, "1")
		}
		if !errors.As(err, &said) || !strings.Contains(said.Text, "READ ONLY") {
			t.Errorf("a row was written: %v", err)
		}
		if s, err := conn.Prepare("SELECT 1"); err != nil {
			t.Error(err)
		} else if rows, err := s.Query(1, 1<<20); err != nil || rows[0][0].Text != "1" {
			t.Error(rows, err)
		}
	})
	t.Run("too many rows", func(t *testing.T) {
		conn, _ := dialMariaDB(t, "unix", m.Socket(), good)
		s, err := conn.Prepare("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Query(2, 1<<20); !errors.Is(err, mysql.ErrTooMany) {
			t.Error(err)
		}
		if _, err := conn.Prepare("SELECT 1"); err == nil || !strings.Contains(err.Error(), "of no use") {
			t.Errorf("MAP-006: went on out of step: %v", err)
		}
	})
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(m.CA())
	pool.AppendCertsFromPEM(pem)
	for name, c := range map[string]struct {
		mysql.Config
		want string
	}{
		"no password":                 {mysql.Config{User: "plain", Database: "mail"}, ""},
		"TLS":                         {mysql.Config{User: MariaDBUser, Password: MariaDBPassword, Database: "mail", TLS: &tls.Config{RootCAs: pool, ServerName: "localhost"}}, ""},
		"MAP-004 another certificate": {mysql.Config{User: MariaDBUser, TLS: &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}}, "unknown authority"},
		"MAP-004 another host":        {mysql.Config{User: MariaDBUser, TLS: &tls.Config{RootCAs: pool, ServerName: "example.org"}}, "not example.org"},
		"wrong password":              {mysql.Config{User: MariaDBUser, Password: "wrong"}, "Access denied"},
		"no such database":            {mysql.Config{User: MariaDBUser, Password: MariaDBPassword, Database: "nosuch"}, "denied"},
		"ed25519":                     {mysql.Config{User: "modern", Password: "x"}, `"client_ed25519", which is not spoken here`},
	} {
		_, err := dialMariaDB(t, "tcp", m.Addr(), c.Config)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
