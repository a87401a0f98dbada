package greylist

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Name is something by which a stranger is known when he comes again. It is one line.
type Name string

// Domain is the name of whoever proves to be from a domain, by SPF or DKIM.
func Domain(d string) Name { return Name("domain " + line(d)) }

// Host is the name of a sender in a network, of whom nothing is proven.
func Host(n netip.Prefix, sender string) Name { return Name("host " + n.String() + " " + line(sender)) }

// Farm is the name of a sender behind hosts whose confirmed names are in one domain.
func Farm(domain, sender string) Name { return Name("farm " + line(domain) + " " + line(sender)) }

// Network is the name that all strangers of a network share.
func Network(n netip.Prefix) Name { return Name("network " + n.String()) }

// Letter is the name of a letter, whoever brings it.
func Letter(messageID, sender string) Name {
	return Name("letter " + line(messageID) + " " + line(sender))
}

// IsLetter tells a Letter.
func (n Name) IsLetter() bool { return strings.HasPrefix(string(n), "letter ") }

// line keeps a name on its line, and short.
func line(s string) string { return clip(strings.ReplaceAll(s, " ", "_")) }

// State is what a stranger is at.
type State string

// The states.
const (
	Waiting State = "waiting"
	Passed  State = "passed"
)

// Entry is a stranger, as the recipients of one domain know him.
type Entry struct {
	ID    string `json:"key"`
	State State  `json:"state"`
	// To is the domain of the recipients, People some of them.
	To     string   `json:"to"`
	People []string `json:"recipients,omitempty"`
	Names  []Name   `json:"names"`
	// Network is what he counts in; Client is the machine of the last time, name[address].
	Network netip.Prefix `json:"network"`
	Client  string       `json:"client"`
	Sender  string       `json:"sender"`
	// Score is the highest suspicion.
	Score float64 `json:"score"`
	// Since is when he came first, Due from when on he may pass, Last when he came last,
	// Expires when he is forgotten.
	Since   time.Time `json:"since"`
	Due     time.Time `json:"due"`
	Last    time.Time `json:"last"`
	Expires time.Time `json:"expires"`
	// Tries is how often he came while he had to wait, Letters how many he brought since.
	Tries   int   `json:"tries"`
	Letters int   `json:"letters"`
	Size    int64 `json:"size"`

	// The same times, in seconds of the process's clock.
	since, due, last, expires int64
}

func (d *Draft) entry(now int64) *Entry {
	e := &Entry{State: Waiting, To: d.To, Names: slices.Clone(d.Names[:min(len(d.Names), namesMax)]), Network: d.Network,
		Client: clip(d.Client), Sender: clip(d.Sender), Score: d.Score, Tries: 1, Size: d.Size,
		since: now, due: now + seconds(d.Wait), last: now, expires: now + seconds(max(d.Window, d.Wait))}
	e.addPeople(d.People)
	e.ID = newID(e.To, e.Names[0])
	return e
}

// clone is an entry for others.
func (e *Entry) clone() Entry {
	out := *e
	out.Names, out.People = slices.Clone(e.Names), slices.Clone(e.People)
	return out
}

// tell is a clone with the times that people read.
func (s *Store) tell(e *Entry) Entry {
	out, shift := e.clone(), s.clock.shift()
	at := func(t int64) time.Time { return time.Unix(t+shift, 0).UTC() }
	out.Since, out.Due, out.Last, out.Expires = at(e.since), at(e.due), at(e.last), at(e.expires)
	return out
}

// Remaining is how long an entry that Look or Defer gave has to wait still; 0 or less means
// that he need not.
func (s *Store) Remaining(e Entry) time.Duration {
	return time.Duration(e.due-s.clock.now()) * time.Second
}

// Age is how long ago its stranger came first.
func (s *Store) Age(e Entry) time.Duration {
	return time.Duration(s.clock.now()-e.since) * time.Second
}

// Entries are all, those who came last first.
func (s *Store) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now()
	out := make([]Entry, 0, len(s.entries))
	for _, e := range s.entries {
		if e.expires > now {
			out = append(out, s.tell(e))
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Entry finds one by its ID, or by the beginning of it that only one has.
func (s *Store) Entry(id string) (found Entry, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		return s.tell(e), true
	}
	for have, e := range s.entries {
		if id != "" && strings.HasPrefix(have, id) {
			if ok {
				return Entry{}, false
			}
			found, ok = s.tell(e), true
		}
	}
	return found, ok
}

// Release lets a stranger in the next time that he comes.
func (s *Store) Release(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.State != Waiting {
		return false
	}
	e.due = s.clock.now()
	s.changed.Touch(id)
	return true
}

// Forget makes a stranger one of whom nothing is known.
func (s *Store) Forget(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e != nil {
		s.remove(e)
	}
	return e != nil
}
