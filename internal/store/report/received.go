package report

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"facteur/internal/mail/report"
	"facteur/internal/store/db"
)

const (
	// MaxRows is how many rows of verified reports are kept, MaxDoubtful of the others.
	MaxRows, MaxDoubtful = 200_000, 20_000
	// MaxOfReport is how many rows are kept of one report.
	MaxOfReport = 5000
)

// Author is who sent a letter with a report.
type Author struct {
	Domain string // of the From
	// Verified: the letter passed DMARC here, so it is what that domain says.
	Verified bool
}

// row0 is what a report without rows counts for.
const row0 = 1

// received is a report as its row has it.
type received struct {
	kind              Kind
	domain, reporter  string
	id, published     string
	begun, ended      time.Time
	total, good, more int64
	rows              []string
}

// TakeAggregate keeps a report about one of our domains, for keep days. It is false where
// the same author has sent it before.
func (s *Store) TakeAggregate(ctx context.Context, a *report.Aggregate, by Author, keep int) (bool, error) {
	total, good := a.Messages()
	published, err := json.Marshal(a.Published)
	if err != nil {
		return false, about("taking a report", err)
	}
	rows, more, err := rowsOf(a.Records, s.limits.ofReport)
	if err != nil {
		return false, about("taking a report", err)
	}
	return s.keep(ctx, received{DMARC, a.Published.Domain, a.Reporter.Org, a.Reporter.ID, string(published),
		a.Reporter.Begin, a.Reporter.End, total, good, more, rows}, by, keep)
}

// TakeTLS keeps what a report says of one of our domains, as TakeAggregate does.
func (s *Store) TakeTLS(ctx context.Context, t *report.TLS, domain string, by Author, keep int) (bool, error) {
	about1 := report.TLS{}
	for _, p := range t.Policies {
		if p.Policy.Domain == domain {
			about1.Policies = append(about1.Policies, p)
		}
	}
	total, failed := about1.Sessions()
	rows, more, err := rowsOf(about1.Policies, s.limits.ofReport)
	if err != nil {
		return false, about("taking a report", err)
	}
	return s.keep(ctx, received{TLS, domain, t.Organization, t.ID, "", t.Range.Start, t.Range.End, total, total - failed, more, rows}, by, keep)
}

// rowsOf are as many values as are kept, in JSON.
func rowsOf[T any](values []T, most int) (out []string, more int64, err error) {
	for i, v := range values {
		if i == most {
			return out, int64(len(values) - most), nil
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, 0, err
		}
		if len(text) > recordMax {
			more++
			continue
		}
		out = append(out, string(text))
	}
	return out, more, nil
}

// keep writes a report and its rows in one transaction. A report without an id is known by
// its period.
func (s *Store) keep(ctx context.Context, r received, by Author, days int) (fresh bool, err error) {
	now := s.now()
	if r.id == "" {
		r.id = fmt.Sprintf("%d-%d", seconds(r.begun), seconds(r.ended))
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		fresh = false // the function may run again
		result, err := tx.Exec(`INSERT INTO report_received (kind, domain, author, verified, reporter, report_id, begun, ended, taken, published, total, good, rows, left_out)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			string(r.kind), r.domain, by.Domain, by.Verified, r.reporter, r.id, seconds(r.begun), seconds(r.ended), now.Unix(), r.published, r.total, r.good, row0+len(r.rows), r.more)
		if fresh, err = changed(result, err); err != nil || !fresh {
			return err
		}
		id, err := result.LastInsertId()
		if err != nil {
			return err
		}
		for n, row := range r.rows {
			if _, err := tx.Exec(`INSERT INTO report_row (report, n, row) VALUES (?, ?, ?)`, id, n, row); err != nil {
				return err
			}
		}
		return s.makeRoom(tx, by, now.AddDate(0, 0, -days))
	})
	return fresh && err == nil, about("taking a report", err)
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// makeRoom forgets what is too old, and of what is too much what came first: of the
// author's own, then of all that is as good as his.
func (s *Store) makeRoom(tx *db.Tx, by Author, oldest time.Time) error {
	if err := forget(tx, `SELECT id FROM report_received WHERE taken < ?`, oldest.Unix()); err != nil {
		return err
	}
	most := s.limits.doubtful
	if by.Verified {
		most = s.limits.rows
	}
	err := forget(tx, `SELECT id FROM (SELECT id, sum(rows) OVER (ORDER BY id DESC) AS n FROM report_received WHERE verified = ? AND author = ?) WHERE n > ?`,
		by.Verified, by.Domain, most/4)
	if err != nil {
		return err
	}
	return forget(tx, `SELECT id FROM (SELECT id, sum(rows) OVER (ORDER BY id DESC) AS n FROM report_received WHERE verified = ?) WHERE n > ?`, by.Verified, most)
}

// forget deletes reports with their rows. Foreign keys may be off.
func forget(tx *db.Tx, which string, args ...any) error {
	if _, err := tx.Exec(`DELETE FROM report_row WHERE report IN (`+which+`)`, args...); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM report_received WHERE id IN (`+which+`)`, args...)
	return err
}

// Expire forgets reports and complaints that are older than keep days.
func (s *Store) Expire(ctx context.Context, keep int) error {
	oldest := s.now().AddDate(0, 0, -keep).Unix()
	return about("forgetting", s.db.Write(ctx, func(tx *db.Tx) error {
		if err := forget(tx, `SELECT id FROM report_received WHERE taken < ?`, oldest); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM report_complaint WHERE taken < ?`, oldest)
		return err
	}))
}
