package greylist

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/store/db"
)

// read fills the memory. Who waited in vain while the server was down is there still, to
// be counted.
func (s *Store) read(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range []func(context.Context) error{s.readEntries, s.readSeen, s.readAllowed, s.readDays} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("greylist: %w", err)
		}
	}
	return nil
}

const columns = `id, state, recipients, names, network, client, sender, people, score, since, due, last, expires, tries, letters, size`

func (s *Store) readEntries(ctx context.Context) error {
	return s.each(ctx, `SELECT `+columns+` FROM greylist_entry WHERE expires > ? OR state = 'waiting' ORDER BY expires DESC LIMIT ?`,
		[]any{s.clock.now(), s.most.waiting + s.most.passed}, func(rows *sql.Rows) error {
			e, names, people, network := &Entry{}, "", "", ""
			err := rows.Scan(&e.ID, &e.State, &e.To, &names, &network, &e.Client, &e.Sender, &people, &e.Score, &e.since, &e.due, &e.last, &e.expires, &e.Tries, &e.Letters, &e.Size)
			if err != nil {
				return err
			}
			e.Network, _ = netip.ParsePrefix(network) // without one, it counts in none
			for _, n := range lines(names) {
				e.Names = append(e.Names, Name(n))
			}
			e.People = lines(people)
			if len(e.Names) > 0 {
				e.settle(s.clock.now())
				s.put(e)
			}
			return nil
		})
}

// settle brings times down to what can be, where the clock was set since they were written.
func (e *Entry) settle(now int64) {
	const longest = 365 * 24 * 60 * 60
	if ahead := e.since - now; ahead > seconds(wasSet) {
		e.since, e.due, e.last, e.expires = e.since-ahead, e.due-ahead, e.last-ahead, e.expires-ahead
	}
	e.last = min(e.last, now)
	e.due = min(e.due, e.since+seconds(24*time.Hour))
	e.expires = min(e.expires, now+longest)
}

func (s *Store) readSeen(ctx context.Context) error {
	now := s.clock.now()
	return s.each(ctx, `SELECT sender, expires FROM greylist_seen WHERE expires > ? ORDER BY expires DESC LIMIT ?`, []any{now, s.most.seen}, func(rows *sql.Rows) error {
		var sender []byte
		var expires int64
		if err := rows.Scan(&sender, &expires); err != nil {
			return err
		}
		if len(sender) == len(mark{}) {
			s.seen[mark(sender)] = min(expires, now+seconds(seenHolds))
		}
		return nil
	})
}

func (s *Store) readAllowed(ctx context.Context) error {
	return s.each(ctx, `SELECT subject, since FROM greylist_allowed LIMIT ?`, []any{MaxAllowed}, func(rows *sql.Rows) error {
		var subject string
		var since int64
		err := rows.Scan(&subject, &since)
		s.allowed[subject] = since
		return err
	})
}

func (s *Store) readDays(ctx context.Context) error {
	return s.each(ctx, `SELECT day, delayed, early, back, gone, junk, crowded, bytes, delays FROM greylist_day ORDER BY day DESC LIMIT ?`, []any{keepDays}, func(rows *sql.Rows) error {
		d, delays := &Day{}, ""
		err := rows.Scan(&d.Day, &d.Delayed, &d.Early, &d.Back, &d.Gone, &d.Junk, &d.Crowded, &d.Bytes, &delays)
		if err != nil {
			return err
		}
		json.Unmarshal([]byte(delays), &d.delays) //nolint:errcheck // of a damaged row, the sums are left
		s.days[d.Day] = d
		return nil
	})
}

