package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

// errCorrupt means that the index can't be trusted and must be made anew.
var errCorrupt = errors.New("index is corrupt")

// schemaVersion is the user_version of the index. Older ones are brought up to
// date (migrate.go); one of another version is thrown away like a corrupt one: it
// is only a cache.
const schemaVersion = 5

// schema is the whole index.
const schema = `
CREATE TABLE meta (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	epoch    INTEGER NOT NULL, -- the epoch of facteur-uids in which this was written
	changes  INTEGER NOT NULL, -- transactions in it
	validity INTEGER NOT NULL  -- the last UIDVALIDITY given
);
CREATE TABLE mailbox (
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	folder   TEXT NOT NULL UNIQUE, -- directory below Maildir
	validity INTEGER NOT NULL,
	uidnext  INTEGER NOT NULL,
	modseq   INTEGER NOT NULL,
	recent   INTEGER NOT NULL,     -- letters from this UID on are \Recent to the next session
	count    INTEGER NOT NULL,
	bytes    INTEGER NOT NULL,
	newstamp INTEGER NOT NULL,     -- mtime of new/ when it was last read, ns; 0: read it again
	curstamp INTEGER NOT NULL,
	liststamp INTEGER NOT NULL,    -- mtime of the list of UIDs when it was last written or read, ns
	listnext  INTEGER NOT NULL,    -- UIDNEXT and
	listcount INTEGER NOT NULL,    -- letters when it was last written; 0: write it
	heir      INTEGER NOT NULL,    -- 1: the letters' UIDs are still to be taken from the list
	historyfloor INTEGER NOT NULL, -- all removals after this MODSEQ stand in history
	historysize  INTEGER NOT NULL, -- bytes that the mailbox has there
	unseen       INTEGER NOT NULL, -- letters without \Seen
	deleted      INTEGER NOT NULL  -- letters with \Deleted
);
CREATE TABLE keyword (
	mailbox INTEGER NOT NULL,
	number  INTEGER NOT NULL,
	name    TEXT NOT NULL,
	PRIMARY KEY (mailbox, number)
) WITHOUT ROWID;` + pageTables + historyTable

// pageTables have what changes with letters. A row's id is the mailbox's shifted
// by 32, plus the number of the page.
const pageTables = `
CREATE TABLE page (
	id      INTEGER PRIMARY KEY,
	fresh   INTEGER NOT NULL,     -- letters of it that are in new/
	letters BLOB NOT NULL         -- encodeRecords
);
CREATE INDEX page_fresh ON page (id) WHERE fresh > 0;
CREATE TABLE name (
	id    INTEGER PRIMARY KEY,
	bases BLOB NOT NULL           -- encodeNames
);
CREATE TABLE todo (               -- file operations that were decided and may not be done
	id         INTEGER PRIMARY KEY,
	operations BLOB NOT NULL      -- encodeTodos
);`

const historyTable = `
CREATE TABLE history (            -- letters that are gone
	mailbox INTEGER NOT NULL,
	modseq  INTEGER NOT NULL,     -- of the removal
	uids    BLOB NOT NULL,
	PRIMARY KEY (mailbox, modseq)
) WITHOUT ROWID;`

// index is the SQLite file.
type index struct {
	db   *sql.DB
	path string
	file os.FileInfo // as it was opened
	// What is asked for letter by letter is prepared once.
	readPage, readNames                                           *sql.Stmt
	writePage, writeNames, dropPage, dropNames, saveRow, saveMeta *sql.Stmt
}

// openIndex opens the file. It gives errCorrupt if there is none, or it is no index of
// this version. No connection makes a file, now or later: an empty one would take the
// place of an index that was deleted.
func openIndex(path string, check bool) (*index, error) {
	db, err := connect(path, url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
		"cache_size(-512)", "wal_autocheckpoint(1000)", "journal_size_limit(4194304)",
	}})
	if err != nil {
		return nil, err
	}
	// One for the writer, who holds Account.mu, and one for readers.
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(2)
	x := &index{db: db, path: path}
	err = x.verify(check)
	if err == nil {
		err = x.prepare()
	}
	if err != nil {
		db.Close()
		if x.gone() {
			err = fmt.Errorf("%w: %w", errCorrupt, errGone)
		}
		return nil, err
	}
	return x, nil
}

