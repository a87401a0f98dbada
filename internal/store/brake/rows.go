package brake

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"facteur/internal/store/db"
)

func (a *Account) put(tx *db.Tx) error {
	if a.isPlain() {
		_, err := tx.Exec(`DELETE FROM brake_account WHERE name = ?`, a.Name)
		return err
	}
	_, err := tx.Exec(`INSERT OR REPLACE INTO brake_account (name, braked, why, signs, told, letting, hour, day) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.Name, unix(a.Since), a.Why, strings.Join(a.Signs, "\n"), a.Told, unix(a.Letting), a.Hour, a.Day)
	return err
}

func (s *Store) readAccounts(ctx context.Context) error {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT name, braked, why, signs, told, letting, hour, day FROM brake_account`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a Account
		var braked, letting int64
		var signs string
		if err := rows.Scan(&a.Name, &braked, &a.Why, &signs, &a.Told, &letting, &a.Hour, &a.Day); err != nil {
			return err
		}
		a.Since, a.Letting = at(braked), at(letting)
		if signs != "" {
			a.Signs = strings.Split(signs, "\n")
		}
		s.accounts[a.Name] = a
	}
	return rows.Err()
}

// readCounts reads the names that have sent last, as many as there is room for.
func (s *Store) readCounts(ctx context.Context) error {
	now := slotOf(time.Now())
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT name, cells FROM brake_count WHERE last BETWEEN ? AND ? ORDER BY last DESC LIMIT ?`,
		now-daySlots, now, s.names)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return err
		}
		c, err := parse(text)
		if err != nil {
			return fmt.Errorf("counts of %s: %w", name, err)
		}
		c.trim(now)
		s.counts[name] = c
	}
	return rows.Err()
}

// String is the cells as they are written.
func (c *counts) String() string {
	rows := make([][1 + kinds]int64, len(c.cells))
	for i, x := range c.cells {
		rows[i][0] = x.slot
		for k, n := range x.n {
			rows[i][1+k] = int64(n)
		}
	}
	text, _ := json.Marshal(rows) // numbers can always be written
	return string(text)
}

func parse(text string) (*counts, error) {
	var rows [][]int64
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, err
	}
	c := &counts{}
	for _, r := range rows {
		var x cell
		for i, n := range r {
			switch {
			case i == 0:
				x.slot = n
			case i <= int(kinds):
				x.n[i-1] = uint32(n)
			}
		}
		c.cells = append(c.cells, x)
	}
	return c, nil
}

// Write makes durable what was counted, and forgets what is over. What could not be written
// is tried again with the next Write.
func (s *Store) Write(ctx context.Context) error {
	for {
		batch := s.take()
		if len(batch) == 0 {
			return nil
		}
		if err := s.db.Write(ctx, func(tx *db.Tx) error { return put(tx, batch) }); err != nil {
			s.giveBack(batch)
			return about(err)
		}
	}
}

// row is the counts of a name as they are written; gone where they are over.
type row struct {
	last  int64
	cells string
}

func (s *Store) take() map[string]row {
	now := slotOf(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := make(map[string]row, min(len(s.changed), writeMost))
	for name := range s.changed {
		if len(batch) == writeMost {
			break
		}
		delete(s.changed, name)
		c := s.counts[name]
		if c == nil {
			batch[name] = row{}
			continue
		}
		c.trim(now)
		batch[name] = row{c.last(), c.String()}
	}
	return batch
}

func (s *Store) giveBack(batch map[string]row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range batch {
		s.changed[name] = struct{}{}
	}
}

func put(tx *db.Tx, batch map[string]row) error {
	for name, r := range batch {
		query, args := `DELETE FROM brake_count WHERE name = ?`, []any{name}
		if r.last != 0 {
			query, args = `INSERT OR REPLACE INTO brake_count (name, last, cells) VALUES (?, ?, ?)`, []any{name, r.last, r.cells}
		}
		if _, err := tx.Exec(query, args...); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`DELETE FROM brake_count WHERE last < ?`, slotOf(time.Now())-daySlots)
	return err
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
