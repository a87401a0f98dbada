package replay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"facteur/internal/flow/filter"
	"facteur/internal/mail/address"
	"facteur/internal/mail/message"
)

// Place is where people have a letter.
type Place string

// The places.
const (
	Kept  Place = "kept"       // in a mailbox that is not for spam
	Junk  Place = "junk"       // in the junk folder
	Shelf Place = "quarantine" // in quarantine
)

// Letter is one to be judged again.
type Letter struct {
	// Account has it; Name says where, for people: "INBOX/12", an ID of the quarantine.
	Account, Name string
	Place         Place
	Received      time.Time
	// Keywords are those of the mailbox.
	Keywords []string
	// Sender is that of the envelope, where no Return-Path says it.
	Sender address.Address
	// Text is the letter as it is stored.
	Text []byte
}

// Judge judges letters again. It belongs to one goroutine.
type Judge struct {
	// Filter is the one that is tried. Its checks see the letter, and nobody is asked.
	Filter *filter.Filter
	// Asked, unless nil, judges in the place of Filter, with all checks, and the DNS is asked
	// as it is today.
	Asked *filter.Filter
	// Hostname is the server's name in trace fields.
	Hostname string
	// Anew tells remarks, by their names, that the checks of Filter make anew.
	Anew func(name string) bool
	// Family is the check that makes a remark; "" if it is not known.
	Family func(name string) string
}

// Kind is how a fate would change.
type Kind string

// The kinds, the worst first.
const (
	// FalsePositive: a letter that is kept outside of Junk would be junk, or worse.
	FalsePositive Kind = "false_positive"
	// Missed: a letter in Junk or quarantine would pass.
	Missed Kind = "missed"
	// Same: nothing changes.
	Same Kind = "same"
)

// Finding is what a letter would be.
type Finding struct {
	Account  string    `json:"account"`
	Letter   string    `json:"letter"`
	Received time.Time `json:"received"`
	From     string    `json:"from"`
	Subject  string    `json:"subject"`
	Kind     Kind      `json:"kind"`
	// Weight is 2 where a keyword of the letter is a person's word on it.
	Weight int `json:"weight"`
	// Elsewhere: it is not where its header says that the filter had it. A person may have
	// moved it, but so may a list, a policy or the want of a junk folder.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Before is where it is, After what would become of it; Because says why.
	Before  Place              `json:"before"`
	After   filter.Disposition `json:"after"`
	Because string             `json:"because,omitempty"`
	Score   float64            `json:"score"`
	// Then is its score when it came, if it had one.
	Then *float64 `json:"score_then,omitempty"`
	// Remarks are the strongest ones.
	Remarks []Row `json:"remarks"`

	trace Trace
	fate  filter.Fate
}

// Row is a remark and what it counts for.
type Row struct {
	Name     string  `json:"name"`
	Counts   float64 `json:"counts"`
	Test     bool    `json:"test_only,omitempty"`
	Sentence string  `json:"sentence,omitempty"`
}

// strongest is how many remarks a Finding tells.
const strongest = 3

// headerMost is how much of a letter may be its header, in bytes.
const headerMost = 4 << 20

// ErrOwn is for letters of our own users, which are not scored.
var ErrOwn = errors.New("it is a letter of a user of ours")

// Judge judges a letter.
func (j *Judge) Judge(ctx context.Context, l *Letter) (f Finding, err error) {
	whole, _, err := message.ReadHeader(bytes.NewReader(l.Text), headerMost)
	if err != nil && !errors.Is(err, message.ErrHeaderTooLong) {
		return f, err
	}
	cut := err != nil
	trace := ReadTrace(whole, j.Hostname)
	if trace.Own {
		return f, ErrOwn
	}
	if trace.Sender.IsNull() {
		trace.Sender = l.Sender
	}
	header := whole[trace.Size:]
	about, err := aboutOf(l, &trace)
	if err != nil {
		return f, err
	}
	c, v := j.open(ctx, about, header, cut, &trace)
	if c == nil {
		return f, errors.New("nothing is found out about letters of its client")
	}
	defer c.Close()
	o := c.Weigh(ctx, v, about.Recipients, l.Name)
	if err := ctx.Err(); err != nil {
		return f, err // what was cut short is no finding
	}
	return j.finding(l, header, trace, o.Fates[0], v), nil
}

