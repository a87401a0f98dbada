package db

import (
	"context"
	"database/sql"
	"errors"
)

// Tx is the writing side of a transaction, valid only inside the function given
// to Write. Statements are prepared once and kept, so the text of a statement
// must be a constant: values go in as arguments.
type Tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	ctx   context.Context
}

func newTx(conn *sql.Conn) *Tx {
	// The writer's own context is never cancelled: a caller who loses patience
	// must not take down the transaction of all the others.
	return &Tx{conn: conn, stmts: make(map[string]*sql.Stmt), ctx: context.Background()}
}

// Exec runs a statement that gives no rows.
func (t *Tx) Exec(query string, args ...any) (sql.Result, error) {
	s, err := t.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(t.ctx, args...)
}

// Query runs a statement that gives rows. Close them before the next call.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(t.ctx, args...)
}

// QueryRow runs a statement that gives one row at most.
func (t *Tx) QueryRow(query string, args ...any) *sql.Row {
	s, err := t.prepare(query)
	if err != nil {
		return t.conn.QueryRowContext(t.ctx, query, args...) // it says what is wrong
	}
	return s.QueryRowContext(t.ctx, args...)
}

func (t *Tx) prepare(query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(t.ctx, query)
	if err == nil {
		t.stmts[query] = s
	}
	return s, err
}

// transact runs fn between BEGIN and COMMIT; any error rolls all of it back.
func (t *Tx) transact(fn func() error) error {
	if _, err := t.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		_, err = t.Exec("COMMIT")
	}
	if err != nil {
		if _, rerr := t.Exec("ROLLBACK"); rerr != nil && isFatal(rerr) {
			return errors.Join(err, rerr)
		}
	}
	return err
}

// checkpoint copies the log into the file, and tells whether the next transaction begins
// it anew, in the room that it has.
func (t *Tx) checkpoint() bool {
	var busy, logged, copied int
	err := t.conn.QueryRowContext(t.ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &logged, &copied)
	return err == nil && busy == 0 && copied == logged
}

func (t *Tx) close() {
	for _, s := range t.stmts {
		s.Close()
	}
	t.conn.Close()
}
