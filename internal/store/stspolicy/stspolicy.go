// Package stspolicy keeps the MTA-STS policies of other domains over a restart, so that
// nobody who can hold up a fetch can make us forget what a domain demands (RFC 8461 §10.2).
//
// # On disk
//
// The table sts_policy in DATA/facteur.db, with a version of its own. A policy is
// durable when Save returns. What is over is deleted with the next Save; of more than
// Most, those that were used the longest ago go.
//
// A crash loses the time when a policy was last used, at most a day of it.
package stspolicy

import (
	"context"
	"embed"
	"fmt"
	"strings"
	"time"

	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables is the tables of this room, for db.Open.
func Tables() db.Tables { return db.Tables{Room: "stspolicy", Migrations: migrations} }

// Most is how many policies are kept.
const Most = tlspolicy.MaxPolicies

// Store keeps policies. Its methods may be called from any goroutine.
type Store struct {
	db   *db.DB
	now  func() time.Time
	most int
}

// New is the policies in a database that was opened with Tables.
func New(d *db.DB) *Store { return &Store{db: d, now: time.Now, most: Most} }

// Load reads what still counts, the last used first. A row that can't be read is passed
// over: the policy is fetched again.
func (s *Store) Load(ctx context.Context) ([]tlspolicy.Cached, error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT domain, id, mode, mx, max_age, fetched, used FROM sts_policy
		WHERE expires > ? ORDER BY used DESC LIMIT ?`, s.now().Unix(), s.most)
	if err != nil {
		return nil, fmt.Errorf("MTA-STS policies: %w", err)
	}
	defer rows.Close()
	var out []tlspolicy.Cached
	for rows.Next() {
		var c tlspolicy.Cached
		var mx string
		var maxAge, fetched, used int64
		if err := rows.Scan(&c.Domain, &c.ID, &c.Policy.Mode, &mx, &maxAge, &fetched, &used); err != nil {
			return nil, fmt.Errorf("MTA-STS policies: %w", err)
		}
		c.Policy.MX, c.Policy.MaxAge = strings.Fields(mx), time.Duration(maxAge)*time.Second
		c.Fetched, c.Used = time.Unix(fetched, 0), time.Unix(used, 0)
		out = append(out, c)
	}
	return out, rows.Err()
}

// Save writes a policy down in place of an older one of the same domain.
func (s *Store) Save(ctx context.Context, c tlspolicy.Cached) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`DELETE FROM sts_policy WHERE expires <= ?`, s.now().Unix()); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT OR REPLACE INTO sts_policy (domain, id, mode, mx, max_age, fetched, used, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			c.Domain, c.ID, string(c.Policy.Mode), strings.Join(c.Policy.MX, " "), int64(c.Policy.MaxAge/time.Second),
			c.Fetched.Unix(), c.Used.Unix(), c.Expires().Unix())
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM sts_policy WHERE domain IN (SELECT domain FROM sts_policy ORDER BY used DESC LIMIT -1 OFFSET ?)`, s.most)
		return err
	})
	if err != nil {
		return fmt.Errorf("MTA-STS policies: %w", err)
	}
	return nil
}
