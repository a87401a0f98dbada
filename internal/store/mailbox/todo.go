package mailbox

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/base/vfs"
)

// todo is a file operation that a transaction has decided. It stands in the
// index until it is durable, and doing it twice does no harm: file names are
// never used again.
type todo struct {
	source string // below the Maildir
	target string // "": remove
}

// todoRow is how many operations stand in one row.
const todoRow = 500

// plan puts operations into a transaction.
func (a *Account) plan(tx *sql.Tx, list []todo) error {
	ids, err := planIn(tx, list)
	a.planned = ids
	return err
}

// planIn gives the rows that it made.
func planIn(tx *sql.Tx, list []todo) (ids []int64, err error) {
	for part := range slices.Chunk(list, todoRow) {
		r, err := tx.Exec("INSERT INTO todo (operations) VALUES (?)", encodeTodos(part))
		if err != nil {
			return nil, err
		}
		id, err := r.LastInsertId()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// encodeTodos writes paths, each as how many bytes it shares with the last of its
// kind, and the rest.
func encodeTodos(list []todo) []byte {
	var out []byte
	var last todo
	for _, t := range list {
		for _, p := range [2][2]string{{last.source, t.source}, {last.target, t.target}} {
			n := shared(p[0], p[1])
			out = appendBytes(binary.AppendUvarint(out, uint64(n)), p[1][n:])
		}
		last = t
	}
	return seal(kindTodo, 0, out)
}

func decodeTodos(blob []byte) (list []todo, err error) {
	c, err := unseal(kindTodo, 0, blob)
	if err != nil {
		return nil, err
	}
	var last todo
	path := func(last string) string {
		n := c.uvarint()
		rest := c.bytes()
		if n > uint64(len(last)) {
			c.bad = true
			return ""
		}
		return last[:n] + string(rest)
	}
	for c.more() {
		last = todo{path(last.source), path(last.target)}
		list = append(list, last)
	}
	return list, c.end(kindTodo, 0)
}

// loadTodos takes over what an earlier run left undone. A damaged row is left
// undone: the letters are where their files are.
func (a *Account) loadTodos(ctx context.Context) error {
	rows, err := a.idx.db.QueryContext(ctx, "SELECT id, operations FROM todo ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var blob []byte
		if err := rows.Scan(&id, &blob); err != nil {
			return err
		}
		list, err := decodeTodos(blob)
		if err != nil {
			a.warn("file operations in an index were damaged and are not done")
			list = nil
		}
		a.planned, a.todos = append(a.planned, id), append(a.todos, list...)
	}
	return rows.Err()
}

// finish does what was decided. As long as it fails nothing else is done in the
// account: files and index say different things. Callers hold mu.
func (a *Account) finish(ctx context.Context) error {
	if len(a.todos) == 0 {
		return nil
	}
	dirs, seen := map[string]bool{}, strays{}
	for _, t := range a.todos {
		if err := a.perform(t, seen); err != nil {
			return err
		}
		dirs[path.Dir(t.source)] = true
		if t.target != "" {
			dirs[path.Dir(t.target)] = true
		}
	}
	durable := true
	for d := range dirs {
		err := a.fs.SyncDir(filepath.Join(a.root, d))
		// A sync that failed may "succeed" when repeated and prove nothing. The
		// rows stay in the index then, and the next run does it all again.
		durable = durable && (err == nil || errors.Is(err, fs.ErrNotExist))
	}
	if durable {
		a.done = append(a.done, a.planned...)
	}
	a.todos, a.planned = nil, nil
	return nil
}

func (a *Account) perform(t todo, seen strays) error {
	source := a.root + "/" + t.source
	if t.target == "" {
		if err := a.fs.Remove(source); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	err := a.fs.Rename(source, a.root+"/"+t.target)
	if withoutRoom(t, err) {
		return a.perform(todo{source: t.source}, seen)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := a.fs.Stat(source); errors.Is(serr, fs.ErrNotExist) {
			return a.follow(t, seen)
		}
		target := filepath.Dir(filepath.Join(a.root, t.target))
		if _, serr := a.fs.Stat(target); errors.Is(serr, fs.ErrNotExist) {
			return nil // another program deleted the mailbox: the letter stays where it is
		}
	}
	return err
}

// follow renames a file that is no longer where the index has it. It was renamed
// before, or taken away by somebody, or another program gave it other flags between
// the decision and now: then it goes to its target all the same, for its UID there is
// told, with the flags that the other program gave it.
func (a *Account) follow(t todo, seen strays) error {
	if _, err := a.fs.Stat(a.root + "/" + t.target); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, err := seen.find(a.fs, filepath.Join(a.root, path.Dir(path.Dir(t.source))), baseOf(path.Base(t.source)))
	if err != nil || name == "" {
		return err
	}
	target := withInfoOf(name, t.target)
	err = a.fs.Rename(name, a.root+"/"+target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if folder := path.Dir(path.Dir(target)); err == nil && target != t.target {
		for _, b := range a.boxes {
			if b.folder == folder || b.folder == "" && folder == "." {
				b.distrust() // its index has the old flags
			}
		}
	}
	return err
}

// withInfoOf is where a letter goes whose file got other flags meanwhile: to the base
// and mailbox that were decided, with the flags that it has now.
func withInfoOf(name, target string) string {
	sub, file := path.Split(name)
	base := baseOf(file)
	if path.Base(sub) == "new" || file == base {
		return target
	}
	return path.Join(path.Dir(path.Dir(target)), "cur", baseOf(path.Base(target))+file[len(base):])
}

// strays are the files of Maildirs in which one was not where the index has it, by
// base. Each Maildir is read once.
type strays map[string]map[string]string

// find gives the path of the file with a base; "" if there is none.
func (s strays) find(files vfs.FS, dir, base string) (string, error) {
	if s[dir] == nil {
		s[dir] = map[string]string{}
		for _, sub := range [2]string{"new", "cur"} {
			entries, err := files.ReadDir(filepath.Join(dir, sub))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			for _, e := range entries {
				s[dir][baseOf(e.Name)] = filepath.Join(dir, sub, e.Name)
			}
		}
	}
	return s[dir][base], nil
}

// baseOf is the part of a file's name before the flags.
func baseOf(name string) string {
	base, _, _ := strings.Cut(name, ":")
	return base
}
