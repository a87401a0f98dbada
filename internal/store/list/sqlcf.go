package list

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"strings"

	"facteur/internal/base/event"
)

const (
	sqlParameters = "hosts user password dbname query result_format domain expansion_limit select_field table where_field additional_conditions " +
		"select_function require_result_set option_file option_group tls_cert_file tls_key_file tls_CAfile tls_CApath tls_verify_cert tls_ciphers " +
		"retry_interval idle_interval charset encoding"
	sqliteParameters = "dbpath query result_format domain expansion_limit select_field table where_field additional_conditions"
)

// asking is what is asked of a database: a statement, and the values for its places.
type asking struct {
	statement string
	values    []phrase
	rows      int // of one answer
	columns   int // whose values count
}

// fill makes the values for a key.
func (q asking) fill(key string) []string {
	k := cutParts(key)
	out := make([]string, len(q.values))
	for i, v := range q.values {
		out[i] = v.fill(k)
	}
	return out
}

// plainly is a question of our own sources: every place is the key as it is.
func plainly(statement string, places int) (q asking) {
	q = asking{statement: statement, rows: maxRows, columns: 1}
	for range places {
		q.values = append(q.values, phrase{{slot: 's'}})
	}
	return q
}

// questionOf reads what a file of Postfix's asks, and what becomes of the answer.
func questionOf(c *cf, d dialect, events event.Sink, depth int) (q asking, s *shape, err error) {
	text, err := queryOf(c)
	if err != nil {
		return q, nil, err
	}
	if q.statement, q.values, err = rebind(text, d); err != nil {
		return q, nil, c.errorf("query", "%v", err)
	}
	q.rows, q.columns = maxShaped, maxColumns
	s, err = newShape(c, wantsOf(q.values), events, depth)
	return q, s, err
}

// maxColumns is how many columns of a row count, for tables of Postfix's.
const maxColumns = 256

// place is where a database is, and who we are there.
type place struct {
	hosts          []string
	user, password string
	name           string
	trust          *tls.Config // nil: no TLS
}

// serverOf reads the parameters of mysql_table(5) and pgsql_table(5).
func serverOf(c *cf, s Source, port, socket string) (d place, err error) {
	d = place{user: c.get("user", ""), password: c.get("password", ""), name: c.get("dbname", "")}
	if d.hosts, err = databaseHosts(c.words("hosts", "localhost"), port, socket); err != nil {
		return d, c.errorf("hosts", "%v", err)
	}
	if d.user == "" || d.name == "" {
		return d, c.errorf("user", "expected a user and a dbname")
	}
	for _, name := range []string{"tls_cert_file", "tls_CApath"} {
		if c.get(name, "") != "" {
			return d, c.errorf(name, "is not done here; expected tls_CAfile, and a password")
		}
	}
	setting, file := s.TLS, c.get("tls_CAfile", "")
	if setting == "" && file != "" {
		setting = TLSStart
	}
	if wantsTLS(setting, d.hosts) {
		d.trust, err = trust(cmp.Or(s.CAFile, file))
	}
	return d, err
}

// databaseHosts reads "unix:/path", "inet:host:port" and "host". Sockets are tried first.
func databaseHosts(words []string, port, socket string) (hosts []string, err error) {
	var far []string
	for _, w := range words {
		path, isSocket := strings.CutPrefix(w, "unix:")
		host := strings.TrimPrefix(w, "inet:")
		switch {
		case isSocket && strings.HasPrefix(path, "/"):
			hosts = append(hosts, path)
		case isSocket:
			return nil, fmt.Errorf("expected a path in %q", w)
		case host == "localhost" && socket != "":
			hosts = append(hosts, socket)
		default:
			found, err := splitHosts(host, port)
			if err != nil {
				return nil, err
			}
			far = append(far, found...)
		}
	}
	if hosts = append(hosts, far...); len(hosts) == 0 || len(hosts) > maxHosts {
		return nil, fmt.Errorf("expected 1 to %d hosts", maxHosts)
	}
	return hosts, nil
}

func openPostgresFile(s Source, path string, events event.Sink, depth int) (*remote, error) {
	c, err := readCF(path)
	if err != nil {
		return nil, err
	}
	var d postgres
	if d.place, err = serverOf(c, s, postgresPort, ""); err != nil {
		return nil, err
	}
	return openSQLFile(s, c, postgresSQL, d.hosts, &d.asking, &d, d.prepare, events, depth)
}

func openMySQLFile(s Source, path string, events event.Sink, depth int) (*remote, error) {
	c, err := readCF(path)
	if err != nil {
		return nil, err
	}
	var d mysqlServer
	if d.place, err = serverOf(c, s, mysqlPort, mysqlSocket); err != nil {
		return nil, err
	}
	return openSQLFile(s, c, mysqlSQL, d.hosts, &d.asking, &d, func() error { return nil }, events, depth)
}

// openSQLFile completes a table on a server.
func openSQLFile(s Source, c *cf, d dialect, hosts []string, q *asking, by service, prepare func() error, events event.Sink, depth int) (*remote, error) {
	asked, shape, err := questionOf(c, d, events, depth)
	if err != nil {
		return nil, err
	}
	*q = asked
	if err := prepare(); err != nil {
		return nil, err
	}
	c.heed(events, sqlParameters, "password")
	r := newRemote(s, hosts, by, events)
	r.shape = shape
	return r, nil
}

func openSQLiteFile(path string, events event.Sink, depth int) (*query, error) {
	c, err := readCF(path)
	if err != nil {
		return nil, err
	}
	asked, shape, err := questionOf(c, sqliteSQL, events, depth)
	if err != nil {
		return nil, err
	}
	file := c.get("dbpath", "")
	if file == "" {
		return nil, c.errorf("dbpath", "is missing; expected the path of the database")
	}
	c.heed(events, sqliteParameters)
	asked.columns = 1 // sqlite_table(5) takes no others
	return openDatabase(file, asked, shape)
}
