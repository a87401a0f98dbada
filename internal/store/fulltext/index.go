package fulltext

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"os"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

// Index is the search.db of an account. It is safe for concurrent use.
type Index struct {
	path string

	mu    sync.Mutex
	db    *sql.DB // nil: not open
	users int
	rest  *time.Timer
	// damaged: the file is to be removed when nobody uses it any more.
	damaged bool
}

const (
	version = 2
	// openTime is how long the file stays open after the last question.
	openTime = 5 * time.Second
)

// New makes one for a path. Nothing is opened or made before something is asked.
func New(path string) *Index { return &Index{path: path} }

// Exists says whether there is something to ask.
func (x *Index) Exists() bool {
	_, err := os.Stat(x.path)
	return err == nil
}

// Reader reads the pages of one mailbox. Its memory is one page.
type Reader struct {
	x        *Index
	ctx      context.Context
	validity uint32
	stmt     *sql.Stmt
	at       int64 // id of page; -1: none was read
	err      error // that SQLite had last
	page     Page
	memory   []byte // behind page
}

// Reader begins to ask about the mailbox of a UIDVALIDITY. nil, which knows no letter,
// if the file can't be read.
func (x *Index) Reader(ctx context.Context, validity uint32) *Reader {
	db, err := x.use()
	if err != nil {
		return nil
	}
	stmt, err := db.PrepareContext(ctx, "SELECT data FROM page WHERE id = ?")
	if err != nil {
		x.release(err)
		return nil
	}
	return &Reader{x: x, ctx: ctx, validity: validity, stmt: stmt, at: -1}
}

// Close ends the asking.
func (r *Reader) Close() {
	if r != nil {
		r.x.release(cmp.Or(r.err, r.stmt.Close()))
	}
}

// Page is the page of a UID, good until the next; nil if there is none that can be
// believed.
func (r *Reader) Page(uid uint32) Page {
	if r == nil {
		return nil
	}
	id := pageID(r.validity, uid)
	if r.at == id {
		return r.page
	}
	r.at, r.page = id, nil
	if err := r.read(id); err != nil {
		r.err = err
	}
	return r.page
}

func (r *Reader) read(id int64) error {
	rows, err := r.stmt.QueryContext(r.ctx, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes
	if !rows.Next() {
		return rows.Err()
	}
	if err := rows.Scan(&data); err != nil {
		return err
	}
	if Page(data).whole(id) {
		r.memory = append(r.memory[:0], data...)
		r.page = r.memory
	}
	return nil
}

func pageID(validity, uid uint32) int64 { return int64(validity)<<26 | int64(uid/Beside) }

// Put writes the page of the letters beside uid.
func (x *Index) Put(ctx context.Context, validity, uid uint32, p Page) error {
	db, err := x.use()
	if err != nil {
		return err
	}
	id := pageID(validity, uid)
	p.seal(id)
	_, err = db.ExecContext(ctx, "INSERT OR REPLACE INTO page (id, data) VALUES (?, ?)", id, []byte(p))
	x.release(err)
	return err
}

// Sweep removes what is of no mailbox among those that are there, by UIDVALIDITY, and
// of one of them the pages between those of its UIDs, which ascend.
func (x *Index) Sweep(ctx context.Context, there []uint32, validity uint32, uids iter.Seq[uint32]) error {
	db, err := x.use()
	if err != nil {
		return err
	}
	keep := make(map[int64]bool, len(there))
	for _, v := range there {
		keep[int64(v)] = true
	}
	if err = sweep(ctx, db, keep); err == nil {
		err = sweepMailbox(ctx, db, validity, uids)
	}
	x.release(err)
	return err
}

// sweep goes from one mailbox to the next, not through all pages.
func sweep(ctx context.Context, db *sql.DB, keep map[int64]bool) error {
	for from := int64(0); ; {
		var id int64
		err := db.QueryRowContext(ctx, "SELECT id FROM page WHERE id >= ? ORDER BY id LIMIT 1", from).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		validity := id >> 26
		from = (validity + 1) << 26
		if !keep[validity] {
			if _, err := db.ExecContext(ctx, "DELETE FROM page WHERE id >= ? AND id < ?", validity<<26, from); err != nil {
				return err
			}
		}
	}
}

// sweepMailbox removes the pages of a mailbox whose letters are all gone.
func sweepMailbox(ctx context.Context, db *sql.DB, validity uint32, uids iter.Seq[uint32]) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	between := func(from, to int64) error {
		if from == to {
			return nil
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM page WHERE id >= ? AND id < ?", from, to)
		return err
	}
	next := pageID(validity, 0)
	for uid := range uids {
		id := pageID(validity, uid)
		if id < next {
			continue
		}
		if err := between(next, id); err != nil {
			return err
		}
		next = id + 1
	}
	if err := between(next, pageID(validity, math.MaxUint32)+1); err != nil {
		return err
	}
	return tx.Commit()
}

// use opens the file, if it is not open.
func (x *Index) use() (*sql.DB, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		db, err := open(x.path)
		if err != nil {
			return nil, err
		}
		x.db = db
	}
	if x.rest != nil {
		x.rest.Stop()
		x.rest = nil
	}
	x.users++
	return x.db, nil
}

// release ends a use. A file that SQLite can't work with is forgotten: the next use
// looks at it again, and makes it anew if it is damaged.
func (x *Index) release(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.damaged = x.damaged || damaged(err)
	if x.users--; x.users > 0 || x.db == nil {
		return
	}
	if err != nil || x.damaged {
		x.shut()
		return
	}
	x.rest = time.AfterFunc(openTime, x.idle)
}

func (x *Index) idle() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.users == 0 {
		x.shut()
	}
}

func (x *Index) shut() {
	if x.db != nil {
		x.db.Close()
		x.db = nil
	}
	if x.damaged {
		x.damaged = remove(x.path) != nil
	}
}

// damaged: SQLite says that the file is none that it can work with.
func damaged(err error) bool {
	var e interface{ Code() int }
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case 1, 11, 26: // SQLITE_ERROR, _CORRUPT, _NOTADB
		return true
	}
	return false
}

// remove removes the file with what SQLite has beside it.
func remove(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close closes the file; who asks later opens it again.
func (x *Index) Close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rest != nil {
		x.rest.Stop()
	}
	if x.users == 0 {
		x.shut()
	}
}

// open opens the file and makes it anew if it is no index of this version.
func open(path string) (*sql.DB, error) {
	db, err := try(path)
	if err == nil {
		return db, nil
	}
	if err := remove(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	return try(path)
}

func try(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(1000)", "journal_mode(WAL)", "synchronous(OFF)", "cache_size(-256)", "journal_size_limit(1048576)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(2)
	if err := prepare(db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// prepare makes the table in an empty file, and refuses one of another version.
func prepare(db *sql.DB) error {
	var is, tables int
	if err := db.QueryRow("PRAGMA user_version").Scan(&is); err != nil {
		return err
	}
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case is == version && tables == 1:
		return nil
	case is != 0 || tables != 0:
		return fmt.Errorf("search.db of version %d", is)
	}
	_, err := db.Exec(fmt.Sprintf("CREATE TABLE page (id INTEGER PRIMARY KEY, data BLOB NOT NULL); PRAGMA user_version=%d", version))
	return err
}
