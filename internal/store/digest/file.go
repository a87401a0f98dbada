package digest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

const (
	// formatVersion is the user_version of the file. A file of another version is
	// thrown away. Change it with the form of pages and with what Make makes.
	formatVersion = 1
	// maxFile is how large the file may grow, in bytes.
	maxFile = 4 << 30
	// filePage is the page size of SQLite, in bytes: large, for large blobs.
	filePage = 16 << 10
)

// file is the open SQLite file. Its user sees to it that one goroutine uses it.
type file struct {
	db  *sql.DB
	get *sql.Stmt
}

// openFile opens the file, and makes it anew if it is none of ours.
func openFile(path string) (*file, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxFile/16*15 {
		if err := remove(path); err != nil {
			return nil, err
		}
	}
	f, err := tryFile(path)
	if err == nil {
		return f, nil
	}
	if err := remove(path); err != nil {
		return nil, err
	}
	return tryFile(path)
}

func remove(path string) error {
	for _, suffix := range []string{"", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func tryFile(path string) (*file, error) {
	made, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	made.Close()
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("page_size(%d)", filePage), "busy_timeout(100)", "journal_mode(TRUNCATE)", "synchronous(OFF)",
		"cache_size(-256)", fmt.Sprintf("max_page_count(%d)", maxFile/filePage),
	}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	f := &file{db: db}
	if err := f.prepare(); err != nil {
		db.Close()
		return nil, err
	}
	return f, nil
}

func (f *file) prepare() (err error) {
	var version, tables int
	if err := f.db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if err := f.db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	switch {
	case version == 0 && tables == 0:
		_, err = f.db.Exec(fmt.Sprintf(`BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS page (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
			PRAGMA user_version = %d; COMMIT`, formatVersion))
	case version != formatVersion:
		err = fmt.Errorf("version %d", version)
	}
	if err != nil {
		return err
	}
	f.get, err = f.db.Prepare("SELECT data FROM page WHERE id = ?")
	return err
}

// read appends a page to buf[:0]; nil if there is none, or no good one.
func (f *file) read(id pageID, buf []byte) (block, error) {
	rows, err := f.get.Query(int64(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var raw sql.RawBytes
	if err := rows.Scan(&raw); err != nil {
		return nil, err
	}
	return check(id, append(buf[:0], raw...)), nil
}

// write joins entries with the pages that are there.
func (f *file) write(pages map[pageID]*page) error {
	tx, err := f.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	get := tx.Stmt(f.get)
	put, err := tx.Prepare("INSERT OR REPLACE INTO page (id, data) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer put.Close()
	for id, p := range pages {
		var data []byte
		if err := get.QueryRow(int64(id)).Scan(&data); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		joined := check(id, data).page()
		for i := range p {
			if p[i].data != nil {
				joined[i] = p[i]
			}
		}
		if _, err := put.Exec(int64(id), joined.encode(id)); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return f.verify(pages)
}

// errDamaged means that the file does not give what was written to it.
var errDamaged = errors.New("the cache is damaged")

// verify reads a few of the pages that were written: a tree that is damaged in the
// right place takes pages and never gives them.
func (f *file) verify(pages map[pageID]*page) error {
	looks := 2 * parts
	for id := range pages {
		if b, err := f.read(id, nil); err != nil {
			return err
		} else if b == nil {
			return errDamaged
		}
		if looks--; looks == 0 {
			break
		}
	}
	return nil
}

// maxGaps bounds the work of one sweep.
const maxGaps = 1000

// sweep deletes the pages of a mailbox in which none of the UIDs is, which ascend.
// It looks for gaps of whole pages only, and never at pages that stay.
func (f *file) sweep(validity uint32, uids []uint32) error {
	tx, err := f.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	next, gaps := firstOf(validity), 0 // the id after the last page that stays
	clear := func(from, to int64) error {
		if from >= to || gaps == maxGaps {
			return nil
		}
		gaps++
		_, err := tx.Exec("DELETE FROM page WHERE id >= ? AND id < ?", from, to)
		return err
	}
	for _, uid := range uids {
		id := int64(pageOf(validity, uid))
		if err := clear(next, id); err != nil {
			return err
		}
		next = max(next, id+parts)
	}
	if err := clear(next, lastOf(validity)+1); err != nil {
		return err
	}
	return tx.Commit()
}

// sweepMailboxes deletes the pages of mailboxes that are no more. It jumps from
// mailbox to mailbox.
func (f *file) sweepMailboxes(alive func(validity uint32) bool) error {
	for from := int64(0); ; {
		var id sql.NullInt64
		if err := f.db.QueryRow("SELECT min(id) FROM page WHERE id >= ?", from).Scan(&id); err != nil || !id.Valid {
			return err
		}
		validity := pageID(id.Int64).validity()
		from = lastOf(validity)
		if !alive(validity) {
			if _, err := f.db.Exec("DELETE FROM page WHERE id BETWEEN ? AND ?", firstOf(validity), from); err != nil {
				return err
			}
		}
		from++
	}
}

// firstOf and lastOf are the ends of a mailbox's range of ids.
func firstOf(validity uint32) int64 { return int64(pageOf(validity, 0)) }

func lastOf(validity uint32) int64 { return int64(pageOf(validity, 1<<32-1)) + parts - 1 }

func (f *file) close() { f.db.Close() }

// hopeless tells the errors after which the file must be made anew: it is no
// database, or one that is damaged, or without our table.
func hopeless(err error) bool {
	if errors.Is(err, errDamaged) {
		return true
	}
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
