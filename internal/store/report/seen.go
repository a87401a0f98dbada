package report

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"facteur/internal/mail/report"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

// batch is sums that are being written.
type batch struct {
	sums      map[sumKey]int64
	published map[dayDomain]string
}

// Write makes the sums durable, and forgets days that are over. What could not be written
// is tried again with the next Write.
func (s *Store) Write(ctx context.Context) error {
	for first := true; ; first = false {
		b := s.take()
		if len(b.sums) == 0 && !first {
			return nil
		}
		missed := int64(0)
		err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
			missed, err = s.put(tx, b)
			return err
		})
		if err != nil {
			s.giveBack(b)
			return about("writing sums", err)
		}
		s.mu.Lock()
		s.missed += missed
		s.mu.Unlock()
		if len(b.sums) == 0 {
			return nil
		}
	}
}

// take takes some sums to write them.
func (s *Store) take() batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := batch{make(map[sumKey]int64), make(map[dayDomain]string)}
	for k, n := range s.pending {
		b.sums[k] = n
		b.published[k.dayDomain] = s.published[k.dayDomain]
		delete(s.pending, k)
		if len(b.sums) == behind.Most {
			break
		}
	}
	if len(s.pending) == 0 {
		clear(s.published)
	}
	return b
}

func (s *Store) giveBack(b batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, n := range b.sums {
		s.pending[k] += n
		if _, newer := s.published[k.dayDomain]; !newer {
			s.published[k.dayDomain] = b.published[k.dayDomain]
		}
	}
}

// put writes a batch, and tells how many letters found no room.
func (s *Store) put(tx *db.Tx, b batch) (missed int64, err error) {
	if err := forgetDays(tx, s.now()); err != nil {
		return 0, err
	}
	r := rooms{tx: tx, limits: s.limits, days: make(map[string]int), domains: make(map[dayDomain]int)}
	told := make(map[dayDomain]bool)
	for k, n := range b.sums {
		counted, err := r.put(k, n)
		switch {
		case err != nil:
			return 0, err
		case counted:
			told[k.dayDomain] = true
		default:
			missed += n
		}
	}
	for k := range told {
		if _, err := tx.Exec(`INSERT INTO report_published (day, domain, published) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET published = excluded.published`, k.day, k.domain, b.published[k]); err != nil {
			return 0, err
		}
	}
	return missed, nil
}

// forgetDays removes days that are over.
func forgetDays(tx *db.Tx, now time.Time) error {
	for stmt, days := range map[string]int{
		`DELETE FROM report_seen WHERE day < ?`:      KeepSeen,
		`DELETE FROM report_published WHERE day < ?`: KeepSeen,
		`DELETE FROM report_sending WHERE day < ?`:   KeepSending,
	} {
		if _, err := tx.Exec(stmt, day(now.AddDate(0, 0, -days))); err != nil {
			return err
		}
	}
	return nil
}

// rooms are how many rows there are, by day and by domain. To count them takes a while, so
// a batch counts once, and only if it has something new.
type rooms struct {
	tx      *db.Tx
	limits  limits
	days    map[string]int
	domains map[dayDomain]int
}

// put adds to a sum. It is false where there is no room for one more.
func (r *rooms) put(k sumKey, n int64) (bool, error) {
	known, err := changed(r.tx.Exec(`UPDATE report_seen SET count = count + ? WHERE day = ? AND domain = ? AND record = ?`, n, k.day, k.domain, k.record))
	if known || err != nil {
		return known, err
	}
	if err := r.count(k.dayDomain); err != nil || r.domains[k.dayDomain] >= r.limits.ofDomain || r.days[k.day] >= r.limits.ofDay {
		return false, err
	}
	r.domains[k.dayDomain]++
	r.days[k.day]++
	return changed(r.tx.Exec(`INSERT INTO report_seen (day, domain, record, count) VALUES (?, ?, ?, ?)`, k.day, k.domain, k.record, n))
}

func (r *rooms) count(k dayDomain) error {
	if _, known := r.days[k.day]; !known {
		var n int
		if err := r.tx.QueryRow(`SELECT count(*) FROM report_seen WHERE day = ?`, k.day).Scan(&n); err != nil {
			return err
		}
		r.days[k.day] = n
	}
	if _, known := r.domains[k]; !known {
		var n int
		if err := r.tx.QueryRow(`SELECT count(*) FROM report_seen WHERE day = ? AND domain = ?`, k.day, k.domain).Scan(&n); err != nil {
			return err
		}
		r.domains[k] = n
	}
	return nil
}

// changed tells whether a statement found a row.
func changed(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// SeenDomains are the policy domains of which something was seen on a day.
func (s *Store) SeenDomains(ctx context.Context, on time.Time) ([]string, error) {
	return s.texts(ctx, `SELECT domain FROM report_published WHERE day = ? ORDER BY domain`, day(on))
}

// texts are the values of one column.
func (s *Store) texts(ctx context.Context, query string, args ...any) (out []string, err error) {
	rows, err := s.db.Reader().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, about("reading", err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, about("reading", err)
		}
		out = append(out, text)
	}
	return out, about("reading", rows.Err())
}

// SeenOf is what was seen of a domain on a day, by count.
func (s *Store) SeenOf(ctx context.Context, on time.Time, domain string) (p report.Published, records []report.Record, err error) {
	var published string
	err = s.db.Reader().QueryRowContext(ctx, `SELECT published FROM report_published WHERE day = ? AND domain = ?`, day(on), domain).Scan(&published)
	if err == nil {
		err = json.Unmarshal([]byte(published), &p)
	}
	if err != nil {
		return p, nil, about("reading", err)
	}
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT record, count FROM report_seen WHERE day = ? AND domain = ? ORDER BY count DESC, record`, day(on), domain)
	if err != nil {
		return p, nil, about("reading", err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var r report.Record
		var n int64
		err := rows.Scan(&text, &n)
		if err == nil {
			err = json.Unmarshal([]byte(text), &r)
		}
		if err != nil {
			return p, nil, about("reading", err)
		}
		r.Count = n
		records = append(records, r)
	}
	return p, records, about("reading", rows.Err())
}