func connect(path string, options url.Values) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode())
}

// prepare makes the statements, which end with the database.
func (x *index) prepare() (err error) {
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&x.readPage, "SELECT letters FROM page WHERE id = ?"},
		{&x.readNames, "SELECT bases FROM name WHERE id = ?"},
		{&x.writePage, "INSERT OR REPLACE INTO page (id, fresh, letters) VALUES (?, ?, ?)"},
		{&x.writeNames, "INSERT OR REPLACE INTO name (id, bases) VALUES (?, ?)"},
		{&x.dropPage, "DELETE FROM page WHERE id = ?"},
		{&x.dropNames, "DELETE FROM name WHERE id = ?"},
		{&x.saveRow, saveRow},
		{&x.saveMeta, "UPDATE meta SET epoch = ?, changes = ?, validity = ?"},
	} {
		if *s.to, err = x.db.Prepare(s.query); err != nil {
			return err
		}
	}
	x.file, err = os.Stat(x.path)
	return err
}

// there tells whether the file that is open is still the one of its name.
func (x *index) there() bool {
	info, err := os.Stat(x.path)
	return err == nil && os.SameFile(info, x.file)
}

// errGone means that somebody deleted the index.
var errGone = errors.New("the index was deleted")

// gone tells whether there is no file of that name.
func (x *index) gone() bool {
	_, err := os.Stat(x.path)
	return errors.Is(err, fs.ErrNotExist)
}

// verify looks at version and, if asked, at the structure of the file.
func (x *index) verify(check bool) error {
	var version int
	if err := x.db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return corruptIf(err) // with a full disk or no descriptors left, the index is good
	}
	if check {
		var verdict string
		if err := x.db.QueryRow("PRAGMA quick_check(1)").Scan(&verdict); err != nil {
			return corruptIf(err)
		}
		if verdict != "ok" {
			return fmt.Errorf("%w: %s", errCorrupt, verdict)
		}
	}
	if version == 0 {
		return fmt.Errorf("%w: %w: its making was cut off", errCorrupt, errUnused)
	}
	if version != schemaVersion {
		return corruptIf(x.migrate(context.Background(), version))
	}
	return nil
}

// createIndex makes an empty index in place of what is there. It has its name when it is
// complete: a file of that name is an index, or it was damaged.
func createIndex(path string) (*index, error) {
	making := path + "-making"
	if err := errors.Join(removeIndex(path), removeIndex(making)); err != nil {
		return nil, err
	}
	err := makeIndex(making)
	if err == nil {
		err = os.Rename(making, path)
	}
	if err != nil {
		return nil, errors.Join(err, removeIndex(making))
	}
	return openIndex(path, false)
}

func makeIndex(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	file.Close()
	db, err := connect(path, url.Values{"mode": {"rw"}, "_txlock": {"immediate"}})
	if err != nil {
		return err
	}
	_, err = db.Exec(fmt.Sprintf("PRAGMA journal_mode=WAL; BEGIN; %s INSERT INTO meta VALUES (1,0,0,0); PRAGMA user_version=%d; COMMIT",
		schema, schemaVersion))
	return errors.Join(err, db.Close())
}

func (x *index) close() error { return x.db.Close() }

// remove deletes the file of a closed index.
func (x *index) remove() error { return removeIndex(x.path) }

func removeIndex(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// write runs fn in one transaction. Only the holder of Account.mu writes. What
// fn did in memory must be undone by the caller if write fails.
func (x *index) write(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := x.db.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		tx.Rollback()
		return err
	}
	return tx.Commit()
}
