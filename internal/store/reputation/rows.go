package reputation

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"facteur/internal/store/db"
)

// read fills the memory with what still counts, the longest first.
func (s *Store) read(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().Unix()
	err := s.each(ctx, `SELECT client, test, 0, expires FROM reputation_passed WHERE expires > ? ORDER BY expires DESC LIMIT ?`, now,
		func(r *record, name string, _ int, expires int64) { r.pass(Test(name), expires) })
	if err != nil {
		return err
	}
	err = s.each(ctx, `SELECT client, remark, count, expires FROM reputation_remark WHERE expires > ? ORDER BY expires DESC LIMIT ?`, now,
		func(r *record, name string, n int, expires int64) { r.remark(name, count{n, expires}) })
	if err != nil {
		return err
	}
	if err := s.domains.read(ctx, s.db, now); err != nil {
		return err
	}
	return s.standings.read(ctx, s.db, now)
}

// each gives the rows of a query to the records that they are of.
func (s *Store) each(ctx context.Context, query string, now int64, fn func(r *record, name string, n int, expires int64)) error {
	rows, err := s.db.Reader().QueryContext(ctx, query, now, s.most)
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := s.row(rows, fn); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Store) row(rows *sql.Rows, fn func(r *record, name string, n int, expires int64)) error {
	var text, name string
	var n int
	var expires int64
	if err := rows.Scan(&text, &name, &n, &expires); err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	client, err := netip.ParsePrefix(text)
	if err != nil || s.clients[client] == nil && len(s.clients) >= s.most {
		return nil // of a damaged row, or one too many, nobody has need
	}
	fn(s.record(client), name, n, expires)
	return nil
}

// change is what is to be written of one client; without anything, it is gone.
type change struct {
	client string
	record record
}

// writeMost bounds the clients of one transaction, and so how long others wait.
const writeMost = 500

// Write makes the changes durable. What could not be written is tried again with the
// next Write.
func (s *Store) Write(ctx context.Context) error {
	for {
		batch, clients := s.take()
		if len(batch) == 0 {
			return errors.Join(s.domains.write(ctx, s.db), s.standings.write(ctx, s.db))
		}
		if err := s.db.Write(ctx, func(tx *db.Tx) error { return put(tx, batch) }); err != nil {
			s.giveBack(clients)
			return fmt.Errorf("reputation: %w", err)
		}
	}
}

// take takes some changes to write them.
func (s *Store) take() (batch []change, clients []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for client := range s.changed {
		c := change{client: client.String()}
		if r := s.clients[client]; r != nil {
			c.record = record{passed: maps.Clone(r.passed), remarks: maps.Clone(r.remarks)}
		}
		batch, clients = append(batch, c), append(clients, client)
		delete(s.changed, client)
		if len(batch) == writeMost {
			break
		}
	}
	return batch, clients
}

func (s *Store) giveBack(clients []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range clients {
		s.touch(c)
	}
}

func put(tx *db.Tx, batch []change) error {
	for _, c := range batch {
		for _, stmt := range []string{`DELETE FROM reputation_passed WHERE client = ?`, `DELETE FROM reputation_remark WHERE client = ?`} {
			if _, err := tx.Exec(stmt, c.client); err != nil {
				return err
			}
		}
		for t, until := range c.record.passed {
			if _, err := tx.Exec(`INSERT INTO reputation_passed (client, test, expires) VALUES (?, ?, ?)`, c.client, string(t), until); err != nil {
				return err
			}
		}
		for name, n := range c.record.remarks {
			if _, err := tx.Exec(`INSERT INTO reputation_remark (client, remark, count, expires) VALUES (?, ?, ?, ?)`, c.client, name, n.n, n.expires); err != nil {
				return err
			}
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
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"reputation_passed", "reputation_remark", "reputation_domain"} {
			if _, err := tx.Exec(`DELETE FROM `+table+` WHERE expires <= ?`, now); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`DELETE FROM reputation_fare WHERE day <= ?`, now/secondsDay-faresDays)
		return err
	})
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	return nil
}
