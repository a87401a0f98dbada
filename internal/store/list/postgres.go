package list

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"facteur/internal/base/event"
)

// postgresPort is PostgreSQL's.
const postgresPort = "5432"

// postgres is a list in a PostgreSQL database.
type postgres struct {
	place
	asking
	plain *pgconn.Config
}

const postgresForm = `"postgres://user@host/database?query=SELECT value FROM t WHERE key = $1"`

// parsePostgres reads postgres://user@host[:port]/database?query=SELECT …; the
// statement is taken as it stands, to the end of the line.
func parsePostgres(from string) (d postgres, err error) {
	address, statement, found := strings.Cut(from, "?query=")
	if !found {
		return d, errors.New("the query is missing; expected " + postgresForm)
	}
	if err := checkStatement(strings.TrimSpace(statement)); err != nil {
		return d, err
	}
	d.asking = plainly(strings.TrimSpace(statement), 1)
	d.place, err = parseDatabase(address, postgresPort, postgresForm)
	return d, err
}

var (
	parameter = regexp.MustCompile(`\$\d+`)
	// interpolated is how other programs, and our LDAP sources, write the key.
	interpolated = regexp.MustCompile(`%[suda]|\{key\}`)
)

// checkStatement refuses what could put a key into the text of a statement, or could
// not be asked at all (MAP-002).
func checkStatement(s string) error {
	word, _, _ := strings.Cut(strings.ToUpper(s), " ")
	switch {
	case word != "SELECT" && word != "WITH":
		return errors.New("expected a query that begins with SELECT")
	case strings.ContainsAny(s, `;\`) || strings.Contains(s, "--") || strings.Contains(s, "/*") || strings.Contains(s, "$$"):
		return errors.New(`expected one statement, without ";", "\", "$$" and comments`)
	case interpolated.MatchString(s):
		return errors.New("the key never stands in the text of a query; expected $1 in its place, without quotes")
	}
	bare, err := withoutQuoted(s)
	if err != nil {
		return err
	}
	if found := parameter.FindAllString(bare, -1); len(found) != 1 || found[0] != "$1" || strings.Count(s, "$1") != 1 {
		return errors.New("expected $1 once in the query, in the place of the key and without quotes")
	}
	return nil
}

// withoutQuoted is a statement without what stands in quotes.
func withoutQuoted(s string) (string, error) {
	var b strings.Builder
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0 && c == quote: // doubled ones end it and begin it again
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", fmt.Errorf("a quote %c is never closed", quote)
	}
	return b.String(), nil
}

func openPostgres(s Source, events event.Sink) (*remote, error) {
	d, err := parsePostgres(s.From)
	if err != nil {
		return nil, err
	}
	if err := d.enlist(s); err != nil {
		return nil, err
	}
	return newRemote(s, d.hosts, &d, events), d.prepare()
}

// prepare makes the settings of all connections. Everything is named here or in config,
// so that nothing is taken from the environment or the files of whoever started us.
func (d *postgres) prepare() (err error) {
	d.plain, err = pgconn.ParseConfig("host=localhost port=5432 user=x dbname=x password=x passfile=/dev/null sslmode=disable target_session_attrs=any channel_binding=prefer")
	return err
}

// asked is one connection to a database.
type asked struct {
	*postgres
	wire *wire
	conn *pgconn.PgConn
}

func (d *postgres) dial(ctx context.Context, host string) (session, error) {
	conn, err := pgconn.ConnectConfig(ctx, d.config(host))
	if err != nil {
		return nil, describe(ctx, bare(err))
	}
	raw := conn.Conn()
	if encrypted, ok := raw.(*tls.Conn); ok {
		raw = encrypted.NetConn()
	}
	return &asked{postgres: d, wire: raw.(*wire), conn: conn}, nil
}

// config is for one host. The session may read, and only that.
func (d *postgres) config(host string) *pgconn.Config {
	c := d.plain.Copy()
	c.Host, c.Port = hostAndPort(host)
	c.User, c.Database, c.Password = d.user, d.name, d.password
	c.Fallbacks, c.TLSConfig = nil, nil
	if d.trust != nil && network(host) == "tcp" {
		c.TLSConfig = forHost(d.trust, host)
	}
	c.RequireAuth = ""
	if c.TLSConfig == nil && !isHere(host) {
		c.RequireAuth = "!password" // it would travel as it is
	}
	c.ConnectTimeout = patience
	c.MaxProtocolMessageBodyLen = maxReply
	c.RuntimeParams = map[string]string{
		"application_name": "facteur", "client_encoding": "UTF8",
		"default_transaction_read_only": "on", "statement_timeout": strconv.FormatInt(patience.Milliseconds(), 10),
	}
	c.DialFunc = dialWire
	// The dialer goes through a host's addresses. If pgconn did, the complaint of one
	// that is not listened on (::1) would hide what the other said.
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return c
}

// dialWire also serves the library when it asks a server to give up on a statement.
func dialWire(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newWire(raw), nil
}

func hostAndPort(address string) (string, uint16) {
	host, port, err := net.SplitHostPort(address)
	if network(address) == "unix" && err != nil {
		host, port = address, postgresPort
	}
	n, _ := net.LookupPort("tcp", port)
	return host, uint16(n)
}

// ask gives the values of all columns of the rows for a table of Postfix's, and of the
// first one for ours.
func (s *asked) ask(ctx context.Context, key string) (values []string, found bool, err error) {
	s.wire.left.Store(maxReply)
	rows := s.conn.ExecParams(ctx, s.statement, s.parameters(key), nil, nil, nil)
	for n := 0; rows.NextRow(); n++ {
		columns := rows.Values()
		if len(columns) == 0 || n == s.rows {
			return nil, false, complaint{fmt.Errorf("expected at most %d rows with a column", s.rows)}
		}
		for _, c := range columns[:min(len(columns), s.columns)] {
			values = append(values, string(c))
		}
	}
	if _, err := rows.Close(); err != nil {
		return nil, false, s.judge(ctx, err)
	}
	return values, len(values) > 0, nil
}

func (s *asked) parameters(key string) (out [][]byte) {
	for _, v := range s.fill(key) {
		out = append(out, []byte(v))
	}
	return out
}

// judge tells a server that is in trouble from one that works and complains, by the
// class of the SQLSTATE: 08, 53, 57, 58 and XX are the server's own troubles.
func (s *asked) judge(ctx context.Context, err error) error {
	var said *pgconn.PgError
	if !errors.As(err, &said) || len(said.Code) != 5 {
		return describe(ctx, err)
	}
	switch said.Code[:2] {
	case "08", "53", "57", "58", "XX":
		return describe(ctx, err)
	}
	return complaint{err}
}

// close lets the server see the end of the connection, and waits for nothing.
func (s *asked) close() { s.wire.Close() }
