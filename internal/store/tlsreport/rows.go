package tlsreport

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"facteur/internal/net/tlspolicy"
	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

// Write makes the sums durable, and forgets days that are over. What could not be
// written is tried again with the next Write.
func (s *Store) Write(ctx context.Context) error {
	oldest := s.now().UTC().AddDate(0, 0, -KeepDays).Format(time.DateOnly)
	for first := true; ; first = false {
		batch := s.take()
		if len(batch) == 0 && !first {
			return nil
		}
		missed := 0
		err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
			missed, err = put(tx, batch, oldest, s.mostBy)
			return err
		})
		if err != nil {
			s.giveBack(batch)
			return fmt.Errorf("TLS results: %w", err)
		}
		s.miss(missed)
		if len(batch) == 0 {
			return nil
		}
	}
}

func (s *Store) miss(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missed += n
}

// take takes some sums to write them.
func (s *Store) take() map[key]*sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := make(map[key]*sum, min(len(s.pending), behind.Most))
	for k, n := range s.pending {
		batch[k] = n
		delete(s.pending, k)
		if len(batch) == behind.Most {
			break
		}
	}
	return batch
}

func (s *Store) giveBack(batch map[key]*sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, n := range batch {
		switch known := s.pending[k]; {
		case known != nil:
			known.n += n.n
		case len(s.pending) < s.most:
			s.pending[k] = n
		default:
			s.missed += n.n
		}
	}
}

// put adds sums to the tables, and tells how many sessions found no room.
func put(tx *db.Tx, batch map[key]*sum, oldest string, most int) (missed int, err error) {
	for _, stmt := range []string{`DELETE FROM tlsreport_policy WHERE day < ?`, `DELETE FROM tlsreport_failure WHERE day < ?`} {
		if _, err := tx.Exec(stmt, oldest); err != nil {
			return 0, err
		}
	}
	days := make(map[string]*room)
	for k, n := range batch {
		if days[k.day] == nil {
			if days[k.day], err = roomOf(tx, k.day, most); err != nil {
				return 0, err
			}
		}
		counted, err := days[k.day].putPolicy(tx, k, n)
		if err == nil && counted && k.result != tlspolicy.Success {
			counted, err = days[k.day].putFailure(tx, k, n)
		}
		if err != nil {
			return 0, err
		}
		if !counted {
			missed += n.n
		}
	}
	return missed, nil
}

// room is how many more rows a day may have.
type room struct{ policies, failures int }

func roomOf(tx *db.Tx, day string, most int) (*room, error) {
	r := new(room)
	err := tx.QueryRow(`SELECT ?2 - (SELECT count(*) FROM tlsreport_policy WHERE day = ?1), ?2 - (SELECT count(*) FROM tlsreport_failure WHERE day = ?1)`,
		day, most).Scan(&r.policies, &r.failures)
	return r, err
}

func (r *room) putPolicy(tx *db.Tx, k key, n *sum) (bool, error) {
	success, failure := n.n, 0
	if k.result != tlspolicy.Success {
		success, failure = 0, n.n
	}
	known, err := changed(tx.Exec(`UPDATE tlsreport_policy SET success = success + ?, failure = failure + ? WHERE day = ? AND domain = ? AND type = ? AND policy = ?`,
		success, failure, k.day, k.domain, string(k.kind), k.policy))
	if known || err != nil || r.policies <= 0 {
		return known, err
	}
	r.policies--
	return changed(tx.Exec(`INSERT INTO tlsreport_policy (day, domain, type, policy, mx, success, failure) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		k.day, k.domain, string(k.kind), k.policy, k.mx, success, failure))
}

func (r *room) putFailure(tx *db.Tx, k key, n *sum) (bool, error) {
	sender, receiver := text(k.sender), text(k.receiver)
	known, err := changed(tx.Exec(`UPDATE tlsreport_failure SET sessions = sessions + ? WHERE day = ? AND domain = ? AND type = ? AND policy = ?
		AND result = ? AND sender = ? AND host = ? AND receiver = ?`,
		n.n, k.day, k.domain, string(k.kind), k.policy, string(k.result), sender, k.host, receiver))
	if known || err != nil || r.failures <= 0 {
		return known, err
	}
	r.failures--
	return changed(tx.Exec(`INSERT INTO tlsreport_failure (day, domain, type, policy, result, sender, host, receiver, reason, sessions)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.day, k.domain, string(k.kind), k.policy, string(k.result), sender, k.host, receiver, n.reason, n.n))
}

// changed tells whether a statement found a row.
func changed(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// text is an address, or "".
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// Policy is what a day brought under one policy (RFC 8460 §4.2).
type Policy struct {
	Domain  string               `json:"policy-domain"`
	Type    tlspolicy.PolicyType `json:"policy-type"`
	Lines   []string             `json:"policy-string,omitempty"`
	MX      []string             `json:"mx-host,omitempty"`
	Success int                  `json:"total-successful-session-count"`
	Failure int                  `json:"total-failure-session-count"`
	Details []Failure            `json:"failure-details,omitempty"`
}

// Failure is sessions that failed in the same way at the same place. It means that TLS
// failed: where no policy demands it, the mail went nevertheless.
type Failure struct {
	Result   tlspolicy.ResultType `json:"result-type"`
	Sender   string               `json:"sending-mta-ip,omitempty"`
	Host     string               `json:"receiving-mx-hostname,omitempty"`
	Receiver string               `json:"receiving-ip,omitempty"`
	Sessions int                  `json:"failed-session-count"`
	Reason   string               `json:"failure-reason-code,omitempty"`
}

// Report is what a day brought, by domain and policy. The day is one of UTC.
func (s *Store) Report(ctx context.Context, day time.Time) ([]Policy, error) {
	date := day.UTC().Format(time.DateOnly)
	out, err := s.policies(ctx, date)
	if err != nil {
		return nil, fmt.Errorf("TLS results: %w", err)
	}
	if err := s.failures(ctx, date, out); err != nil {
		return nil, fmt.Errorf("TLS results: %w", err)
	}
	return out, nil
}

func (s *Store) policies(ctx context.Context, date string) ([]Policy, error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT domain, type, policy, mx, success, failure FROM tlsreport_policy
		WHERE day = ? ORDER BY domain, type, policy`, date)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Policy
	for rows.Next() {
		var p Policy
		var lines, mx string
		if err := rows.Scan(&p.Domain, &p.Type, &lines, &mx, &p.Success, &p.Failure); err != nil {
			return nil, err
		}
		if lines != "" {
			p.Lines = strings.Split(lines, "\n")
		}
		p.MX = strings.Fields(mx)
		out = append(out, p)
	}
	return out, rows.Err()
}

// failures puts the failures of a day where they belong.
func (s *Store) failures(ctx context.Context, date string, into []Policy) error {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT domain, type, policy, result, sender, host, receiver, reason, sessions
		FROM tlsreport_failure WHERE day = ? ORDER BY domain, type, policy, sessions DESC, result, host`, date)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var domain, kind, lines string
		var f Failure
		if err := rows.Scan(&domain, &kind, &lines, &f.Result, &f.Sender, &f.Host, &f.Receiver, &f.Reason, &f.Sessions); err != nil {
			return err
		}
		i, found := slices.BinarySearchFunc(into, [3]string{domain, kind, lines}, func(p Policy, want [3]string) int {
			return slices.Compare([]string{p.Domain, string(p.Type), strings.Join(p.Lines, "\n")}, want[:])
		})
		if found {
			into[i].Details = append(into[i].Details, f)
		}
	}
	return rows.Err()
}
