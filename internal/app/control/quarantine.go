package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/learn"
	"facteur/internal/flow/quarantine"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/queue"
)

// Shelved picks letters in quarantine; all that is set must hold.
type Shelved struct {
	// IDs are those that listings show: "5F3A90", which is all of a message that are there,
	// or "5F3A90/2". amavis' "spam-5F3A90" is the first.
	IDs []string `json:"ids,omitempty"`
	// Category is "spam", "virus", "banned" or "bad_header".
	Category string `json:"category,omitempty"`
	// Account is whose letters: an address, or "@domain".
	Account string `json:"account,omitempty"`
	// From and Subject are parts of what the header says, From also of the reverse-path.
	From    string `json:"from,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Since and Before bound when they came.
	Since  time.Time `json:"since,omitzero"`
	Before time.Time `json:"before,omitzero"`
}

// IsZero tells whether everything is picked.
func (s Shelved) IsZero() bool {
	return len(s.IDs) == 0 && s.Category == "" && s.Account == "" && s.From == "" && s.Subject == "" && s.Since.IsZero() && s.Before.IsZero()
}

// Exhibit is a letter in quarantine.
type Exhibit struct {
	ID       string    `json:"id"`
	Category string    `json:"category"`
	Account  string    `json:"account"`
	To       string    `json:"to"`
	Sender   string    `json:"sender"`
	Author   string    `json:"author"`
	Subject  string    `json:"subject"`
	Since    time.Time `json:"since"`
	Size     int64     `json:"size"`
	Score    float64   `json:"score"`
	Evidence string    `json:"evidence,omitempty"`
}

// QuarantineCount is how much of one category an account has in quarantine.
type QuarantineCount struct {
	Account  string    `json:"account"`
	Category string    `json:"category"`
	Letters  int       `json:"letters"`
	Size     int64     `json:"size"`
	Oldest   time.Time `json:"oldest"`
}

// QuarantineStats is how full the quarantine is. Size is the room that it takes on the disk.
type QuarantineStats struct {
	Size   int64             `json:"size"`
	Counts []QuarantineCount `json:"counts"`
}

// QuarantineOrder is something done to letters in quarantine.
type QuarantineOrder struct {
	// Action is Release or Delete.
	Action Action  `json:"action"`
	Which  Shelved `json:"which"`
	// To is who gets what is released, in the place of its recipient.
	To string `json:"to,omitempty"`
	// Learn: what is released teaches its account's filter that it is no spam.
	Learn bool `json:"learn,omitempty"`
}

// categories are what may be asked for.
var categories = []string{"spam", "virus", "banned", "bad_header"}

// filter reads a Shelved.
func (s *Stores) exhibitFilter(ctx context.Context, w Shelved) (f queue.ExhibitFilter, err error) {
	f = queue.ExhibitFilter{Category: w.Category, From: w.From, Subject: w.Subject, Since: w.Since, Before: w.Before}
	if w.Category != "" && !slices.Contains(categories, w.Category) {
		return f, fmt.Errorf("%q is no category; expected %s", w.Category, strings.Join(categories, ", "))
	}
	if len(w.IDs) > MaxIDs {
		return f, fmt.Errorf("%d IDs at once; %d at most", len(w.IDs), MaxIDs)
	}
	for _, text := range w.IDs {
		id, err := ParseExhibitID(text)
		if err != nil {
			return f, err
		}
		f.IDs = append(f.IDs, id)
	}
	if w.Account != "" {
		f.Account, err = s.matchOf(ctx, w.Account)
	}
	return f, err
}

// ParseExhibitID reads how people name a letter in quarantine.
func ParseExhibitID(text string) (x queue.ExhibitID, err error) {
	name := text
	if category, rest, found := strings.Cut(name, "-"); found && (slices.Contains(categories, category) || category == "badh") {
		name = rest // as amavis has it
	}
	name, number, numbered := strings.Cut(strings.TrimSuffix(name, ".gz"), "/")
	if x.Item, err = queue.ParseID(name); err != nil {
		return x, fmt.Errorf("%q is not an ID of the quarantine; \"facteur quarantine list\" shows them", text)
	}
	if numbered {
		if x.N, err = strconv.Atoi(number); err != nil || x.N < 1 {
			return x, fmt.Errorf("%q: expected the number of a recipient behind the slash", text)
		}
	}
	return x, nil
}

// Quarantine implements Office.
func (s *Stores) Quarantine(ctx context.Context, w Shelved, fn func(Exhibit) error) error {
	f, err := s.exhibitFilter(ctx, w)
	if err != nil {
		return err
	}
	var failed error
	err = s.queue.Exhibits(ctx, f, func(x queue.Exhibit) bool {
		failed = fn(Exhibit{x.ID().String(), x.Category, x.Account, x.To.String(), x.Sender.String(), x.Author, x.Subject, x.Since, x.Size, x.Score, x.Evidence})
		return failed == nil
	})
	return errors.Join(failed, err)
}

// QuarantineStats implements Office.
func (s *Stores) QuarantineStats(ctx context.Context) (q QuarantineStats, err error) {
	counts, err := s.queue.ExhibitCounts(ctx)
	if err != nil {
		return q, err
	}
	for _, c := range counts {
		q.Counts = append(q.Counts, QuarantineCount{c.Account, c.Category, c.Exhibits, c.Bytes, c.Oldest})
	}
	q.Size, err = s.queue.ExhibitBytes(ctx)
	return q, err
}

// ChangeQuarantine implements Office.
func (s *Stores) ChangeQuarantine(ctx context.Context, o QuarantineOrder, told func(Progress) error) error {
	f, err := s.exhibitFilter(ctx, o.Which)
	if err != nil {
		return err
	}
	way, err := s.wayOut(ctx, o.To)
	if err != nil {
		return err
	}
	if o.Learn && o.Action == Release {
		if err := s.learnFrom(ctx, f); err != nil {
			return err
		}
	}
	var part Progress
	by := caller(ctx)
	tell := queue.Told{Done: func(it *queue.Item) {
		for _, r := range it.Recipients {
			s.events.Emit(Shelving{newHandled(o.Action, by, &queue.Item{ID: it.ID, Sender: it.Sender, Recipients: []queue.Recipient{r}}), r.Quarantine})
			part.IDs = append(part.IDs, queue.ExhibitID{Item: it.ID, N: r.N}.String())
		}
		part.Add(Count{Items: 1, Recipients: len(it.Recipients), Size: it.Size})
		if o.Action == Release {
			s.events.Emit(queue.Active{Item: it}) // no attempt tells of its first
		}
	}}
	switch o.Action {
	case Release:
		_, err = s.queue.FreeExhibits(ctx, f, way, tell)
	case Delete:
		_, err = s.queue.DropExhibits(ctx, f, tell)
	default:
		err = fmt.Errorf("%q is nothing that can be done to the quarantine", o.Action)
	}
	if part.Items > 0 {
		err = errors.Join(err, told(part))
	}
	return err
}

// learnFrom teaches accounts that what the filter had put into quarantine is no spam. What
// is nobody's who learns here teaches nothing. It is done before the release: once that is
// written, a letter may be delivered and gone.
func (s *Stores) learnFrom(ctx context.Context, f queue.ExhibitFilter) error {
	var failed error
	err := s.queue.Exhibits(ctx, f, func(x queue.Exhibit) bool {
		failed = s.learnExhibit(ctx, x)
		return failed == nil
	})
	return errors.Join(err, failed)
}

func (s *Stores) learnExhibit(ctx context.Context, x queue.Exhibit) error {
	account, err := s.student(ctx, x.Account)
	if err != nil {
		return nil
	}
	_, body, err := s.queue.Show(ctx, x.Item)
	if errors.Is(err, queue.ErrNoItem) {
		return nil
	} else if err != nil {
		return err
	}
	r, err := body.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	letter, ok := r.(io.ReaderAt)
	if !ok {
		return fmt.Errorf("%s: its message can't be read at any place", x.Item)
	}
	if _, err = s.teacher.TeachLetter(ctx, account, letter, body.Size(), false, learn.Released); err != nil {
		return fmt.Errorf("%s: it can't be learnt from: %w", x.Item, err)
	}
	return nil
}

// wayOut says how letters leave the quarantine: where their recipients lead now, or to
// another address.
func (s *Stores) wayOut(ctx context.Context, to string) (func(context.Context, *queue.Item, queue.Recipient) (queue.Recipient, error), error) {
	if to == "" {
		return s.reroute, nil
	}
	a, err := accountAddress(to)
	if err != nil {
		return nil, err
	}
	m := meaning{address: a}
	if err := s.canonical(ctx, s.addressing().Rewrite, &m); err != nil {
		return nil, err
	}
	answer := s.router.Expand(ctx, route.Question{Recipient: m.address})
	switch answer.State() {
	case lookup.TryAgain:
		return nil, fmt.Errorf("where %s leads can't be told now: %w", to, answer.Err())
	case lookup.NotFound:
		return nil, fmt.Errorf("%s: there is no such address here", to)
	}
	if n := len(answer.Value().Destinations); n != 1 {
		return nil, fmt.Errorf("%s leads to %d addresses; name one of them", to, n)
	}
	d := answer.Value().Destinations[0]
	return func(_ context.Context, _ *queue.Item, r queue.Recipient) (queue.Recipient, error) {
		was := r.Address
		r = m.onto(d, r, a)
		if d.Kind == route.Remote && r.Forwarder == (address.Address{}) {
			r.Forwarder = was // it leaves on behalf of whom it was for
		}
		return r, nil
	}, nil
}

// Shelving is something that an admin did to a letter in quarantine.
type Shelving struct {
	Handled
	Category string
}

// Record implements event.Event.
func (x Shelving) Record() (string, []slog.Attr) {
	_, attrs := x.Handled.Record()
	return "quarantine " + string(x.Action), append(attrs, slog.String("category", x.Category))
}

// Line implements event.Event.
func (x Shelving) Line() (string, string) {
	did := "released from quarantine"
	if x.Action == Delete {
		did = "deleted from quarantine"
	}
	return "facteur/quarantine", x.ID.String() + ": " + did + ", to=<" + strings.Join(x.Recipients, ">,<") + ">, category=" + x.Category + ", by=" + x.By.String()
}

// Step implements event.Stepper. A deletion is the end of its recipient.
func (x Shelving) Step() event.Step {
	s := x.Handled.Step()
	to, as := event.Addresses(x.Recipients), " in quarantine as "+quarantine.Words[x.Category]
	if x.Action == Delete {
		s.Sentence = x.By.sentence() + " deleted the message for " + to + "," + as + " (deleted-by-admin). It is not delivered, and nobody was told."
		return s
	}
	s.Sentence = x.By.sentence() + " released the message for " + to + "," + as + ": it goes to the inbox, and is not filtered again."
	return s
}

var _ event.Stepper = Shelving{}

// Quarantine implements Office.
func (c *client) Quarantine(ctx context.Context, s Shelved, fn func(Exhibit) error) error {
	return readStream(ctx, c, "/quarantine", s, fn)
}

// QuarantineStats implements Office.
func (c *client) QuarantineStats(ctx context.Context) (q QuarantineStats, err error) {
	err = c.call(ctx, "/quarantine/stats", struct{}{}, &q)
	return q, err
}

// ChangeQuarantine implements Office.
func (c *client) ChangeQuarantine(ctx context.Context, o QuarantineOrder, told func(Progress) error) error {
	return readStream(ctx, c, "/quarantine/change", o, told)
}
