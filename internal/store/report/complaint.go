package report

import (
	"context"
	"net/netip"
	"time"

	"facteur/internal/store/db"
)

// MaxComplaints is how many complaints are kept of verified authors, and as many of the
// others.
const MaxComplaints = 20_000

// Complaint is somebody's word that a letter of ours was not wanted.
type Complaint struct {
	// Key makes it the same complaint when it comes again.
	Key       string     `json:"-"`
	Taken     time.Time  `json:"taken"`
	Author    string     `json:"author"`
	Verified  bool       `json:"verified"`
	Type      string     `json:"type"`
	Source    netip.Addr `json:"source,omitzero"`
	Account   string     `json:"account,omitempty"`
	How       string     `json:"how"`
	MessageID string     `json:"message_id,omitempty"`
	Item      string     `json:"item,omitempty"`
	Recipient string     `json:"recipient,omitempty"`
	Incidents int64      `json:"incidents"`
}

// Complain keeps a complaint. It is false where it was known.
func (s *Store) Complain(ctx context.Context, c Complaint) (fresh bool, err error) {
	source := ""
	if c.Source.IsValid() {
		source = c.Source.String()
	}
	err = s.db.Write(ctx, func(tx *db.Tx) (err error) {
		fresh, err = changed(tx.Exec(`INSERT INTO report_complaint (key, taken, author, verified, type, source, account, how, message_id, item, recipient, incidents)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			c.Key, s.now().Unix(), c.Author, c.Verified, c.Type, source, c.Account, c.How, c.MessageID, c.Item, c.Recipient, c.Incidents))
		if err != nil || !fresh {
			return err
		}
		_, err = tx.Exec(`DELETE FROM report_complaint WHERE id <= (SELECT id FROM report_complaint WHERE verified = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2) AND verified = ?1`,
			c.Verified, s.limits.complaints)
		return err
	})
	return fresh && err == nil, about("taking a complaint", err)
}

// Complaints of an account since a time: those of verified authors. Each counts once,
// however many incidents it claims.
func (s *Store) Complaints(ctx context.Context, account string, since time.Time) (n int64, err error) {
	err = s.db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM report_complaint WHERE account = ? AND taken >= ? AND verified`, account, seconds(since)).Scan(&n)
	return n, about("counting complaints", err)
}

// ListComplaints lists complaints about the mail of a domain's accounts, or of all where it
// is "", the newest first.
func (s *Store) ListComplaints(ctx context.Context, q Query) (out []Complaint, err error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT taken, author, verified, type, source, account, how, message_id, item, recipient, incidents FROM report_complaint
		WHERE (?1 = '' OR substr(account, -length(?1) - 1) = '@' || ?1) AND taken >= ?2 AND verified = ?3 ORDER BY id DESC LIMIT ?4`,
		q.Domain, seconds(q.Since), !q.Doubtful, maxLines)
	if err != nil {
		return nil, about("listing complaints", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Complaint
		var taken int64
		var source string
		if err := rows.Scan(&taken, &c.Author, &c.Verified, &c.Type, &source, &c.Account, &c.How, &c.MessageID, &c.Item, &c.Recipient, &c.Incidents); err != nil {
			return nil, about("listing complaints", err)
		}
		c.Taken = time.Unix(taken, 0).UTC()
		c.Source, _ = netip.ParseAddr(source)
		out = append(out, c)
	}
	return out, about("listing complaints", rows.Err())
}
