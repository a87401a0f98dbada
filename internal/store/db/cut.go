package db

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
)

// CopyTo writes the database as it is at one moment into a new file, while others read
// and write. The file is not synced.
func (d *DB) CopyTo(ctx context.Context, path string) error {
	_, err := d.readers.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// Check reads a whole file that nobody has open, and changes nothing.
func Check(ctx context.Context, path string) error {
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?immutable=1&mode=ro")
	if err != nil {
		return err
	}
	defer pool.Close()
	var word string
	if err := pool.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&word); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if word != "ok" {
		return fmt.Errorf("%s is damaged: %s", path, word)
	}
	return nil
}
