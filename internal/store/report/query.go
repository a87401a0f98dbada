package report

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"facteur/internal/mail/report"
)

// Received is a report that came, in short.
type Received struct {
	ID       int64     `json:"id"`
	Kind     Kind      `json:"kind"`
	Domain   string    `json:"domain"`
	Author   string    `json:"author"`
	Verified bool      `json:"verified"`
	Reporter string    `json:"reporter"`
	ReportID string    `json:"report_id"`
	Begin    time.Time `json:"begin"`
	End      time.Time `json:"end"`
	Taken    time.Time `json:"taken"`
	// Total is letters or sessions, Good those that passed; LeftOut how many rows were not
	// kept for lack of room.
	Total   int64 `json:"total"`
	Good    int64 `json:"good"`
	LeftOut int64 `json:"left_out,omitempty"`
}

// Query chooses reports.
type Query struct {
	Kind     Kind
	Domain   string    // "" for all
	Since    time.Time // by when they came
	Doubtful bool      // those that nobody vouches for, instead of the others
}

// where is the condition of a query, with its four arguments.
const where = ` WHERE kind = ? AND (? = '' OR domain = ?) AND taken >= ? AND verified = ?`

func (q Query) args() []any {
	return []any{string(q.Kind), q.Domain, q.Domain, seconds(q.Since), !q.Doubtful}
}

// List lists reports, the newest first.
func (s *Store) List(ctx context.Context, q Query) (out []Received, err error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT id, kind, domain, author, verified, reporter, report_id, begun, ended, taken, total, good, left_out
		FROM report_received`+where+` ORDER BY id DESC LIMIT ?`, append(q.args(), maxLines)...)
	if err != nil {
		return nil, about("listing", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Received
		var begun, ended, taken int64
		if err := rows.Scan(&r.ID, &r.Kind, &r.Domain, &r.Author, &r.Verified, &r.Reporter, &r.ReportID, &begun, &ended, &taken, &r.Total, &r.Good, &r.LeftOut); err != nil {
			return nil, about("listing", err)
		}
		r.Begin, r.End, r.Taken = time.Unix(begun, 0).UTC(), time.Unix(ended, 0).UTC(), time.Unix(taken, 0).UTC()
		out = append(out, r)
	}
	return out, about("listing", rows.Err())
}

// Source is what reports say of one address that sends in the name of one domain.
type Source struct {
	Domain  string     `json:"domain"`
	Address netip.Addr `json:"address"`
	// Name is that of the address, where it is known.
	Name string `json:"name,omitempty"`
	// Policy is what the domain last asked for (p=), as reporters saw it.
	Policy string `json:"policy"`
	// Letters of all kinds; those aligned by DKIM, by SPF, by any of them; and what was
	// done with those that failed.
	Letters     int64 `json:"letters"`
	DKIM        int64 `json:"dkim"`
	SPF         int64 `json:"spf"`
	Passed      int64 `json:"passed"`
	Quarantined int64 `json:"quarantined"`
	Rejected    int64 `json:"rejected"`
	// Of the letters that failed: Forwarded are those that the receiver let through because
	// they came by a mailing list or forwarder; Broken those with a DKIM signature of the
	// domain, which does not hold.
	Forwarded int64 `json:"forwarded,omitempty"`
	Broken    int64 `json:"broken,omitempty"`
	// Returning are letters whose envelope sender is of the domain, and SPF did not pass.
	Returning int64 `json:"returning,omitempty"`
	// Others are domains whose SPF or DKIM passed without being aligned: who it is.
	Others    []string `json:"others,omitempty"`
	Reporters []string `json:"reporters"`
}

const (
	maxNames   = 10     // of Others and Reporters
	maxSources = 50_000 // of a listing
)

// Sources sums the rows of reports up, by domain and address: what fails most comes
// first.
func (s *Store) Sources(ctx context.Context, q Query) ([]Source, error) {
	q.Kind = DMARC
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT domain, author, published, row
		FROM report_received JOIN report_row ON report = id`+where+` ORDER BY id`, q.args()...)
	if err != nil {
		return nil, about("summing up", err)
	}
	defer rows.Close()
	sums := make(map[sourceKey]*Source)
	for rows.Next() {
		var domain, author, published, text string
		var r report.Record
		err := rows.Scan(&domain, &author, &published, &text)
		if err == nil {
			err = json.Unmarshal([]byte(text), &r)
		}
		if err != nil {
			return nil, about("summing up", err)
		}
		if sum := sourceOf(sums, domain, r.Source); sum != nil {
			sum.add(&r, author, published)
		}
	}
	return sorted(sums), about("summing up", rows.Err())
}

