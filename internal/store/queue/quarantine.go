package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"facteur/internal/mail/address"
	"facteur/internal/store/db"
)

// The quarantine is a shelf of the queue. A recipient comes there with Commit, and leaves
// it with FreeExhibits, into the mail flow, or DropExhibits. Either is one change of its row,
// and of the row that has its Exhibit, in one transaction: a crash leaves it in quarantine,
// or leaves it queued or ended, and never both.
//
// No search of the scheduler reads its rows, which stand in an index of their own, and none
// of the orders for the queue sees them: they pick what a person may let go without a
// thought.

// Exhibit is what is known of a recipient in quarantine.
type Exhibit struct {
	Item ID
	N    int
	// Category is that of Recipient.Quarantine.
	Category string
	// Account is whose letter it is, by canonical name: a mailbox here, or the recipient's
	// address where it leads elsewhere.
	Account string
	// Since is when it was put there.
	Since time.Time
	// Size is that of the message in bytes, Score what it got.
	Size  int64
	Score float64
	// Author and Subject are those of the header, decoded, for people.
	Author, Subject string
	// Evidence is what spoke against it, as its judge wrote it; at most EvidenceMax bytes.
	Evidence string

	// Sender is the reverse-path and To the recipient; Exhibits sets them.
	Sender, To address.Address
}

// EvidenceMax bounds Exhibit.Evidence in bytes.
const EvidenceMax = 8 << 10

// nameMax bounds Exhibit.Author and Exhibit.Subject in bytes.
const nameMax = 500

// inQuarantine tells whether a recipient is there.
func (r *Recipient) inQuarantine() bool { return r.Quarantine != "" && r.State == Held }

