package report

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"facteur/internal/store/db"
)

// Kind is what a report is about.
type Kind string

// The kinds.
const (
	DMARC Kind = "dmarc"
	TLS   Kind = "tls"
)

// Sending is a report of ours on its way to one destination.
type Sending struct {
	Kind   Kind
	Day    time.Time
	Domain string
	URI    string
}

// Stage is how far a report has come.
type Stage string

// The stages. A report that is Begun may or may not have left when the process died.
const (
	None    Stage = ""
	Begun   Stage = "begun"
	Sent    Stage = "sent"
	LeftOut Stage = "left out" // for good
	Later   Stage = "later"    // to be tried again
)

// Progress is a Stage, the letter it went with, and what there is to say.
type Progress struct {
	Stage Stage
	Item  int64
	Note  string
}

// Mark notes how far a report has come. When it returns nil that is on the disk.
func (s *Store) Mark(ctx context.Context, r Sending, p Progress) error {
	return about("noting what is sent", s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO report_sending (kind, day, domain, uri, state, item, note) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET state = excluded.state, item = excluded.item, note = excluded.note`,
			string(r.Kind), day(r.Day), r.Domain, r.URI, string(p.Stage), p.Item, p.Note)
		return err
	}))
}

// Progress is how far a report has come; None where nothing is noted.
func (s *Store) Progress(ctx context.Context, r Sending) (p Progress, err error) {
	err = s.db.Reader().QueryRowContext(ctx, `SELECT state, item, note FROM report_sending WHERE kind = ? AND day = ? AND domain = ? AND uri = ?`,
		string(r.Kind), day(r.Day), r.Domain, r.URI).Scan(&p.Stage, &p.Item, &p.Note)
	if errors.Is(err, sql.ErrNoRows) {
		return Progress{}, nil
	}
	return p, about("reading what is sent", err)
}

// Unfinished are the reports that were begun and of which no end is noted.
func (s *Store) Unfinished(ctx context.Context) (out []Sending, items []int64, err error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT kind, day, domain, uri, item FROM report_sending WHERE state = ?`, string(Begun))
	if err != nil {
		return nil, nil, about("reading what is sent", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Sending
		var on string
		var item int64
		if err := rows.Scan(&r.Kind, &on, &r.Domain, &r.URI, &item); err != nil {
			return nil, nil, about("reading what is sent", err)
		}
		r.Day, _ = time.Parse(time.DateOnly, on)
		out, items = append(out, r), append(items, item)
	}
	return out, items, about("reading what is sent", rows.Err())
}

// SentHosts counts the reports of a day by the host that they went to.
func (s *Store) SentHosts(ctx context.Context, on time.Time) (map[string]int, error) {
	uris, err := s.texts(ctx, `SELECT uri FROM report_sending WHERE day = ? AND state IN ('begun', 'sent')`, day(on))
	out := make(map[string]int)
	for _, uri := range uris {
		out[hostOf(uri)]++
	}
	return out, err
}

// hostOf is the host of "mailto:a@host" or "https://host:443/…".
func hostOf(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return uri[strings.LastIndexByte(uri, '@')+1:]
}

// Line is a row of what was sent.
type Line struct {
	Kind   Kind   `json:"kind"`
	Day    string `json:"day"`
	Domain string `json:"domain"`
	URI    string `json:"uri"`
	Stage  Stage  `json:"stage"`
	Note   string `json:"note,omitempty"`
}

// maxLines is how many rows a listing has.
const maxLines = 10_000

// Sendings lists what was sent, the newest first.
func (s *Store) Sendings(ctx context.Context) (out []Line, err error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT kind, day, domain, uri, state, note FROM report_sending ORDER BY day DESC, kind, domain, uri LIMIT ?`, maxLines)
	if err != nil {
		return nil, about("reading what is sent", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l Line
		if err := rows.Scan(&l.Kind, &l.Day, &l.Domain, &l.URI, &l.Stage, &l.Note); err != nil {
			return nil, about("reading what is sent", err)
		}
		out = append(out, l)
	}
	return out, about("reading what is sent", rows.Err())
}
