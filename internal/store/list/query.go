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
	db    *sql.DB
	stmt  *sql.Stmt
	marks int
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
	q := &query{marks: strings.Count(statement, "?")}
	if q.marks == 0 || strings.ContainsAny(statement, "%;") {
		// %s is how Postfix has it: the key in the text of the statement (MAP-002).
		return nil, errors.New(`expected one statement in which "?" stands for the key, and neither "%" nor ";"`)
	}
	var err error
	options := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(1000)", "query_only(1)"}}
	if q.db, err = sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode()); err != nil {
		return nil, err
	}
	q.db.SetMaxOpenConns(4)
	q.db.SetConnMaxIdleTime(time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if q.stmt, err = q.db.PrepareContext(ctx, statement); err != nil {
		q.db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if a := q.find(ctx, ""); a.State() == lookup.TryAgain { // a wrong number of "?", among others
		q.close()
		return nil, fmt.Errorf("%s: %w", path, a.Err())
	}
	return q, nil
}

// find gives the first column of the rows, joined with commas.
func (q *query) find(ctx context.Context, key string) lookup.Answer[string] {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := make([]any, q.marks)
	for i := range args {
		args[i] = key
	}
	rows, err := q.stmt.QueryContext(ctx, args...)
	if err != nil {
		return lookup.Later[string](err)
	}
	defer rows.Close()
	values, err := firstColumn(rows)
	if err != nil {
		return lookup.Later[string](err)
	}
	return answer(strings.Join(values, ","), len(values) > 0)
}

func firstColumn(rows *sql.Rows) (values []string, err error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	row := make([]any, len(columns))
	var value sql.NullString
	row[0] = &value
	for i := range row[1:] {
		row[i+1] = new(sql.RawBytes)
	}
	for len(values) < maxRows && rows.Next() {
		if err := rows.Scan(row...); err != nil {
			return nil, err
		}
		values = append(values, value.String)
	}
	return values, rows.Err()
}

func (*query) whole() bool { return false }

func (q *query) close() error { return errors.Join(q.stmt.Close(), q.db.Close()) }
