package fulltext

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
}

const (
	version = 1
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
		r.x.release(r.stmt.Close())
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
	rows, err := r.stmt.QueryContext(r.ctx, id)
	if err != nil {
		return nil
	}
	defer rows.Close()
	var data sql.RawBytes
	if rows.Next() && rows.Scan(&data) == nil && Page(data).whole(id) {
		r.memory = append(r.memory[:0], data...)
		r.page = r.memory
	}
	return r.page
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

// Sweep removes what is of no mailbox among those that are there, by UIDVALIDITY.
func (x *Index) Sweep(ctx context.Context, there []uint32) error {
	db, err := x.use()
	if err != nil {
		return err
	}
	keep := make(map[int64]bool, len(there))
	for _, v := range there {
		keep[int64(v)] = true
	}
	err = sweep(ctx, db, keep)
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
// looks at it again.
func (x *Index) release(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.users--; x.users > 0 || x.db == nil {
		return
	}
	if err != nil {
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
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
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