func (s *Store) each(ctx context.Context, query string, args []any, fn func(*sql.Rows) error) error {
	rows, err := s.db.Reader().QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// writeMost bounds the rows of one transaction, and so how long others wait.
const writeMost = 500

// batch is what one transaction writes. What is nil or zero in it is gone.
type batch struct {
	entries map[string]*Entry
	seen    map[mark]int64
	days    map[string]*Day
	shift   int64
}

func (b *batch) size() int { return len(b.entries) + len(b.seen) + len(b.days) }

// Write makes the changes durable. What could not be written is tried again with the next
// Write.
func (s *Store) Write(ctx context.Context) error {
	for {
		b := s.take()
		if b.size() == 0 {
			return nil
		}
		if err := s.db.Write(ctx, b.put); err != nil {
			s.giveBack(b)
			return fmt.Errorf("greylist: %w", err)
		}
	}
}

// take takes some changes to write them. When the clock was set, all rows have to be
// written with the new time.
func (s *Store) take() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &batch{entries: map[string]*Entry{}, seen: map[mark]int64{}, days: map[string]*Day{}, shift: s.clock.shift()}
	if d := b.shift - s.shift; d > seconds(wasSet) || d < -seconds(wasSet) {
		s.shift = b.shift
		for id := range s.entries {
			s.touch(id)
		}
	}
	for id := range s.changed {
		if b.size() == writeMost {
			return b
		}
		b.entries[id] = nil
		if e := s.entries[id]; e != nil {
			copied := e.clone()
			b.entries[id] = &copied
		}
		delete(s.changed, id)
	}
	for m := range s.changedSeen {
		if b.size() == writeMost {
			return b
		}
		b.seen[m] = s.seen[m]
		delete(s.changedSeen, m)
	}
	for name := range s.changedDays {
		b.days[name] = nil
		if d := s.days[name]; d != nil {
			copied := *d
			b.days[name] = &copied
		}
		delete(s.changedDays, name)
	}
	return b
}

func (s *Store) giveBack(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range b.entries {
		s.touch(id)
	}
	for m := range b.seen {
		s.touchSeen(m)
	}
	for name := range b.days {
		s.changedDays[name] = struct{}{}
	}
}

func (b *batch) put(tx *db.Tx) error {
	for id, e := range b.entries {
		if err := b.putEntry(tx, id, e); err != nil {
			return err
		}
	}
	for m, expires := range b.seen {
		query, args := `DELETE FROM greylist_seen WHERE sender = ?`, []any{m[:]}
		if expires != 0 {
			query, args = `INSERT OR REPLACE INTO greylist_seen (sender, expires) VALUES (?, ?)`, []any{m[:], expires + b.shift}
		}
		if _, err := tx.Exec(query, args...); err != nil {
			return err
		}
	}
	for name, d := range b.days {
		if err := putDay(tx, name, d); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) putEntry(tx *db.Tx, id string, e *Entry) error {
	if e == nil {
		_, err := tx.Exec(`DELETE FROM greylist_entry WHERE id = ?`, id)
		return err
	}
	names := make([]string, len(e.Names))
	for i, n := range e.Names {
		names[i] = string(n)
	}
	_, err := tx.Exec(`INSERT OR REPLACE INTO greylist_entry (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, string(e.State), e.To, strings.Join(names, "\n"), e.Network.String(), e.Client, e.Sender, strings.Join(e.People, "\n"), e.Score,
		e.since+b.shift, e.due+b.shift, e.last+b.shift, e.expires+b.shift, e.Tries, e.Letters, e.Size)
	return err
}

func putDay(tx *db.Tx, name string, d *Day) error {
	if d == nil {
		_, err := tx.Exec(`DELETE FROM greylist_day WHERE day = ?`, name)
		return err
	}
	delays, err := json.Marshal(d.delays)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT OR REPLACE INTO greylist_day (day, delayed, early, back, gone, junk, crowded, bytes, delays) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Day, d.Delayed, d.Early, d.Back, d.Gone, d.Junk, d.Crowded, d.Bytes, string(delays))
	return err
}

// sweep drops what is over, in memory and then on disk.
func (s *Store) sweep(ctx context.Context) error {
	s.expire()
	if err := s.Write(ctx); err != nil {
		return err
	}
	now := s.clock.now() + s.clock.shift()
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"greylist_entry", "greylist_seen"} { // those that there was no room for in memory
			if _, err := tx.Exec(`DELETE FROM `+table+` WHERE expires <= ?`, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("greylist: %w", err)
	}
	return nil
}

func (s *Store) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	for _, e := range s.entries {
		s.isOver(e, now)
	}
	for m, until := range s.seen {
		if until <= now {
			delete(s.seen, m)
			s.touchSeen(m)
		}
	}
}
