package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	reports "facteur/internal/flow/report"
	"facteur/internal/store/report"
)

// ReportQuery says which reports are meant.
type ReportQuery struct {
	// What is "dmarc", "tls", "complaints", "received", "sent" or "rows".
	What string `json:"what"`
	// Domain is one of ours, "" for all.
	Domain string    `json:"domain,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Doubtful: what nobody vouches for, and nothing else.
	Doubtful bool `json:"doubtful,omitempty"`
	// ID is that of the report whose rows are meant.
	ID int64 `json:"id,omitempty"`
}

// Reports is the answer; what was not asked for is empty.
type Reports struct {
	Sources    []report.Source    `json:"sources,omitempty"`
	TLS        []report.TLSSum    `json:"tls,omitempty"`
	Complaints []report.Complaint `json:"complaints,omitempty"`
	Received   []report.Received  `json:"received,omitempty"`
	Sent       []report.Line      `json:"sent,omitempty"`
	Rows       []json.RawMessage  `json:"rows,omitempty"`
	// Unverified is how many reports or complaints nobody vouches for; they are not in the
	// lists above unless they were asked for.
	Unverified int64 `json:"unverified,omitempty"`
}

// SendReports is the order to send reports.
type SendReports struct {
	Preview bool `json:"preview"`
}

// Naming says who knows the names of addresses without asking anybody.
func (s *Stores) Naming(name func(netip.Addr) string) *Stores {
	s.name = name
	return s
}

// Reporting says who sends reports. It is for the server.
func (s *Stores) Reporting(o *reports.Office) *Stores {
	s.office = o
	return s
}

// Reports implements Office.
func (s *Stores) Reports(ctx context.Context, q ReportQuery) (r Reports, err error) {
	which := report.Query{Domain: q.Domain, Since: q.Since, Doubtful: q.Doubtful}
	if q.What == "dmarc" || q.What == "tls" || q.What == "complaints" {
		which.Kind = map[string]report.Kind{"dmarc": report.DMARC, "tls": report.TLS}[q.What]
		if r.Unverified, err = s.reports.Unverified(ctx, which); err != nil {
			return r, err
		}
	}
	switch q.What {
	case "dmarc":
		r.Sources, err = s.reports.Sources(ctx, which)
		for i := range r.Sources {
			r.Sources[i].Name = s.name(r.Sources[i].Address)
		}
	case "tls":
		r.TLS, err = s.reports.TLSSums(ctx, which)
	case "complaints":
		r.Complaints, err = s.reports.ListComplaints(ctx, which)
	case "received":
		r.Received, err = s.received(ctx, which)
	case "sent":
		r.Sent, err = s.reports.Sendings(ctx)
	case "rows":
		if r.Rows, err = s.reports.Rows(ctx, q.ID); err == nil && len(r.Rows) == 0 {
			err = fmt.Errorf("there is no report %d, or it has no rows", q.ID)
		}
	default:
		err = errors.New("there are no such reports")
	}
	return r, err
}

// received are the reports of all kinds, the newest first.
func (s *Stores) received(ctx context.Context, q report.Query) (out []report.Received, err error) {
	for _, q.Kind = range []report.Kind{report.DMARC, report.TLS} {
		for _, q.Doubtful = range []bool{false, true} {
			part, err := s.reports.List(ctx, q)
			if err != nil {
				return nil, err
			}
			out = append(out, part...)
		}
	}
	slices.SortFunc(out, func(a, b report.Received) int { return cmp.Compare(b.ID, a.ID) })
	return out, nil
}

// SendReports implements Office.
func (s *Stores) SendReports(ctx context.Context, o SendReports) ([]reports.Sent, error) {
	if s.office == nil {
		return nil, errors.New("reports are sent by a server that runs; start it first")
	}
	return s.office.Send(ctx, o.Preview)
}

// Reports implements Office.
func (c *client) Reports(ctx context.Context, q ReportQuery) (r Reports, err error) {
	err = c.call(ctx, "/reports", q, &r)
	return r, err
}

// SendReports implements Office.
func (c *client) SendReports(ctx context.Context, o SendReports) (list []reports.Sent, err error) {
	err = c.call(ctx, "/reports/send", o, &list)
	return list, err
}
