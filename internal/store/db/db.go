// Package db opens the house's SQLite databases and makes many small writes
// durable together.
//
// # On disk
//
// One file in WAL mode beside its "-wal" and "-shm", synchronous=FULL: when
// Write has returned nil, the change is on stable storage. A crash leaves either
// all of a write or nothing of it.
//
// # Group commit
//
// One goroutine owns the only writing connection. It takes everybody who waits,
// runs their functions inside one transaction, commits once, and wakes them all:
// the price of the disk's flush is shared. A function that fails does not hurt
// the others: the transaction is rolled back and each function is run again in a
// transaction of its own. So a function may run more than once; it must have no
// effect outside its Tx.
//
// # When the disk fails
//
// After an input/output error in a commit nobody knows what the kernel still
// holds, and a second flush that "works" proves nothing. The DB is then broken
// for good: every later Write fails with ErrBroken, and Broken tells whoever can
// end the process, for only opening the file anew helps. A full disk is no such
// case: the write fails with ErrFull, and later ones may work.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrBroken is what a Write gets after the disk failed under an earlier one.
var ErrBroken = errors.New("the database file had an input/output error; restart the server when the disk is well")

// ErrFull is what a Write gets for which the disk has no room.
var ErrFull = errors.New("the disk is full")

// ErrClosed is what a Write gets after Close.
var ErrClosed = errors.New("the database is closed")

// maxBatch bounds how many writes share one transaction, and so how long the
// first of them waits. 100 waiting callers is the measured sweet spot; beyond a
// few hundred nothing is gained.
const maxBatch = 512

// DB is one SQLite file: one writer, any number of readers.
type DB struct {
	writer  *sql.DB // exactly one connection
	readers *sql.DB
	queue   chan *write
	quit    chan struct{}
	done    chan struct{}
	broken  chan struct{}
	closing sync.Once
}

type write struct {
	fn   func(*Tx) error
	done chan error
}

// Tables are what a room keeps in a file of another.
type Tables struct {
	// Room is the name under which their version is kept.
	Room string
	// Migrations has goose migrations in its folder "migrations", as rooms embed them.
	Migrations fs.FS
}

// Open opens or creates the file at path and brings its tables up to date with
// the goose migrations in the folder "migrations" of migrations, and those of the rooms
// that share the file. Each room's tables have a version of their own.
func Open(path string, migrations fs.FS, others ...Tables) (*DB, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	writer, err := open(path, "immediate", 1)
	if err != nil {
		return nil, err
	}
	for _, t := range append([]Tables{{Migrations: migrations}}, others...) {
		if err := migrate(writer, t); err != nil {
			writer.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	readers, err := open(path, "deferred", 4)
	if err != nil {
		writer.Close()
		return nil, err
	}
	d := &DB{
		writer: writer, readers: readers,
		queue: make(chan *write, maxBatch),
		quit:  make(chan struct{}), done: make(chan struct{}), broken: make(chan struct{}),
	}
	conn, err := writer.Conn(context.Background())
	if err != nil {
		d.closePools()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	go d.run(newTx(conn))
	return d, nil
}

// create makes the file readable for its owner only, whatever the umask is; SQLite
// gives its log and index the mode of the file.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func open(path, txlock string, conns int) (*sql.DB, error) {
	q := url.Values{}
	q.Set("_txlock", txlock)
	for _, p := range []string{
		"busy_timeout(10000)",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(ON)",
		// Pages that delivered mail leaves free stay in the file for the next.
		"auto_vacuum(NONE)",
		// 4,000 pages of 4 KiB: most mail is delivered and deleted before its
		// pages would be copied from the log to the file.
		"wal_autocheckpoint(4000)",
		"cache_size(-8192)",
	} {
		q.Add("_pragma", p)
	}
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := pool.Ping(); err != nil {
		pool.Close()
		return nil, fmt.Errorf("%s: can't be opened as a database: %w", path, err)
	}
	return pool, nil
}

func migrate(pool *sql.DB, t Tables) error {
	table := goose.DefaultTablename
	if t.Room != "" {
		table = t.Room + "_version"
	}
	files, err := fs.Sub(t.Migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, files,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName(table))
	if err != nil {
		return err
	}
	if _, err = p.Up(context.Background()); err != nil {
		return fmt.Errorf("bringing the tables up to date: %w", err)
	}
	current, target, err := p.GetVersions(context.Background())
	if err == nil && current > target {
		return fmt.Errorf("the tables are of version %d, newer than this program knows (%d): run the newer facteur", current, target)
	}
	return err
}

// Reader is the pool for reading. It sees what has been committed.
func (d *DB) Reader() *sql.DB { return d.readers }

// Each reads what has been committed: fn scans one row after the other.
func (d *DB) Each(ctx context.Context, query string, args []any, fn func(*sql.Rows) error) error {
	rows, err := d.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Write runs fn in a transaction that is durable when Write returns nil. When
// ctx ends first, Write returns its error and the outcome is unknown.
func (d *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	w := &write{fn: fn, done: make(chan error, 1)}
	select {
	case d.queue <- w:
	case <-d.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-d.done:
		select { // answered in the very moment of closing?
		case err := <-w.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// Broken is closed when the file can't be trusted any more.
func (d *DB) Broken() <-chan struct{} { return d.broken }

// Close finishes what waits and closes the file.
func (d *DB) Close() error {
	d.closing.Do(func() { close(d.quit) })
	<-d.done
	return d.closePools()
}

func (d *DB) closePools() error {
	err := d.readers.Close()
	return errors.Join(err, d.writer.Close())
}

func (d *DB) run(tx *Tx) {
	defer close(d.done)
	defer tx.close()
	var broken error
	for {
		batch := d.gather()
		if batch == nil {
			return
		}
		if broken != nil {
			answer(batch, broken)
			continue
		}
		if broken = commitAll(tx, batch, true); broken != nil {
			close(d.broken)
		}
	}
}

// gather waits for the first write and takes along all others that wait.
func (d *DB) gather() []*write {
	var batch []*write
	select {
	case w := <-d.queue:
		batch = append(batch, w)
	case <-d.quit:
	}
	for len(batch) < maxBatch {
		select {
		case w := <-d.queue:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commitAll does a batch; what it returns, if not nil, ends the DB's life. Where the log
// can't grow, because the disk is full, reuse may have it begun anew: what ends mail and
// so makes room needs no more than that (FLT-006).
func commitAll(tx *Tx, batch []*write, reuse bool) (broken error) {
	all := func() error {
		for _, w := range batch {
			if err := w.fn(tx); err != nil {
				return err
			}
		}
		return nil
	}
	err := tx.transact(all)
	if reuse && code(err) == sqlite3.SQLITE_FULL && tx.checkpoint() {
		err = tx.transact(all)
	}
	if err == nil || isFatal(err) {
		broken = seal(err)
		answer(batch, broken)
		return broken
	}
	if len(batch) == 1 {
		answer(batch, named(err))
		return nil
	}
	for i := range batch {
		if broken = commitAll(tx, batch[i:i+1], false); broken != nil {
			answer(batch[i+1:], broken)
			return broken
		}
	}
	return nil
}

func answer(batch []*write, err error) {
	for _, w := range batch {
		w.done <- err
	}
}

// isFatal tells the errors after which the file can't be trusted.
func isFatal(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// IsDamaged tells the errors of reading that mean a damaged file.
func IsDamaged(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// named gives an error the name by which callers know it.
func named(err error) error {
	if code(err) == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// code is SQLite's primary result code in err, 0 when there is none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func seal(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (%w)", ErrBroken, err)
}
