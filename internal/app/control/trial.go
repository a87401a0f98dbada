package control

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/flow/learn"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// MaxTrial is the largest letter that is tried, in bytes.
const MaxTrial = 32 << 20

// LetterTrial asks what the filter makes of a letter, as if a stranger handed it over now.
type LetterTrial struct {
	Text []byte `json:"text"`
	// Addr, Name and Helo are of the host; the zero Addr: nothing is known of it.
	Addr netip.Addr `json:"addr,omitzero"`
	Name string     `json:"name,omitempty"`
	Helo string     `json:"helo,omitempty"`
	// Sender is MAIL FROM, "" in notices. To are recipients, Account the one whose filter
	// judges; "" the server's.
	Sender  string   `json:"sender,omitempty"`
	To      []string `json:"to,omitempty"`
	Account string   `json:"account,omitempty"`
}

// Weighed is what the filter makes of a letter.
type Weighed struct {
	// Closed: no server runs that could tell, and the rest is empty.
	Closed bool `json:"closed,omitempty"`
	// Off: the filter is switched off, and this is what it would say.
	Off      bool               `json:"off,omitempty"`
	Score    float64            `json:"score"`
	Required float64            `json:"required"`
	Fate     filter.Disposition `json:"fate"`
	Category filter.Category    `json:"category,omitempty"`
	Because  string             `json:"because,omitempty"`
	Reply    string             `json:"reply,omitempty"`
	Evidence []Weight           `json:"evidence"`
	// Fields are what would stand above the letter.
	Fields string `json:"fields,omitempty"`
}

// Weight is a row of the table of evidence.
type Weight struct {
	Name     string  `json:"name"`
	Check    string  `json:"check"`
	Score    float64 `json:"score"`
	Counts   float64 `json:"counts"`
	Weight   string  `json:"weight"`
	Note     string  `json:"note,omitempty"`
	Sentence string  `json:"sentence"`
	Cost     float64 `json:"cost_ms"`
}

// Trying says who tries letters; it is for the server.
func (s *Stores) Trying(try func(context.Context, LetterTrial) (Weighed, error)) *Stores {
	s.try = try
	return s
}

// TryLetter implements Office.
func (s *Stores) TryLetter(ctx context.Context, t LetterTrial) (Weighed, error) {
	if s.try == nil {
		return Weighed{Closed: true}, nil
	}
	return s.try(ctx, t)
}

// TryLetter implements Office.
func (c *client) TryLetter(ctx context.Context, t LetterTrial) (w Weighed, err error) {
	err = c.call(ctx, "/filter/test", t, &w)
	return w, err
}

// asItCame is the letter without what the server of a name wrote above it when it came: the
// filter saw it without.
func (t *LetterTrial) asItCame(hostname string) []byte {
	h := message.Header(t.Text[:message.HeaderEnd(t.Text)])
	return t.Text[len(learn.Trace(h, hostname)):]
}

// By has a filter look at the letter.
func (t LetterTrial) By(ctx context.Context, f *filter.Filter) (w Weighed, err error) {
	l := filter.Letter{Client: filter.Client{Addr: t.Addr.Unmap(), Name: t.Name, Helo: t.Helo}, Service: "smtp"}
	if t.Sender != "" {
		if l.Sender, err = address.Parse(t.Sender); err != nil {
			return w, fmt.Errorf("sender: %q: %w", t.Sender, err)
		}
	}
	to, account := t.To, ""
	if t.Account != "" {
		a, err := address.Parse(t.Account)
		if err != nil {
			return w, fmt.Errorf("account: %q: %w", t.Account, err)
		}
		account = a.Key()
	}
	if len(to) == 0 && account != "" {
		to = []string{account}
	}
	for _, text := range to {
		a, err := address.Parse(text)
		if err != nil {
			return w, fmt.Errorf("recipient: %q: %w", text, err)
		}
		l.Recipients = append(l.Recipients, filter.Recipient{Address: a, Account: account})
	}
	text := t.asItCame(f.Rules().Hostname)
	trial, err := f.Try(ctx, l, bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return w, err
	}
	w = weighedBy(&trial)
	w.Off = !f.Rules().Scores()
	return w, nil
}

// weighedBy puts together what came of a trial.
func weighedBy(t *filter.Trial) Weighed {
	o, fate := &t.Outcome, t.Outcome.Shown
	if len(o.Fates) > 0 {
		fate = o.Fates[0]
	}
	w := Weighed{Score: fate.Tally.Score, Required: fate.Wants.Junk, Fate: fate.Disposition, Category: fate.Category, Because: fate.Because,
		Fields: t.Fields, Evidence: []Weight{}}
	if o.Reply != nil {
		w.Reply = o.Reply.Error()
	}
	if v := &t.Verdict; v.Reply != nil {
		w.Fate, w.Because, w.Reply = v.Disposition, v.Because, v.Reply.Error()
	}
	for _, r := range fate.Tally.Weightiest() {
		w.Evidence = append(w.Evidence, Weight{cmp.Or(r.Name, "-"), r.Check, r.Score, r.Counts, r.Weight(), r.Note, r.Sentence, float64(r.Cost) / float64(time.Millisecond)})
	}
	return w
}