// insertExhibit writes what is known of a recipient in quarantine.
func insertExhibit(tx *db.Tx, it *Item, r *Recipient) error {
	var x Exhibit
	if r.Exhibit != nil {
		x = *r.Exhibit
	}
	if x.Account == "" {
		x.Account = r.Address.Key()
	}
	if x.Since.IsZero() {
		x.Since = it.Arrived
	}
	_, err := tx.Exec(`INSERT INTO exhibit (item, n, category, account, since, size, score, author, subject, evidence)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, int64(it.ID), r.N, r.Quarantine, x.Account, x.Since.UnixMicro(), it.Size, x.Score,
		clip(x.Author, nameMax), clip(x.Subject, nameMax), clip(x.Evidence, EvidenceMax))
	return err
}

// Quarantined gets a token when something has come into quarantine. One goroutine listens.
func (q *Queue) Quarantined() <-chan struct{} { return q.quarantine }

func (q *Queue) tellQuarantine(it *Item) {
	if !slices.ContainsFunc(it.Recipients, func(r Recipient) bool { return r.inQuarantine() }) {
		return
	}
	select {
	case q.quarantine <- struct{}{}:
	default:
	}
}

// clip is the beginning of a text, of whole characters.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

func (t target) removeExhibit(tx *db.Tx) error {
	_, err := tx.Exec("DELETE FROM exhibit WHERE item = ? AND n = ?", int64(t.item.ID), t.N)
	return err
}

// ExhibitFilter picks exhibits; all that is set must hold.
type ExhibitFilter struct {
	// IDs, unless empty, are the only ones: an N of 0 means all of its item.
	IDs []ExhibitID
	// Category and Account are theirs; Account "@domain" is all of a domain.
	Category, Account string
	// From is a part of the author or of the reverse-path, Subject of the subject, without
	// regard to case.
	From, Subject string
	// Since and Before bound when they came: Since at the earliest, before Before.
	Since, Before time.Time
}

// ExhibitID names an exhibit.
type ExhibitID struct {
	Item ID
	N    int
}

// String is how people name it: "5F3A90", or "5F3A90/2" for another recipient than the
// first.
func (x ExhibitID) String() string {
	if x.N <= 1 {
		return x.Item.String()
	}
	return fmt.Sprintf("%s/%d", x.Item, x.N)
}

// ID names it.
func (x *Exhibit) ID() ExhibitID { return ExhibitID{x.Item, x.N} }

// wants tells whether the IDs name it.
func (f *ExhibitFilter) wants(x ExhibitID) bool {
	return len(f.IDs) == 0 || slices.Contains(f.IDs, x) || slices.Contains(f.IDs, ExhibitID{Item: x.Item})
}

// where is the filter in SQL.
func (f *ExhibitFilter) where() (where string, args []any) {
	conditions := []string{"r.state = 5"}
	add := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if len(f.IDs) > 0 {
		ids := make([]int64, len(f.IDs))
		for i, id := range f.IDs {
			ids[i] = int64(id.Item)
		}
		text, _ := json.Marshal(ids) // numbers
		add("x.item IN (SELECT value FROM json_each(?))", string(text))
	}
	if f.Category != "" {
		add("x.category = ?", f.Category)
	}
	if domain, all := strings.CutPrefix(f.Account, "@"); all {
		add("substr(x.account, -length(?)) = ?", "@"+domain, "@"+domain)
	} else if f.Account != "" {
		add("x.account = ?", f.Account)
	}
	if f.From != "" {
		add("(instr(lower(x.author), lower(?)) > 0 OR instr(lower(r.sender), lower(?)) > 0)", f.From, f.From)
	}
	if f.Subject != "" {
		add("instr(lower(x.subject), lower(?)) > 0", f.Subject)
	}
	if !f.Since.IsZero() {
		add("x.since >= ?", f.Since.UnixMicro())
	}
	if !f.Before.IsZero() {
		add("x.since < ?", f.Before.UnixMicro())
	}
	return strings.Join(conditions, " AND "), args
}

// exhibitPage is how many exhibits are read at a time: between pages nothing is held.
const exhibitPage = 500

// Exhibits calls fn for each that the filter picks, the oldest first, until it returns
// false.
func (q *Queue) Exhibits(ctx context.Context, f ExhibitFilter, fn func(Exhibit) bool) error {
	where, args := f.where()
	after := ExhibitID{}
	for {
		page, err := q.exhibitPage(ctx, where, args, after)
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		for _, x := range page {
			if f.wants(x.ID()) && !fn(x) {
				return nil
			}
		}
		if len(page) < exhibitPage {
			return nil
		}
		after = page[len(page)-1].ID()
	}
}

func (q *Queue) exhibitPage(ctx context.Context, where string, args []any, after ExhibitID) (page []Exhibit, err error) {
	args = append(slices.Clone(args), int64(after.Item), after.N, exhibitPage)
	rows, err := q.db.Reader().QueryContext(ctx, `SELECT x.item, x.n, x.category, x.account, x.since, x.size, x.score, x.author, x.subject,
		x.evidence, r.sender, r.address FROM exhibit x CROSS JOIN recipient r ON r.item = x.item AND r.n = x.n
		WHERE `+where+` AND (x.item, x.n) > (?, ?) ORDER BY x.item, x.n LIMIT ?`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x Exhibit
		var since int64
		var sender, to string
		if err := rows.Scan((*int64)(&x.Item), &x.N, &x.Category, &x.Account, &since, &x.Size, &x.Score, &x.Author, &x.Subject,
			&x.Evidence, &sender, &to); err != nil {
			return nil, err
		}
		x.Since, x.Sender, x.To = time.UnixMicro(since), parseMailbox(sender), parseMailbox(to)
		page = append(page, x)
	}
	return page, rows.Err()
}

// ExhibitCount is how much of one category an account has in quarantine.
type ExhibitCount struct {
	Account, Category string
	// Exhibits is how many, and Bytes how large they are together.
	Exhibits int
	Bytes    int64
	// Oldest is when the first of them came.
	Oldest time.Time
}

// ExhibitCounts counts the quarantine, by account and category.
func (q *Queue) ExhibitCounts(ctx context.Context) (list []ExhibitCount, err error) {
	rows, err := q.db.Reader().QueryContext(ctx, `SELECT account, category, count(*), sum(size), min(since)
		FROM exhibit INDEXED BY exhibit_account GROUP BY account, category`)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c ExhibitCount
		var oldest int64
		if err := rows.Scan(&c.Account, &c.Category, &c.Exhibits, &c.Bytes, &oldest); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		c.Oldest = time.UnixMicro(oldest)
		list = append(list, c)
	}
	return list, rows.Err()
}

// ExhibitBytes is the room that the messages in quarantine take: one that is there for
// several counts once.
func (q *Queue) ExhibitBytes(ctx context.Context) (sum int64, err error) {
	err = q.db.Reader().QueryRowContext(ctx, `SELECT coalesce(sum(size), 0)
		FROM (SELECT DISTINCT item, size FROM exhibit INDEXED BY exhibit_account)`).Scan(&sum)
	return sum, err
}

// FreeExhibits lets what the filter picks go into the mail flow, each exactly once: it
// is due now, into INBOX, with the address, route, sender and forwarder that fn gives.
// Where fn fails, it stays, and the error is told in the end.
func (q *Queue) FreeExhibits(ctx context.Context, f ExhibitFilter, fn func(context.Context, *Item, Recipient) (Recipient, error), told ...Told) (Count, error) {
	now := time.Now()
	var failures []error
	sum, err := q.overExhibits(ctx, f, "releasing", operation{told: first(told), plan: func(it *Item, r Recipient) (Recipient, bool) {
		to, err := fn(ctx, it, r)
		if err != nil {
			if len(failures) < failuresTold {
				failures = append(failures, fmt.Errorf("%s: <%s>: %w", it.ID, r.Address, err))
			}
			return r, false
		}
		r.Address, r.Route, r.Sender, r.Owned, r.Forwarder = to.Address, to.Route, to.Sender, to.Owned, to.Forwarder
		r.State, r.Quarantine, r.Folder, r.LastReply, r.Due, r.Released, r.Attempts = Queued, "", "", "", now, now, 0
		return r, true
	}})
	return sum, errors.Join(err, errors.Join(failures...))
}

// DropExhibits ends what the filter picks. Nobody is told.
func (q *Queue) DropExhibits(ctx context.Context, f ExhibitFilter, told ...Told) (Count, error) {
	return q.overExhibits(ctx, f, "deleting", operation{told: first(told), reads: lean, removes: true, plan: func(_ *Item, r Recipient) (Recipient, bool) {
		r.removed = true
		return r, true
	}})
}

// overExhibits does an operation to what the filter picks, a bounded part at a time.
func (q *Queue) overExhibits(ctx context.Context, f ExhibitFilter, name string, op operation) (sum Count, err error) {
	var part []ExhibitID
	plan := op.plan
	flush := func() error {
		picked := make(map[ExhibitID]bool, len(part))
		only := Filter{Shelf: ShelfQuarantine}
		for _, id := range part {
			picked[id] = true
			only.IDs = append(only.IDs, id.Item)
		}
		part = part[:0]
		op.plan = func(it *Item, r Recipient) (Recipient, bool) {
			if !picked[ExhibitID{it.ID, r.N}] {
				return r, false
			}
			return plan(it, r)
		}
		only.IDs = slices.Compact(only.IDs) // they come in their order
		n, err := q.operate(ctx, name, only, op)
		sum.Items, sum.Recipients, sum.Bytes = sum.Items+n.Items, sum.Recipients+n.Recipients, sum.Bytes+n.Bytes
		return err
	}
	var failed error
	err = q.Exhibits(ctx, f, func(x Exhibit) bool {
		if part = append(part, x.ID()); len(part) == changeMax {
			failed = flush()
		}
		return failed == nil
	})
	if failed == nil && err == nil && len(part) > 0 {
		failed = flush()
	}
	return sum, errors.Join(err, failed)
}
