package reputation

import (
	"context"
	"database/sql"
	"slices"

	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

const subjectColumns = `since, last, at, good, bad, letters, spam, points, step, offended, until, why, offences, good_hosts, bad_hosts, good_before, bad_before, month`

// read fills the memory: of more than there is room for, those with penalties first.
func (l *ledger) read(ctx context.Context, from *db.DB) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	const query = `SELECT subject, ` + subjectColumns + ` FROM reputation_subject WHERE kind = ? ORDER BY until DESC, step DESC, good + bad DESC LIMIT ?`
	return from.Each(ctx, query, []any{l.kind.String(), l.most}, func(rows *sql.Rows) error {
		key, e, err := scanEntry(rows)
		l.entries[key] = e
		return err
	})
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

func (l *ledger) row(key string) behind.Row {
	e := l.entries[key]
	if e == nil {
		return behind.Exec(`DELETE FROM reputation_subject WHERE kind = ? AND subject = ?`, l.kind.String(), key)
	}
	return behind.Exec(`INSERT OR REPLACE INTO reputation_subject (kind, subject, `+subjectColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.kind.String(), key, e.since, e.last, e.at, e.good, e.bad, e.letters, e.spam, e.points, e.step, e.offended, e.until, e.why.String(), e.told.String(),
		int64(e.goodHosts), int64(e.badHosts), int64(e.goodBefore), int64(e.badBefore), e.month)
}

// read fills the memory with the days that still count.
func (t *fares) read(ctx context.Context, from *db.DB, now int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return from.Each(ctx, `SELECT day, class, fate, count FROM reputation_fare WHERE day > ?`, []any{now/secondsDay - faresDays}, func(rows *sql.Rows) error {
		var n int64
		var class, fate string
		var count uint32
		err := rows.Scan(&n, &class, &fate, &count)
		t.put(n, class, fate, count)
		return err
	})
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

// row is all rows of a day.
func (t *fares) row(n int64) behind.Row {
	var counts day
	if d := t.days[n]; d != nil {
		counts = *d
	}
	return func(tx *db.Tx) error { return counts.put(tx, n) }
}

func (d *day) put(tx *db.Tx, n int64) error {
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
	return nil
}

// read, tables and sweep are those of all parts.
func (s *standings) read(ctx context.Context, from *db.DB, now int64) error {
	for _, l := range s.ledgers {
		if err := l.read(ctx, from); err != nil {
			return err
		}
	}
	return s.fares.read(ctx, from, now)
}

func (s *standings) tables() (all []behind.Table) {
	for _, l := range s.ledgers {
		all = append(all, l.changed)
	}
	return append(all, s.fares.changed)
}

func (s *standings) sweep(now int64) {
	for _, l := range s.ledgers {
		l.sweep(now)
	}
}
