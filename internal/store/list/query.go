package list

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"facteur/internal/base/lookup"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// maxRows is how many rows of one answer are joined.
const maxRows = 100

// query is a list in an SQLite database.
type query struct {
	asking
	shape *shape // nil: every key is asked as it is
	db    *sql.DB
	stmt  *sql.Stmt
}

// openQuery reads "/path?query=SELECT value FROM t WHERE key = ?". The statement is
// taken as it stands, to the end of the line.
func openQuery(source string) (*query, error) {
	path, statement, found := strings.Cut(source, "?query=")
	if !found {
		return nil, errors.New(`the query is missing; expected "sqlite:/path?query=SELECT value FROM t WHERE key = ?"`)
	}
	if statement = strings.TrimSpace(statement); !strings.HasPrefix(strings.ToUpper(statement), "SELECT ") {
		return nil, errors.New("expected a query that begins with SELECT")
	}
	marks := strings.Count(statement, "?")
	if marks == 0 || strings.ContainsAny(statement, "%;") {
		// %s is how Postfix has it: the key in the text of the statement (MAP-002).
		return nil, errors.New(`expected one statement in which "?" stands for the key, and neither "%" nor ";"`)
	}
	return openDatabase(path, plainly(statement, marks), nil)
}

// openDatabase opens a database for reading only, and asks once: a wrong number of
// places, among others, is told at once.
func openDatabase(path string, ask asking, shape *shape) (*query, error) {
	q := &query{asking: ask, shape: shape}
	var err error
	options := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(1000)", "query_only(1)"}}
	if q.db, err = sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode()); err != nil {
		return nil, err
	}
	q.db.SetMaxOpenConns(4)
	q.db.SetConnMaxIdleTime(time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if q.stmt, err = q.db.PrepareContext(ctx, ask.statement); err != nil {
		q.db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := q.ask(ctx, ""); err != nil {
		q.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return q, nil
}

// find gives the first column of the rows, joined with commas; for a table of
// Postfix's, what that makes of all columns.
func (q *query) find(ctx context.Context, key string) lookup.Answer[string] {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key, ok, err := q.shape.admit(ctx, key)
	if err != nil {
		return lookup.Later[string](err)
	}
	if !ok {
		return lookup.No[string](nil)
	}
	values, err := q.ask(ctx, key)
	if err != nil || len(values) == 0 {
		return later(err)
	}
	value, found, err := q.shape.join(key, values)
	if err != nil {
		return lookup.Later[string](err)
	}
	return answer(value, found)
}

// later is TryAgain where there is an error, else NotFound.
func later(err error) lookup.Answer[string] {
	if err != nil {
		return lookup.Later[string](err)
	}
	return lookup.No[string](nil)
}

func (q *query) ask(ctx context.Context, key string) ([]string, error) {
	var args []any
	for _, v := range q.fill(key) {
		args = append(args, v)
	}
	rows, err := q.stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return q.read(rows)
}

// read gives the values of the rows: of the first column, or of all for a table of
// Postfix's, which has an error where ours stops.
func (q *query) read(rows *sql.Rows) (values []string, err error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	row, at := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range row {
		at[i] = &row[i]
	}
	for n := 0; rows.Next(); n++ {
		if n == q.rows {
			return nil, fmt.Errorf("more than %d rows", q.rows)
		}
		if err := rows.Scan(at...); err != nil {
			return nil, err
		}
		for _, v := range row[:min(len(row), q.columns)] {
			values = append(values, v.String)
		}
	}
	return values, rows.Err()
}

func (*query) whole() bool { return false }

func (q *query) close() error { return errors.Join(q.stmt.Close(), q.db.Close(), q.shape.close()) }