type sourceKey struct {
	domain string
	addr   netip.Addr
}

func sourceOf(sums map[sourceKey]*Source, domain string, addr netip.Addr) *Source {
	k := sourceKey{domain, addr}
	if sums[k] == nil && len(sums) < maxSources {
		sums[k] = &Source{Domain: domain, Address: addr}
	}
	return sums[k]
}

func worstFirst(a, b Source) int {
	return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(b.Letters-b.Passed, a.Letters-a.Passed), cmp.Compare(b.Letters, a.Letters), a.Address.Compare(b.Address))
}

// add adds a row.
func (s *Source) add(r *report.Record, author, published string) {
	var p report.Published
	if json.Unmarshal([]byte(published), &p) == nil {
		s.Policy = policyFor(p, r.HeaderFrom)
	}
	s.Letters += r.Count
	s.Reporters = named(s.Reporters, author)
	if r.DKIM == "pass" {
		s.DKIM += r.Count
	}
	if r.SPF == "pass" {
		s.SPF += r.Count
	} else if within(returnPath(r), s.Domain) {
		s.Returning += r.Count
	}
	if r.Passed() {
		s.Passed += r.Count
		return
	}
	s.fail(r)
}

// policyFor is what a domain asks for letters from a name in it.
func policyFor(p report.Published, from string) string {
	if p.SP != "" && from != "" && from != p.Domain {
		return p.SP
	}
	return p.P
}

// within tells that a name is a domain or below it.
func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// returnPath is the domain of the envelope sender, as far as it is told.
func returnPath(r *report.Record) string {
	for _, c := range r.SPFChecks {
		if r.EnvelopeFrom == "" && c.Scope != "helo" {
			return c.Domain
		}
	}
	return r.EnvelopeFrom
}

// fail adds letters that failed.
func (s *Source) fail(r *report.Record) {
	switch {
	case r.Disposition == "quarantine":
		s.Quarantined += r.Count
	case r.Disposition == "reject":
		s.Rejected += r.Count
	case slices.ContainsFunc(r.Reasons, isForwarding):
		s.Forwarded += r.Count
	}
	broken := false
	for _, d := range r.Signatures {
		if d.Result == "pass" {
			s.Others = named(s.Others, d.Domain)
		} else {
			broken = broken || within(d.Domain, s.Domain)
		}
	}
	for _, c := range r.SPFChecks {
		if c.Result == "pass" {
			s.Others = named(s.Others, c.Domain)
		}
	}
	if broken {
		s.Broken += r.Count
	}
}

// isForwarding tells the reasons that say that letters came by somebody else (RFC 7489
// appendix C, RFC 9990 §2.1); "local_policy" does so where it is a matter of ARC.
func isForwarding(r report.Reason) bool {
	switch r.Type {
	case "forwarded", "mailing_list", "trusted_forwarder":
		return true
	}
	return r.Type == "local_policy" && strings.Contains(strings.ToLower(r.Comment), "arc=pass")
}

