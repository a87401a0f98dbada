package policy

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"facteur/internal/mail/address"
)

// Kind is what an entry of a list does.
type Kind string

// The kinds.
const (
	// Allow: what the content tells does not count against the letter. It says nothing of
	// viruses and banned files.
	Allow Kind = "allow"
	// Block: the letter is spam.
	Block Kind = "block"
	// Soft: its score is added (amavis' score_sender).
	Soft Kind = "score"
)

// Entry is a sender on somebody's list.
type Entry struct {
	// Match is whose list it is, as in Policy.
	Match string
	// Sender is an address, "@example.net", or "@.example.net" for that domain and all
	// below it; "" is anybody from Network.
	Sender string
	// Network, if valid, is where the letter has to come from.
	Network netip.Prefix
	Kind    Kind
	// Score is that of a Soft entry.
	Score float64
	// Priority: the greatest of several decides.
	Priority int
	// Until is when it ends; zero: when it is removed.
	Until time.Time
	// Note is for people.
	Note string
	// Added is when, if it is in the database, and Source where it stands.
	Added  time.Time
	Source Source
}

// ParseSender reads what an entry names, from one word: an address, "@domain", "@.domain",
// an IP address, a network, or one of the first three with "[network]" behind it:
// "@example.net[192.0.2.0/24]".
func ParseSender(s string) (sender string, network netip.Prefix, err error) {
	if name, rest, found := strings.Cut(s, "["); found && name != "" && strings.HasSuffix(rest, "]") && !strings.HasSuffix(name, "@") {
		if network, err = parseNetwork(strings.TrimSuffix(rest, "]")); err != nil {
			return "", network, err
		}
		s = name
	} else if network, err := parseNetwork(s); err == nil {
		return "", network, nil
	}
	sender, err = canonicalSender(s)
	return sender, network, err
}

func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q: expected an address, @domain, @.domain or a network", s)
	}
	return p.Masked(), nil
}

// canonicalSender is a sender in the form that is compared.
func canonicalSender(s string) (string, error) {
	if strings.HasPrefix(s, "@") {
		return canonicalPlace(s)
	}
	a, err := address.Parse(s)
	if err != nil || a.Domain == "" {
		return "", fmt.Errorf("%q: expected an address, @domain, @.domain or a network", s)
	}
	return a.Key(), nil
}

// Check tells what is wrong with an entry, and gives it in the form in which it is kept.
func (e Entry) Check() (Entry, error) {
	var err error
	if e.Match, err = CanonicalMatch(e.Match); err != nil {
		return e, err
	}
	if e.Sender == "" && !e.Network.IsValid() {
		return e, errors.New("expected a sender or a network")
	}
	if e.Sender != "" {
		if e.Sender, err = canonicalSender(e.Sender); err != nil {
			return e, err
		}
	}
	if e.Network.IsValid() {
		e.Network = e.Network.Masked()
	}
	switch {
	case e.Kind != Allow && e.Kind != Block && e.Kind != Soft:
		return e, fmt.Errorf("%q: expected allow, block or score", e.Kind)
	case e.Kind == Soft && (math.IsNaN(e.Score) || math.Abs(e.Score) > softMost || e.Score == 0):
		return e, fmt.Errorf("score: expected one between -%g and %g, and not 0", float64(softMost), float64(softMost))
	case e.Kind != Soft && e.Score != 0:
		return e, fmt.Errorf("score: is for entries that neither allow nor block")
	case e.Priority < -priorityMax || e.Priority > priorityMax:
		return e, fmt.Errorf("priority: expected a number between %d and %d", -priorityMax, priorityMax)
	}
	if err := checkText(e.Note); err != nil {
		return e, fmt.Errorf("note: %w", err)
	}
	return e, nil
}

// softMost bounds the score of one entry.
const softMost = 100

// What is what an entry names, as ParseSender reads it.
func (e *Entry) What() string {
	switch {
	case !e.Network.IsValid():
		return e.Sender
	case e.Sender == "":
		return e.Network.String()
	}
	return e.Sender + "[" + e.Network.String() + "]"
}

// over tells that an entry has ended.
func (e *Entry) over(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// goes tells whether an entry goes before another that names the same letter.
func (e *Entry) goes(other *Entry) bool {
	if e.Priority != other.Priority {
		return e.Priority > other.Priority
	}
	if a, b := breadth(e.Match), breadth(other.Match); a != b {
		return a < b
	}
	if a, b := e.reach(), other.reach(); a != b {
		return a < b
	}
	return e.Kind == Allow && other.Kind != Allow
}

// reach orders entries by how many senders they name.
func (e *Entry) reach() int {
	if e.Network.IsValid() {
		return 2*breadth(e.Sender) - 1
	}
	return 2 * breadth(e.Sender)
}

// From is where a letter comes from.
type From struct {
	// Client is the host that brought it; invalid where there was none.
	Client netip.Addr
	// Senders are whom it names: its reverse-path, its author.
	Senders []Sender
}

// Sender is an address that a letter comes from, as it says.
type Sender struct {
	Address address.Address
	// Forged: it is known not to be from there (SPF or DMARC failed). What allows this
	// sender does not hold; what blocks it does.
	Forged bool
}

// Listing is what the lists say of a letter for an account.
type Listing struct {
	// Kind is Allow, Block, or "" where no list decides; By is the entry that decides.
	Kind Kind
	By   Entry
	// Score is the sum of Soft, the entries that add to the score.
	Score float64
	Soft  []Entry
}
