package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"facteur/internal/store/db"
)

// row is what a policy says, as its row has it: a newer program may say more there, which
// an older one passes over.
type row map[string]string

func (s *Store) read(ctx context.Context) error {
	if err := s.readPolicies(ctx); err != nil {
		return err
	}
	return s.readEntries(ctx)
}

func (s *Store) readPolicies(ctx context.Context) error {
	rows, err := s.db.Reader().QueryContext(ctx, "SELECT match, priority, fields FROM policy_filter LIMIT ?", PoliciesMax)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		p := Policy{Source: FromDatabase}
		if err := rows.Scan(&p.Match, &p.Priority, &text); err != nil {
			return err
		}
		var said row
		if err := json.Unmarshal([]byte(text), &said); err != nil {
			return fmt.Errorf("the policy for %s: %w", p.Match, err)
		}
		for key, value := range said {
			_ = p.Set(key, value) // what is not known here is a newer program's
		}
		s.policies[p.Match] = p
	}
	return rows.Err()
}

func (s *Store) readEntries(ctx context.Context) error {
	rows, err := s.db.Reader().QueryContext(ctx, "SELECT match, sender, network, kind, score, priority, until, note, added FROM policy_entry LIMIT ?", EntriesMax)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e := Entry{Source: FromDatabase}
		var network string
		var until, added int64
		if err := rows.Scan(&e.Match, &e.Sender, &network, &e.Kind, &e.Score, &e.Priority, &until, &e.Note, &added); err != nil {
			return err
		}
		if network != "" {
			if e.Network, err = netip.ParsePrefix(network); err != nil {
				return fmt.Errorf("the list of %s: %w", e.Match, err)
			}
		}
		if e.Added = time.Unix(added, 0); until > 0 {
			e.Until = time.Unix(until, 0)
		}
		s.entries[e.key()] = e
	}
	return rows.Err()
}

func (s *Store) write(ctx context.Context, stmt string, args ...any) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(stmt, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

func (s *Store) writePolicy(ctx context.Context, p Policy) error {
	text, err := json.Marshal(row(p.Said()))
	if err != nil {
		return err
	}
	return s.write(ctx, "INSERT OR REPLACE INTO policy_filter (match, priority, fields) VALUES (?, ?, ?)", p.Match, p.Priority, string(text))
}

func (s *Store) deletePolicy(ctx context.Context, match string) error {
	return s.write(ctx, "DELETE FROM policy_filter WHERE match = ?", match)
}

func (s *Store) writeEntry(ctx context.Context, e Entry) error {
	until := int64(0)
	if !e.Until.IsZero() {
		until = e.Until.Unix()
	}
	return s.write(ctx, `INSERT OR REPLACE INTO policy_entry (match, sender, network, kind, score, priority, until, note, added)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, e.Match, e.Sender, networkText(e.Network), string(e.Kind), e.Score, e.Priority, until, e.Note, e.Added.Unix())
}

func (s *Store) deleteEntry(ctx context.Context, k entryKey) error {
	return s.write(ctx, "DELETE FROM policy_entry WHERE match = ? AND sender = ? AND network = ?", k.match, k.sender, networkText(k.network))
}

func networkText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// Sweep removes the entries that have ended.
func (s *Store) Sweep(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	now := s.now()
	if err := s.write(ctx, "DELETE FROM policy_entry WHERE until > 0 AND until <= ?", now.Unix()); err != nil {
		return err
	}
	before := len(s.entries)
	maps.DeleteFunc(s.entries, func(_ entryKey, e Entry) bool { return e.over(now) })
	if len(s.entries) < before {
		s.renew()
	}
	return nil
}
