package brake

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"facteur/internal/store/behind"
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
	return s.db.Each(ctx, `SELECT name, braked, why, signs, told, letting, hour, day FROM brake_account`, nil, func(rows *sql.Rows) error {
		var a Account
		var braked, letting int64
		var signs string
		err := rows.Scan(&a.Name, &braked, &a.Why, &signs, &a.Told, &letting, &a.Hour, &a.Day)
		a.Since, a.Letting = at(braked), at(letting)
		if signs != "" {
			a.Signs = strings.Split(signs, "\n")
		}
		s.accounts[a.Name] = a
		return err
	})
}

// readCounts reads the names that have sent last, as many as there is room for.
func (s *Store) readCounts(ctx context.Context) error {
	now := slotOf(time.Now())
	return s.db.Each(ctx, `SELECT name, cells FROM brake_count WHERE last BETWEEN ? AND ? ORDER BY last DESC LIMIT ?`, []any{now - daySlots, now, s.names}, func(rows *sql.Rows) error {
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
		return nil
	})
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

// Write makes durable what was counted. What could not be written is tried again with the
// next Write.
func (s *Store) Write(ctx context.Context) error {
	return about(behind.Write(ctx, s.db, s.changed))
}

// sweep drops the rows of names that have sent nothing for a day.
func (s *Store) sweep(ctx context.Context) error {
	return about(s.db.Write(ctx, behind.Exec(`DELETE FROM brake_count WHERE last < ?`, slotOf(time.Now())-daySlots)))
}

// row is the counts of a name as they are now, to be written.
func (s *Store) row(name string) behind.Row {
	if c := s.counts[name]; c != nil {
		if c.trim(slotOf(time.Now())); len(c.cells) > 0 {
			return behind.Exec(`INSERT OR REPLACE INTO brake_count (name, last, cells) VALUES (?, ?, ?)`, name, c.last(), c.String())
		}
	}
	return behind.Exec(`DELETE FROM brake_count WHERE name = ?`, name)
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
