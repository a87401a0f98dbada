package greylist

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

// read fills the memory. Who waited in vain while the server was down is there still, to
// be counted.
func (s *Store) read(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range []func(context.Context) error{s.readEntries, s.readSeen, s.readAllowed, s.readDays} {
		if err := part(ctx); err != nil {
			return about(err)
		}
	}
	return nil
}

const columns = `id, state, recipients, names, network, client, sender, people, score, since, due, last, expires, tries, letters, size`

func (s *Store) readEntries(ctx context.Context) error {
	return s.db.Each(ctx, `SELECT `+columns+` FROM greylist_entry WHERE expires > ? OR state = 'waiting' ORDER BY expires DESC LIMIT ?`,
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
	return s.db.Each(ctx, `SELECT sender, expires FROM greylist_seen WHERE expires > ? ORDER BY expires DESC LIMIT ?`, []any{now, s.most.seen}, func(rows *sql.Rows) error {
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
	return s.db.Each(ctx, `SELECT subject, since FROM greylist_allowed LIMIT ?`, []any{MaxAllowed}, func(rows *sql.Rows) error {
		var subject string
		var since int64
		err := rows.Scan(&subject, &since)
		s.allowed[subject] = since
		return err
	})
}

func (s *Store) readDays(ctx context.Context) error {
	return s.db.Each(ctx, `SELECT day, delayed, early, back, gone, junk, crowded, bytes, delays FROM greylist_day ORDER BY day DESC LIMIT ?`, []any{keepDays}, func(rows *sql.Rows) error {
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

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// Write makes the changes durable. What could not be written is tried again with the next
// Write.
func (s *Store) Write(ctx context.Context) error {
	s.followClock()
	return about(behind.Write(ctx, s.db, s.changed, s.changedSeen, s.changedDays))
}

// followClock has all entries written with the new time when the wall's clock was set.
func (s *Store) followClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	shift := s.clock.shift()
	if d := shift - s.shift; d > seconds(wasSet) || d < -seconds(wasSet) {
		s.shift = shift
		for id := range s.entries {
			s.changed.Touch(id)
		}
	}
}

func (s *Store) entryRow(id string) behind.Row {
	e := s.entries[id]
	if e == nil {
		return behind.Exec(`DELETE FROM greylist_entry WHERE id = ?`, id)
	}
	names := make([]string, len(e.Names))
	for i, n := range e.Names {
		names[i] = string(n)
	}
	shift := s.clock.shift()
	return behind.Exec(`INSERT OR REPLACE INTO greylist_entry (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.ID, string(e.State), e.To, strings.Join(names, "\n"), e.Network.String(), e.Client, e.Sender, strings.Join(e.People, "\n"), e.Score,
		e.since+shift, e.due+shift, e.last+shift, e.expires+shift, e.Tries, e.Letters, e.Size)
}

func (s *Store) seenRow(m mark) behind.Row {
	expires, there := s.seen[m]
	if !there {
		return behind.Exec(`DELETE FROM greylist_seen WHERE sender = ?`, m[:])
	}
	return behind.Exec(`INSERT OR REPLACE INTO greylist_seen (sender, expires) VALUES (?, ?)`, m[:], expires+s.clock.shift())
}

func (s *Store) dayRow(name string) behind.Row {
	d := s.days[name]
	if d == nil {
		return behind.Exec(`DELETE FROM greylist_day WHERE day = ?`, name)
	}
	delays, _ := json.Marshal(d.delays) // numbers can always be written
	return behind.Exec(`INSERT OR REPLACE INTO greylist_day (day, delayed, early, back, gone, junk, crowded, bytes, delays) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Day, d.Delayed, d.Early, d.Back, d.Gone, d.Junk, d.Crowded, d.Bytes, string(delays))
}

// sweep drops what is over, in memory and then on disk.
func (s *Store) sweep(ctx context.Context) error {
	s.expire()
	if err := s.Write(ctx); err != nil {
		return err
	}
	now := s.clock.now() + s.clock.shift()
	return about(s.db.Write(ctx, func(tx *db.Tx) error {
		for _, table := range []string{"greylist_entry", "greylist_seen"} { // those that there was no room for in memory
			if _, err := tx.Exec(`DELETE FROM `+table+` WHERE expires <= ?`, now); err != nil {
				return err
			}
		}
		return nil
	}))
}

func about(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("greylist: %w", err)
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
			s.changedSeen.Touch(m)
		}
	}
}
