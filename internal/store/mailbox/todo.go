package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
)

// todo is a file operation that a transaction has decided. It stands in the
// index until it is durable, and doing it twice does no harm: file names are
// never used again.
type todo struct {
	id     int64
	source string // below the Maildir
	target string // "": remove
}

// plan puts operations into a transaction.
func plan(tx *sql.Tx, list []todo) error {
	s, err := tx.Prepare("INSERT INTO todo (source, target) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range list {
		r, err := s.Exec(list[i].source, list[i].target)
		if err != nil {
			return err
		}
		if list[i].id, err = r.LastInsertId(); err != nil {
			return err
		}
	}
	return nil
}

// loadTodos takes over what an earlier run left undone.
func (a *Account) loadTodos(ctx context.Context) error {
	rows, err := a.idx.db.QueryContext(ctx, "SELECT id, source, target FROM todo ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t todo
		if err := rows.Scan(&t.id, &t.source, &t.target); err != nil {
			return err
		}
		a.todos = append(a.todos, t)
	}
	return rows.Err()
}

// finish does what was decided. As long as it fails nothing else is done in the
// account: files and index say different things. Callers hold mu.
func (a *Account) finish(ctx context.Context) error {
	if len(a.todos) == 0 {
		return nil
	}
	dirs := map[string]bool{}
	for _, t := range a.todos {
		if err := a.perform(t); err != nil {
			return err
		}
		dirs[path.Dir(t.source)] = true
		if t.target != "" {
			dirs[path.Dir(t.target)] = true
		}
	}
	durable := true
	for d := range dirs {
		err := a.store.fs.SyncDir(filepath.Join(a.root, d))
		// A sync that failed may "succeed" when repeated and prove nothing. The
		// rows stay in the index then, and the next run does it all again.
		durable = durable && (err == nil || errors.Is(err, fs.ErrNotExist))
	}
	if durable {
		for _, t := range a.todos {
			a.done = append(a.done, t.id)
		}
	}
	a.todos = nil
	return nil
}

func (a *Account) perform(t todo) error {
	source := filepath.Join(a.root, t.source)
	if t.target == "" {
		if err := a.store.fs.Remove(source); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	err := a.store.fs.Rename(source, filepath.Join(a.root, t.target))
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := a.store.fs.Stat(source); errors.Is(serr, fs.ErrNotExist) {
			return nil // done before, or taken away by somebody
		}
		target := filepath.Dir(filepath.Join(a.root, t.target))
		if _, serr := a.store.fs.Stat(target); errors.Is(serr, fs.ErrNotExist) {
			return nil // another program deleted the mailbox: the letter stays where it is
		}
	}
	return err
}
