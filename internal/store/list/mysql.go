package list

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/net/mysql"
)

const (
	mysqlPort   = "3306"
	mysqlSocket = "/run/mysqld/mysqld.sock"
	mysqlForm   = `"mysql://user@host/database?query=SELECT value FROM t WHERE key = ?"`
)

// mysqlServer is a list in a database of MySQL or MariaDB.
type mysqlServer struct {
	place
	asking
}

// parseMySQL reads mysql://user@host[:port]/database?query=SELECT …; the statement is
// taken as it stands, to the end of the line. A host that is a path, percent-encoded, is
// the server's socket.
func parseMySQL(from string) (d mysqlServer, err error) {
	address, statement, found := strings.Cut(from, "?query=")
	if !found {
		return d, errors.New("the query is missing; expected " + mysqlForm)
	}
	if d.asking, err = plainMySQL(strings.TrimSpace(statement)); err != nil {
		return d, err
	}
	d.place, err = parseDatabase(address, mysqlPort, mysqlForm)
	return d, err
}

// plainMySQL refuses what could put a key into the text of a statement (MAP-002).
func plainMySQL(s string) (q asking, err error) {
	word, _, _ := strings.Cut(strings.ToUpper(s), " ")
	bare, err := withoutQuoted(s)
	switch {
	case err != nil:
		return q, err
	case word != "SELECT" && word != "WITH":
		return q, errors.New("expected a query that begins with SELECT")
	case strings.ContainsAny(s, ";\\#`") || strings.Contains(s, "--") || strings.Contains(s, "/*"):
		return q, errors.New("expected one statement, without \";\", \"\\\", \"`\" and comments")
	case interpolated.MatchString(s):
		return q, errors.New("the key never stands in the text of a query; expected ? in its place, without quotes")
	case !strings.Contains(bare, "?") || strings.Count(bare, "?") != strings.Count(s, "?"):
		return q, errors.New("expected ? in the query, in the place of the key and without quotes")
	}
	return plainly(s, strings.Count(s, "?")), nil
}

// parseDatabase reads scheme://user@host[:port]/database.
func parseDatabase(address, port, form string) (d place, err error) {
	_, rest, _ := strings.Cut(address, "://")
	rest, name, slash := strings.Cut(rest, "/")
	at := strings.LastIndexByte(rest, '@')
	if !slash || name == "" || at <= 0 {
		return d, errors.New("a user, a host and a database have to be named; expected " + form)
	}
	if strings.Contains(rest[:at], ":") {
		return d, errors.New("a password does not belong into the settings; write it into a file of its own and name that as password_file")
	}
	if strings.Contains(name, "?") {
		return d, errors.New("expected only ?query= after the database; tls, ca_file and password_file are settings of the list")
	}
	user, err1 := url.PathUnescape(rest[:at])
	name, err2 := url.PathUnescape(name)
	hosts, err3 := splitHosts(rest[at+1:], port)
	return place{user: user, name: name, hosts: hosts}, errors.Join(err1, err2, err3)
}

// enlist adds to a server what the settings of the list say of it.
func (d *place) enlist(s Source) (err error) {
	if wantsTLS(s.TLS, d.hosts) {
		if d.trust, err = trust(s.CAFile); err != nil {
			return err
		}
	}
	d.password, err = secret(s.PasswordFile)
	return err
}

func openMySQL(s Source, events event.Sink) (*remote, error) {
	d, err := parseMySQL(s.From)
	if err != nil {
		return nil, err
	}
	if err := d.enlist(s); err != nil {
		return nil, err
	}
	return newRemote(s, d.hosts, &d, events), nil
}

// queried is one connection to a MySQL server.
type queried struct {
	wire      *wire
	conn      *mysql.Conn
	statement *mysql.Statement
	prepared  map[string]*mysql.Statement // of a Database, by their text
	server    *mysqlServer
}

func (d *mysqlServer) dial(ctx context.Context, host string) (session, error) {
	raw, err := new(net.Dialer).DialContext(ctx, network(host), host)
	if err != nil {
		return nil, describe(ctx, bare(err))
	}
	s := &queried{wire: newWire(raw), server: d}
	rest := s.wire.during(ctx)
	defer rest()
	config := mysql.Config{User: d.user, Password: d.password, Database: d.name}
	if d.trust != nil && network(host) == "tcp" {
		config.TLS = forHost(d.trust, host)
	}
	conn, err := mysql.Connect(s.wire, config)
	if s.conn = conn; err == nil && d.statement != "" {
		s.statement, err = conn.Prepare(d.statement)
	}
	if err != nil {
		s.close()
		return nil, describe(ctx, err)
	}
	return s, nil
}

// ask gives the values of all columns of the rows for a table of Postfix's, and of the
// first one for ours.
func (s *queried) ask(ctx context.Context, key string) (values []string, found bool, err error) {
	rest := s.wire.during(ctx)
	defer rest()
	rows, err := s.statement.Query(s.server.rows, maxRowsSize, s.server.fill(key)...)
	if err != nil {
		return nil, false, s.judge(ctx, err)
	}
	for _, row := range rows {
		for _, v := range row[:min(len(row), s.server.columns)] {
			values = append(values, v.Text)
		}
	}
	return values, len(values) > 0, nil
}

// judge tells a server that is in trouble from one that works and complains.
func (s *queried) judge(ctx context.Context, err error) error {
	var said *mysql.Error
	switch {
	case errors.Is(err, mysql.ErrTooMany):
		return complaint{err}
	case !errors.As(err, &said) || troubled[said.Code]:
		return describe(ctx, err)
	}
	return complaint{err}
}

// troubled are the errors of a server that has no connection, memory or disk left, or
// is going away.
var troubled = map[uint16]bool{1037: true, 1040: true, 1041: true, 1053: true, 1077: true, 1129: true, 1203: true, 1226: true, 1317: true, 1927: true}

// close lets the server see the end of the connection, and waits for nothing.
func (s *queried) close() { s.wire.Close() }
