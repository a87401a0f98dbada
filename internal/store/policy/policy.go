package policy

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"facteur/internal/mail/address"
)

// Category is what a letter is held for.
type Category string

// The categories, as amavis has them, the gravest first: a letter that is of several is
// treated as the first of them.
const (
	Virus     Category = "virus"
	Banned    Category = "banned"
	BadHeader Category = "bad_header"
	Spam      Category = "spam"
)

// Categories are all of them, the gravest first.
func Categories() []Category { return []Category{Virus, Banned, BadHeader, Spam} }

// Destiny is what is done with a letter of a category. There is no bounce: to a sender
// who proves nothing, it would be one more unwanted letter.
type Destiny string

// The destinies.
const (
	// Pass: it is delivered.
	Pass Destiny = "pass"
	// Reject: it is refused in the session, with 554.
	Reject Destiny = "reject"
	// Quarantine: it is accepted, and kept away from the mailbox.
	Quarantine Destiny = "quarantine"
	// Discard: it is accepted and not delivered; it is kept as with Quarantine, unless it
	// is above Cutoff.
	Discard Destiny = "discard"
)

// Destinies are all of them.
func Destinies() []Destiny { return []Destiny{Pass, Reject, Quarantine, Discard} }

const (
	// None, in a field with a text, is nothing, where an empty field inherits.
	None = "none"
	// Never is a level that no letter reaches; Always one that each has.
	Never, Always = 9999.0, -9999.0
	// priorityMax bounds priorities on both sides of 0.
	priorityMax = 1_000_000
	textMax     = 200 // bytes of a tag or a note
)

// Policy is what is wanted of the filter for some accounts. What is nil or empty it does
// not say: that comes from the policy that is next for the account, and in the end from
// the server's own.
type Policy struct {
	// Match is whom it is for: "." (everybody), "@.example.org" (that domain and all below
	// it), "@example.org", "user@example.org".
	Match string
	// Priority: of several that match, the greatest is asked first; of equal ones the one
	// that is for fewer.
	Priority int
	// Mark, Junk, Kill and Cutoff are scores; see Effective.
	Mark, Junk, Kill, Cutoff *float64
	// Destinies are those of some categories.
	Destinies map[Category]Destiny
	// SubjectTag is put before the subject of what goes to Junk; None for nothing.
	SubjectTag string
	// QuarantineTo is an address that gets what would be put into quarantine; None for the
	// shelf.
	QuarantineTo string
	// Notify are the categories of which the postmaster hears; None, alone, for none.
	Notify []string
	// Greylist, false: nobody has to come again for the sake of these accounts.
	Greylist *bool
	// Languages are those that are used there, as codes of two letters; None, alone, for any.
	Languages []string
	// TestOnly: what it says is only told, beside what holds without it; see Effective.Tried.
	// One that says that it is not has what it inherits from those on trial hold in earnest.
	TestOnly *bool
	// Source is where it stands; Policies sets it.
	Source Source
}

// Source is where something is declared: FromFile, FromDatabase or Builtin.
type Source string

// The sources. What the file says only the file takes away, and it goes before the
// database.
const (
	FromFile     Source = "file"
	FromDatabase Source = "database"
	Builtin      Source = "default"
)

// Effective is what holds for one account: every value, and where each comes from. It is
// shared between those who ask, and not to be changed.
type Effective struct {
	// Mark: from this score on a letter gets headers that tell its score. Junk: from this
	// one it goes to Junk, Kill: has its destiny, Cutoff: is not even kept in quarantine.
	Mark, Junk, Kill, Cutoff float64
	// Destinies has every category.
	Destinies map[Category]Destiny
	// SubjectTag is put before the subject of what goes to Junk; "" for nothing.
	SubjectTag string
	// QuarantineTo gets what would be put into quarantine; zero: the shelf has it.
	QuarantineTo address.Address
	// Notify are the categories of which the postmaster hears.
	Notify []Category
	// Greylist: a suspicious stranger may have to come again.
	Greylist bool
	// Languages are those that are used, as codes of two letters; none: any.
	Languages []string
	// TestOnly: a policy on trial is among those that say this. Tried is what would hold by
	// such policies; nil where none is for the account.
	TestOnly bool
	Tried    *Effective
	// Origins tell where each value comes from, by its key; see Keys.
	Origins map[string]Origin
}

// Origin is where a value comes from.
type Origin struct {
	// Match is whose policy says it; "" for the defaults.
	Match  string `json:"match,omitempty"`
	Source Source `json:"source"`
}

// Default is what holds where nothing is said: mark all, Junk from 5, refuse from 12.
func Default() Effective {
	return Effective{
		Mark: Always, Junk: 5, Kill: 12, Cutoff: Never, Greylist: true,
		Destinies: map[Category]Destiny{Virus: Quarantine, Banned: Quarantine, BadHeader: Pass, Spam: Reject},
	}
}

// Check tells what is wrong with a policy, naming the field, and gives it in the form in
// which it is kept.
func (p Policy) Check() (Policy, error) {
	match, err := CanonicalMatch(p.Match)
	if err != nil {
		return p, err
	}
	p.Match = match
	if p.Priority < -priorityMax || p.Priority > priorityMax {
		return p, fmt.Errorf("priority: expected a number between %d and %d", -priorityMax, priorityMax)
	}
	for _, f := range fields {
		if err := f.check(&p); err != nil {
			return p, &FieldError{f.key, err}
		}
	}
	for c := range p.Destinies {
		if !slices.Contains(Categories(), c) {
			return p, &FieldError{"destinies", fmt.Errorf("%q is no category; expected virus, banned, bad_header or spam", c)}
		}
	}
	return p, p.rises()
}

// FieldError is what is wrong with one thing that a policy says.
type FieldError struct {
	Key string
	Err error
}

// Error implements error.
func (e *FieldError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap implements error.
func (e *FieldError) Unwrap() error { return e.Err }

// rises refuses levels of which a lower one does more than a higher one. Those that a policy
// inherits are not looked at: they are others' business, and may change.
func (p *Policy) rises() error {
	said, at := "", 0.0
	for _, l := range []struct {
		key   string
		level *float64
	}{{"junk", p.Junk}, {"kill", p.Kill}, {"cutoff", p.Cutoff}} {
		switch {
		case l.level == nil:
			continue
		case said != "" && *l.level < at:
			return &FieldError{l.key, fmt.Errorf("%s is below %s = %s; expected levels that rise: junk, kill, cutoff", LevelText(*l.level), said, LevelText(at))}
		}
		said, at = l.key, *l.level
	}
	return nil
}

// IsEmpty tells that a policy says nothing.
func (p *Policy) IsEmpty() bool {
	return !slices.ContainsFunc(fields, func(f field) bool { return f.said(p) })
}

// copy is a policy that shares nothing with this one.
func (p Policy) copy() Policy {
	p.Destinies, p.Notify, p.Languages = maps.Clone(p.Destinies), slices.Clone(p.Notify), slices.Clone(p.Languages)
	return p
}

func checkLevel(l *float64) error {
	if l != nil && (math.IsNaN(*l) || *l < Always || *l > Never) {
		return fmt.Errorf("expected a score between %g and %g (\"never\")", Always, Never)
	}
	return nil
}

// checkText: it ends up in a header.
func checkText(s string) error {
	if len(s) > textMax {
		return fmt.Errorf("longer than %d bytes", textMax)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return errors.New("expected printable characters")
		}
	}
	return nil
}
