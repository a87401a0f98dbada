package reputation

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"facteur/internal/store/db"
)

const subjectColumns = `since, last, at, good, bad, letters, spam, points, step, offended, until, why, offences, good_hosts, bad_hosts, good_before, bad_before, month`

// read fills the memory: of more than there is room for, those with penalties first.
func (l *ledger) read(ctx context.Context, from *db.DB) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows, err := from.Reader().QueryContext(ctx, `SELECT subject, `+subjectColumns+` FROM reputation_subject WHERE kind = ? ORDER BY until DESC, step DESC, good + bad DESC LIMIT ?`, l.kind.String(), l.most)
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		key, e, err := scanEntry(rows)
		if err != nil {
			return fmt.Errorf("reputation: %w", err)
		}
		l.entries[key] = e
	}
	return rows.Err()
}

func scanEntry(rows *sql.Rows) (key string, e *entry, err error) {
	e = &entry{}
	var why, told string
	var hosts [4]int64
	err = rows.Scan(&key, &e.since, &e.last, &e.at, &e.good, &e.bad, &e.letters, &e.spam, &e.points, &e.step, &e.offended, &e.until, &why, &told,
		&hosts[0], &hosts[1], &hosts[2], &hosts[3], &e.month)
	e.why.UnmarshalText([]byte(why)) //nolint:errcheck // of a name that is not known any more, the first is as good
	e.told, e.step = parseTally(told), min(e.step, uint8(len(ladder)))
	e.goodHosts, e.badHosts, e.goodBefore, e.badBefore = toHosts(hosts[0]), toHosts(hosts[1]), toHosts(hosts[2]), toHosts(hosts[3])
	return key, e, err
}

func toHosts(n int64) hosts { return hosts(uint64(n)) }

// write makes the changes durable, as Store.Write does.
func (l *ledger) write(ctx context.Context, to *db.DB) error {
	for {
		batch := l.take()
		if len(batch) == 0 {
			return nil
		}
		if err := to.Write(ctx, func(tx *db.Tx) error { return putEntries(tx, l.kind.String(), batch) }); err != nil {
			l.giveBack(batch)
			return fmt.Errorf("reputation: %w", err)
		}
	}
}

func putEntries(tx *db.Tx, kind string, batch map[string]*entry) error {
	for key, e := range batch {
		if e == nil {
			if _, err := tx.Exec(`DELETE FROM reputation_subject WHERE kind = ? AND subject = ?`, kind, key); err != nil {
				return err
			}
			continue
		}
		if _, err := tx.Exec(`INSERT OR REPLACE INTO reputation_subject (kind, subject, `+subjectColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			kind, key, e.since, e.last, e.at, e.good, e.bad, e.letters, e.spam, e.points, e.step, e.offended, e.until, e.why.String(), e.told.String(),
			int64(e.goodHosts), int64(e.badHosts), int64(e.goodBefore), int64(e.badBefore), e.month); err != nil {
			return err
		}
	}
	return nil
}

// read fills the memory with the days that still count.
func (t *fares) read(ctx context.Context, from *db.DB, now int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows, err := from.Reader().QueryContext(ctx, `SELECT day, class, fate, count FROM reputation_fare WHERE day > ?`, now/secondsDay-faresDays)
	if err != nil {
		return fmt.Errorf("reputation: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var class, fate string
		var count uint32
		if err := rows.Scan(&n, &class, &fate, &count); err != nil {
			return fmt.Errorf("reputation: %w", err)
		}
		t.put(n, class, fate, count)
	}
	return rows.Err()
}

func (t *fares) put(n int64, class, fate string, count uint32) {
	c, f := slices.Index(classNames[:], class), slices.Index(fateNames[:], fate)
	if c < 0 || f < 0 {
		return
	}
	if t.days[n] == nil {
		t.days[n] = &day{}
	}
	t.days[n][c][f] = count
}

// write makes the days durable that have changed.
func (t *fares) write(ctx context.Context, to *db.DB) error {
	t.mu.Lock()
	batch := make(map[int64]day)
	for n := range t.changed {
		if d := t.days[n]; d != nil {
			batch[n] = *d
		}
	}
	clear(t.changed)
	t.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := to.Write(ctx, func(tx *db.Tx) error { return putDays(tx, batch) }); err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		for n := range batch {
			t.changed[n] = struct{}{}
		}
		return fmt.Errorf("reputation: %w", err)
	}
	return nil
}

func putDays(tx *db.Tx, batch map[int64]day) error {
	for n, d := range batch {
		for c := range d {
			for f, count := range d[c] {
				if count == 0 {
					continue
				}
				if _, err := tx.Exec(`INSERT OR REPLACE INTO reputation_fare (day, class, fate, count) VALUES (?, ?, ?, ?)`, n, classNames[c], fateNames[f], count); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// read, write and sweep are those of all parts.
func (s *standings) read(ctx context.Context, from *db.DB, now int64) error {
	for _, l := range s.ledgers {
		if err := l.read(ctx, from); err != nil {
			return err
		}
	}
	return s.fares.read(ctx, from, now)
}

func (s *standings) write(ctx context.Context, to *db.DB) error {
	for _, l := range s.ledgers {
		if err := l.write(ctx, to); err != nil {
			return err
		}
	}
	return s.fares.write(ctx, to)
}

func (s *standings) sweep(now int64) {
	for _, l := range s.ledgers {
		l.sweep(now)
	}
}