// aboutOf is a letter as the filter sees it: below what we wrote above it.
func aboutOf(l *Letter, t *Trace) (filter.Letter, error) {
	account, err := address.Parse(l.Account)
	if err != nil {
		return filter.Letter{}, fmt.Errorf("%s: %w", l.Account, err)
	}
	text := l.Text[t.Size:]
	return filter.Letter{Client: t.Client, Service: "smtp", Sender: t.Sender, Recipients: []filter.Recipient{{Address: account, Account: account.Key()}},
		Message: bytes.NewReader(text), Size: int64(len(text)), Now: l.Received}, nil
}

// open judges by what was known, or asks anew.
func (j *Judge) open(ctx context.Context, about filter.Letter, h message.Header, cut bool, t *Trace) (*filter.Case, filter.Verdict) {
	if j.Asked == nil {
		past := filter.Past{Evidence: t.evidence(h), Remarks: j.carried(t)}
		past.Verdict = t.verdict(&past.Evidence)
		return j.Filter.Again(ctx, about, h, cut, past)
	}
	c := j.Asked.Open(ctx, nil, about)
	if c == nil {
		return nil, filter.Verdict{}
	}
	c.Addressed(about.Recipients)
	if w := c.Read(h, cut); w != nil {
		io.Copy(w, io.NewSectionReader(about.Message, int64(len(h)), about.Size-int64(len(h))))
	}
	c.Holds(about.Message, about.Size)
	return c, c.Judge(ctx)
}

// carried are remarks of then that are not made anew. They were clipped then, and scaled:
// a score that is set now holds instead.
func (j *Judge) carried(t *Trace) (out []filter.Remark) {
	for _, test := range t.Tests {
		if !j.Anew(test.Name) {
			out = append(out, filter.Remark{Check: cmp.Or(j.Family(test.Name), test.Name), Name: test.Name, Score: test.Counts, Sentence: "So it was found when the letter came."})
		}
	}
	if t.Infected != "" { // scanners are not asked anew
		out = append(out, filter.Remark{Check: "scanner", Name: "virus", Category: filter.Virus, Sentence: "When the letter came: " + t.Infected + "."})
	}
	return out
}

func (j *Judge) finding(l *Letter, h message.Header, t Trace, fate filter.Fate, v filter.Verdict) Finding {
	f := Finding{Account: l.Account, Letter: l.Name, Received: l.Received, From: message.DecodeText(h.Get("From")), Subject: message.DecodeText(h.Get("Subject")),
		Before: l.Place, After: fate.Disposition, Because: fate.Because, Score: fate.Tally.Score, Weight: 1, Remarks: []Row{}, trace: t, fate: fate}
	if t.Scored {
		then := t.Score
		f.Then = &then
	}
	if v.Reply != nil {
		f.After, f.Because = v.Disposition, v.Because
	}
	passes := f.After == filter.Accept
	switch {
	case l.Place == Kept && !passes:
		f.Kind = FalsePositive
	case l.Place != Kept && passes:
		f.Kind = Missed
	default:
		f.Kind = Same
	}
	if told(l) {
		f.Weight = 2
	}
	f.Elsewhere = t.Scored && l.Place != Shelf && t.Spam != (l.Place == Junk)
	for _, r := range fate.Tally.Weightiest() {
		if len(f.Remarks) < strongest && r.Name != "" && (r.Counts != 0 || r.Test || r.Category != "") {
			f.Remarks = append(f.Remarks, Row{r.Name, r.Counts, r.Test, r.Sentence})
		}
	}
	return f
}

// told tells that somebody said what the letter is: his mail program left a keyword.
func told(l *Letter) bool {
	words := map[Place][]string{Kept: {"$NotJunk", "NonJunk", "NotJunk"}, Junk: {"$Junk", "Junk"}}[l.Place]
	return slices.ContainsFunc(l.Keywords, func(k string) bool { return slices.ContainsFunc(words, func(w string) bool { return equal(k, w) }) })
}