// named adds a name to a short list without doubles.
func named(list []string, name string) []string {
	if name == "" || len(list) >= maxNames || slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// TLSSum is what reports say of the connections to one domain's mail hosts.
type TLSSum struct {
	Domain  string `json:"domain"`
	Type    string `json:"type"` // "sts", "tlsa", "no-policy-found"
	Success int64  `json:"success"`
	Failure int64  `json:"failure"`
	// Failures are by result and host, the most frequent first.
	Failures  []TLSFailures `json:"failures,omitempty"`
	Reporters []string      `json:"reporters"`
}

// TLSFailures is sessions that failed alike.
type TLSFailures struct {
	Result   string `json:"result"`
	Host     string `json:"host,omitempty"`
	Sessions int64  `json:"sessions"`
	Reason   string `json:"reason,omitempty"`
}

// TLSSums sums up reports on TLS, by domain and type of policy.
func (s *Store) TLSSums(ctx context.Context, q Query) ([]TLSSum, error) {
	q.Kind = TLS
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT domain, author, row FROM report_received JOIN report_row ON report = id`+where+` ORDER BY id`, q.args()...)
	if err != nil {
		return nil, about("summing up", err)
	}
	defer rows.Close()
	sums := make(tlsSums)
	for rows.Next() {
		var domain, author, text string
		var p report.TLSPolicy
		err := rows.Scan(&domain, &author, &text)
		if err == nil {
			err = json.Unmarshal([]byte(text), &p)
		}
		if err != nil {
			return nil, about("summing up", err)
		}
		sums.add(domain, author, &p)
	}
	return sums.sorted(), about("summing up", rows.Err())
}

// maxFailures is how many kinds of failure a sum tells apart.
const maxFailures = 100

func (t *TLSSum) add(p *report.TLSPolicy, author string) {
	t.Success += int64(p.Summary.Success)
	t.Failure += int64(p.Summary.Failure)
	t.Reporters = named(t.Reporters, author)
	for _, f := range p.Failures {
		i := slices.IndexFunc(t.Failures, func(k TLSFailures) bool { return k.Result == f.Result && k.Host == f.Host })
		switch {
		case i >= 0:
			t.Failures[i].Sessions += int64(f.Sessions)
		case len(t.Failures) < maxFailures:
			t.Failures = append(t.Failures, TLSFailures{f.Result, f.Host, int64(f.Sessions), f.Reason})
		}
	}
}

// Unverified is how many reports of a kind came that nobody vouches for; with the kind "",
// how many complaints.
func (s *Store) Unverified(ctx context.Context, q Query) (n int64, err error) {
	if q.Doubtful = true; q.Kind == "" {
		err = s.db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM report_complaint WHERE taken >= ? AND NOT verified`, seconds(q.Since)).Scan(&n)
	} else {
		err = s.db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM report_received`+where, q.args()...).Scan(&n)
	}
	return n, about("counting", err)
}

// Rows are the rows of one report, as JSON.
func (s *Store) Rows(ctx context.Context, id int64) ([]json.RawMessage, error) {
	texts, err := s.texts(ctx, `SELECT row FROM report_row WHERE report = ? ORDER BY n`, id)
	out := make([]json.RawMessage, len(texts))
	for i, t := range texts {
		out[i] = json.RawMessage(t)
	}
	return out, err
}

// SumUp sums up reports that are not kept, as Sources does those that are.
func SumUp(list []*report.Aggregate) []Source {
	sums := make(map[sourceKey]*Source)
	for _, a := range list {
		published, _ := json.Marshal(a.Published) // strings only
		for i := range a.Records {
			if sum := sourceOf(sums, a.Published.Domain, a.Records[i].Source); sum != nil {
				sum.add(&a.Records[i], a.Reporter.Org, string(published))
			}
		}
	}
	return sorted(sums)
}

func sorted(sums map[sourceKey]*Source) []Source {
	out := make([]Source, 0, len(sums))
	for _, sum := range sums {
		out = append(out, *sum)
	}
	slices.SortFunc(out, worstFirst)
	return out
}

// SumUpTLS sums up reports that are not kept, as TLSSums does those that are.
func SumUpTLS(list []*report.TLS) []TLSSum {
	sums := make(tlsSums)
	for _, t := range list {
		for i := range t.Policies {
			sums.add(t.Policies[i].Policy.Domain, t.Organization, &t.Policies[i])
		}
	}
	return sums.sorted()
}

// tlsSums are sums by domain and type of policy.
type tlsSums map[[2]string]*TLSSum

func (s tlsSums) add(domain, author string, p *report.TLSPolicy) {
	k := [2]string{domain, p.Policy.Type}
	if s[k] == nil && len(s) < maxSources {
		s[k] = &TLSSum{Domain: domain, Type: p.Policy.Type}
	}
	if s[k] != nil {
		s[k].add(p, author)
	}
}

func (s tlsSums) sorted() []TLSSum {
	out := make([]TLSSum, 0, len(s))
	for _, k := range slices.SortedFunc(maps.Keys(s), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		slices.SortStableFunc(s[k].Failures, func(a, b TLSFailures) int { return cmp.Compare(b.Sessions, a.Sessions) })
		out = append(out, *s[k])
	}
	return out
}
