package list

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"facteur/internal/base/event"
	"facteur/internal/net/mysql"
)

// Row is one row of an answer by the names of its columns, in small letters; NULL is "".
type Row map[string]string

// Database answers SELECTs: a file of SQLite, PostgreSQL, or MySQL and MariaDB. What the package says of
// lists on servers is true of it, but nothing is cached.
type Database struct {
	remote *remote // nil for a file
	file   *sql.DB
	mark   func(n int) string
}

const (
	// maxListing is how much a server may send for one listing, in bytes.
	maxListing = 256 << 20
	// listingTime is how long one may take.
	listingTime = 2 * time.Minute
	// listingRows is how many rows of MySQL, which come all at once, it may have.
	listingRows = 100_000
	// listingSize is how much these may take in memory, in bytes.
	listingSize = 64 << 20
)

// bounds are those of one answer.
type bounds struct {
	time time.Duration
	wire int64 // bytes that come
	rows int   // of MySQL, all of which are in memory
	size int64 // bytes that these take there
}

// OpenDatabase opens "sqlite:/path", "postgres://user@host/database" or
// "mysql://user@host/database". A server is not
// asked anything yet, and a file may be missing until it is asked.
func OpenDatabase(s Source, events event.Sink) (*Database, error) {
	if path, ok := strings.CutPrefix(s.From, "sqlite:"); ok {
		return openDatabaseFile(path)
	}
	if strings.Contains(s.From, "?") {
		return nil, errors.New("expected only the database here; queries are settings of their own")
	}
	if strings.HasPrefix(s.From, "mysql://") {
		return openMySQLDatabase(s, events)
	}
	if !s.IsPostgres() {
		return nil, errors.New(`expected a database, such as "sqlite:/path", "postgres://user@host/database" or "mysql://user@host/database"`)
	}
	s.From += "?query=SELECT $1"
	r, err := openPostgres(s, events)
	if err != nil {
		return nil, err
	}
	return &Database{remote: r.ofAccounts(), mark: func(n int) string { return "$" + strconv.Itoa(n) }}, nil
}

func openMySQLDatabase(s Source, events event.Sink) (*Database, error) {
	place, err := parseDatabase(s.From, mysqlPort, `"mysql://user@host/database"`)
	if err != nil {
		return nil, err
	}
	d := &mysqlServer{place: place}
	if err := d.enlist(s); err != nil {
		return nil, err
	}
	return &Database{remote: newRemote(s, d.hosts, d, events).ofAccounts(), mark: func(int) string { return "?" }}, nil
}

func openDatabaseFile(path string) (*Database, error) {
	if path == "" || strings.Contains(path, "?") {
		return nil, errors.New(`expected the path of the database, "sqlite:/path"`)
	}
	options := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(1000)", "query_only(1)"}}
	file, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	file.SetMaxOpenConns(maxSessions)
	file.SetConnMaxIdleTime(time.Minute)
	return &Database{file: file, mark: func(n int) string { return "?" + strconv.Itoa(n) }}, nil
}

// Parse reads a statement for this database.
func (d *Database) Parse(text, letters string) (Statement, error) {
	return ParseStatement(text, letters, d.mark)
}

// Select gives the rows for the parts of a key, at most 100.
func (d *Database) Select(ctx context.Context, s Statement, part func(letter byte) string) (rows []Row, err error) {
	args := s.args(part)
	for _, a := range args {
		if strings.ContainsRune(a, 0) || len(a) > maxKey {
			return nil, nil // no server keeps such a key, and some fail at it
		}
	}
	err = d.run(ctx, s, args, bounds{time: patience, wire: maxReply, rows: maxRows + 1, size: maxRowsSize}, func(r Row) error {
		if rows = append(rows, r); len(rows) > maxRows {
			return complaint{fmt.Errorf("expected at most %d rows", maxRows)}
		}
		return nil
	}, func() { rows = nil })
	return rows, err
}

// Each gives all rows of a statement without parts, one by one.
func (d *Database) Each(ctx context.Context, s Statement, each func(Row) error) error {
	return d.run(ctx, s, nil, bounds{time: listingTime, wire: maxListing, rows: listingRows, size: listingSize}, each, func() {})
}

// run puts one statement. again is called before a second attempt.
func (d *Database) run(ctx context.Context, s Statement, args []string, most bounds, each func(Row) error, again func()) error {
	if d.file != nil {
		ctx, cancel := context.WithTimeout(ctx, most.time)
		defer cancel()
		return d.runFile(ctx, s, args, each)
	}
	return d.remote.do(ctx, most.time, func(ctx context.Context, session session) error {
		again()
		if s2, ok := session.(*queried); ok {
			return s2.each(ctx, s.text, args, most, each)
		}
		return session.(*asked).each(ctx, s.text, args, most.wire, each)
	})
}

func (d *Database) runFile(ctx context.Context, s Statement, args []string, each func(Row) error) error {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	rows, err := d.file.QueryContext(ctx, s.text, values...)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := Row{}
		for i, c := range cells {
			row[strings.ToLower(names[i])] = c.String
		}
		if err := each(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// each gives the rows of any statement; it is prepared once.
func (s *queried) each(ctx context.Context, text string, args []string, most bounds, each func(Row) error) error {
	rest := s.wire.during(ctx)
	defer rest()
	s.wire.left.Store(most.wire)
	statement, err := s.prepare(text)
	if err != nil {
		return s.judge(ctx, err)
	}
	rows, err := statement.Query(most.rows, most.size, args...)
	if err != nil {
		return s.judge(ctx, err)
	}
	for _, values := range rows {
		row := Row{}
		for i, name := range statement.Names() {
			row[strings.ToLower(name)] = values[i].Text
		}
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

func (s *queried) prepare(text string) (*mysql.Statement, error) {
	if known := s.prepared[text]; known != nil {
		return known, nil
	}
	statement, err := s.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	if s.prepared == nil {
		s.prepared = map[string]*mysql.Statement{}
	}
	s.prepared[text] = statement
	return statement, nil
}

// each gives the rows of any statement.
func (s *asked) each(ctx context.Context, text string, args []string, size int64, each func(Row) error) error {
	s.wire.left.Store(size)
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	rows := s.conn.ExecParams(ctx, text, params, nil, nil, nil)
	for rows.NextRow() {
		if err := each(rowOf(rows.FieldDescriptions(), rows.Values())); err != nil {
			return err // the session is closed with what is still to come
		}
	}
	if _, err := rows.Close(); err != nil {
		return s.judge(ctx, err)
	}
	return nil
}

func rowOf(names []pgconn.FieldDescription, values [][]byte) Row {
	row := Row{}
	for i, v := range values {
		row[strings.ToLower(names[i].Name)] = string(v)
	}
	return row
}

// Close lets go of connections.
func (d *Database) Close() error {
	if d.file != nil {
		return d.file.Close()
	}
	return d.remote.close()
}
