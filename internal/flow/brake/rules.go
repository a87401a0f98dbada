package brake

import (
	"slices"
	"strings"
	"time"

	"facteur/internal/store/brake"
)

// Track is what a Quota counts together.
type Track string

// The tracks.
const (
	Account Track = "account"
	Domain  Track = "domain" // all accounts of a domain
)

// Verdict is what happens beyond a Quota.
type Verdict string

// The verdicts.
const (
	Brake Verdict = "brake" // the account is braked; with Domain, whoever sends then
	Hold  Verdict = "hold"  // the letter is held; twice as much is told to come later
	Defer Verdict = "defer" // the letter is to come later
)

// Quota is a limit of what is sent.
type Quota struct {
	Name  string
	Track Track
	// Match are the accounts that it is for: addresses, "@example.org", or "." for all.
	Match []string
	Count brake.Kind
	// Period is a whole number of brake.Slot, a day at most; Limit is more than 0.
	Period  time.Duration
	Limit   int
	Verdict Verdict
	// Text is what a client is told that is to come later; "" is a general sentence.
	Text string
}

// matches tells whether a quota is for a name.
func (q *Quota) matches(name string) bool {
	_, domain, _ := strings.Cut(name, "@")
	return slices.ContainsFunc(q.Match, func(m string) bool {
		return m == "." || m == name || domain != "" && m == "@"+domain
	})
}

// tracked is under which name it counts what somebody sends; "" where it does not.
func (q *Quota) tracked(name string) string {
	if q.Track == Account {
		return name
	}
	if _, domain, ok := strings.Cut(name, "@"); ok {
		return "@" + domain
	}
	return ""
}

// most is the limit for an account, which may have one of its own.
func (q *Quota) most(own brake.Account) int {
	if q.Track == Account && q.Count == brake.Recipients && len(q.Match) == 1 && q.Match[0] == "." {
		switch {
		case q.Period == time.Hour && own.Hour > 0:
			return own.Hour
		case q.Period == 24*time.Hour && own.Day > 0:
			return own.Day
		}
	}
	return q.Limit
}

// Rules is what the admin set. A Rules is not changed once it is in use.
type Rules struct {
	Quotas []Quota
	// Level is at how many points of signs an account is braked.
	Level float64
	// Full numbers give all points of a sign, within an hour.
	First, FirstDomains, SameText, Networks int
	// Refuse tells clients of braked accounts to come later, where their mail is held
	// else; Text is what they are told.
	Refuse bool
	Text   string
	// HeldMost is how many recipients of a braked account are held in a day; what is
	// beyond is told to come later.
	HeldMost int
	// TestOnly tells who would be braked, and brakes nobody. Quotas hold.
	TestOnly bool
	// Countries knows where addresses are; nil: nobody knows.
	Countries *Countries
	// Cut ends the sessions of who is braked, SuspendApps has app passwords count no more,
	// and RefuseLogins lets nobody log in to send.
	Cut, SuspendApps, RefuseLogins bool
	// Notify are addresses that hear of a brake, beside owner and postmaster.
	Notify []string
	// Hostname and Home are for letters about it.
	Hostname, Home string
}

// reply is what who is to come later is told.
func reply(text string) string {
	if text == "" {
		return "too many messages from this account; try again later, or ask the postmaster"
	}
	return text
}
