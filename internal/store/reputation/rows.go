package reputation

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

// read fills the memory with what still counts, the longest first.
func (s *Store) read(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().Unix()
	passed := s.each(ctx, `SELECT client, test, 0, expires FROM reputation_passed WHERE expires > ? ORDER BY expires DESC LIMIT ?`, now,
		func(r *record, name string, _ int, expires int64) { r.pass(Test(name), expires) })
	remarks := s.each(ctx, `SELECT client, remark, count, expires FROM reputation_remark WHERE expires > ? ORDER BY expires DESC LIMIT ?`, now,
		func(r *record, name string, n int, expires int64) { r.remark(name, count{n, expires}) })
	return about(errors.Join(passed, remarks, s.domains.read(ctx, s.db, now), s.standings.read(ctx, s.db, now)))
}

// each gives the rows of a query to the records that they are of.
func (s *Store) each(ctx context.Context, query string, now int64, fn func(r *record, name string, n int, expires int64)) error {
	return s.db.Each(ctx, query, []any{now, s.most}, func(rows *sql.Rows) error {
		var text, name string
		var n int
		var expires int64
		if err := rows.Scan(&text, &name, &n, &expires); err != nil {
			return err
		}
		client, err := netip.ParsePrefix(text)
		if err != nil || s.clients[client] == nil && len(s.clients) >= s.most {
			return nil // of a damaged row, or one too many, nobody has need
		}
		fn(s.record(client), name, n, expires)
		return nil
	})
}

// Write makes the changes durable. What could not be written is tried again with the
// next Write.
func (s *Store) Write(ctx context.Context) error {
	return about(behind.Write(ctx, s.db, append(s.standings.tables(), s.changed, s.domains.changed)...))
}

// row is all rows of a client; without any, it is gone.
func (s *Store) row(client netip.Prefix) behind.Row {
	name, copied := client.String(), record{}
	if r := s.clients[client]; r != nil {
		copied = record{passed: maps.Clone(r.passed), remarks: maps.Clone(r.remarks)}
	}
	return func(tx *db.Tx) error { return copied.put(tx, name) }
}

func (r *record) put(tx *db.Tx, client string) error {
	for _, stmt := range []string{`DELETE FROM reputation_passed WHERE client = ?`, `DELETE FROM reputation_remark WHERE client = ?`} {
		if _, err := tx.Exec(stmt, client); err != nil {
			return err
		}
	}
	for t, until := range r.passed {
		if _, err := tx.Exec(`INSERT INTO reputation_passed (client, test, expires) VALUES (?, ?, ?)`, client, string(t), until); err != nil {
			return err
		}
	}
	for name, n := range r.remarks {
		if _, err := tx.Exec(`INSERT INTO reputation_remark (client, remark, count, expires) VALUES (?, ?, ?, ?)`, client, name, n.n, n.expires); err != nil {
			return err
		}
	}
	return nil
}

// sweep drops what is over, in memory and on disk.
func (s *Store) sweep(ctx context.Context) error {
	now := s.now().Unix()
	s.mu.Lock()
	for client, r := range s.clients {
		if !r.forget(now) {
			delete(s.clients, client)
		}
	}
	s.mu.Unlock()
	s.domains.sweep(now)
	s.standings.sweep(now)
	return about(s.db.Write(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"reputation_passed", "reputation_remark", "reputation_domain"} {
			if _, err := tx.Exec(`DELETE FROM `+table+` WHERE expires <= ?`, now); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`DELETE FROM reputation_fare WHERE day <= ?`, now/secondsDay-faresDays)
		return err
	}))
}

func about(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("reputation: %w", err)
}
