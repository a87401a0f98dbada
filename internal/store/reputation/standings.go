package reputation

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

// standings is the part of a Store about who sends good mail and who does not.
type standings struct {
	ledgers [kinds]*ledger
	guesses *guesses
	fares   *fares
}

// MaxSubjects bounds each of the tables in memory and on disk; some 12 MB when one is
// full.
const MaxSubjects = 1 << 16

func newStandings(most int) standings {
	var s standings
	for k := range kinds {
		s.ledgers[k] = newLedger(k, most)
	}
	s.guesses, s.fares = newGuesses(most), newFares()
	return s
}

// Origin is where a letter comes from, as far as that can't be forged.
type Origin struct {
	Client netip.Addr
	// Domains proved that it is from them; Sender is the zero Subject unless one of them
	// is his.
	Domains []string
	Sender  Subject
}

// subjects are those who answer for a letter.
func (o Origin) subjects() []Subject {
	all := []Subject{Client(o.Client), o.Sender}
	for _, d := range o.Domains {
		if s := Proven(d); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return slices.DeleteFunc(all, func(s Subject) bool { return s == Subject{} })
}

// Sent remembers a letter that was judged; weight is 1, or less where the judgement is
// not beyond doubt.
func (s *Store) Sent(o Origin, spam bool, weight float64) {
	now := s.now().Unix()
	for _, sub := range o.subjects() {
		s.standings.ledgers[sub.kind].change(sub.key, now, func(e *entry) { e.letter(spam, weight, now) })
	}
	s.noteHost(o.Client, spam, now)
}

// noteHost notes in the record of a network that one of its hosts sent something: hosts
// are counted there and not letters, so that one host is one, whatever it sends.
func (s *Store) noteHost(a netip.Addr, bad bool, now int64) {
	net, host := Network(a), Client(a)
	if net.key == "" {
		return
	}
	s.standings.ledgers[OfNetwork].change(net.key, now, func(e *entry) {
		e.last = max(e.last, now)
		if e.letters = min(e.letters+1, lettersMax); bad {
			e.spam = min(e.spam+1, lettersMax)
			e.badHosts |= classOf(host.key)
			return
		}
		e.goodHosts |= classOf(host.key)
	})
}

func classOf(host string) hosts {
	h := fnv.New64a()
	h.Write([]byte(host))
	sum := h.Sum64()
	return 1 << ((sum ^ sum>>32) % 64)
}

// Taught corrects what was remembered of a letter, as somebody who read it says what it
// is.
func (s *Store) Taught(o Origin, spam bool) {
	now := s.now().Unix()
	for _, sub := range o.subjects() {
		s.standings.ledgers[sub.kind].change(sub.key, now, func(e *entry) { e.turn(spam) })
	}
	if !spam {
		s.Fared(s.ClassOf(o), Released)
	}
}

// Offend remembers an offence of a client, some times as grave as usual (1). spared: it
// is remembered, and no ban follows. ban is the one that it led to.
func (s *Store) Offend(a netip.Addr, o Offence, times float64, spared bool) (ban Ban, banned bool) {
	sub := Client(a)
	if sub.key == "" {
		return Ban{}, false
	}
	now := s.now().Unix()
	s.standings.ledgers[OfClient].change(sub.key, now, func(e *entry) {
		banned = e.offend(o, weights[o]*times, spared, now)
		ban = e.asBan(sub)
	})
	if o != Hasty {
		s.noteHost(a, true, now)
	}
	return ban, banned
}

// Ban is somebody who is refused for some time.
type Ban struct {
	Subject Subject   `json:"subject"`
	Until   time.Time `json:"until"`
	Why     Offence   `json:"why"`
	// Times is how many bans there were lately, this one included.
	Times int `json:"times"`
}

func (e *entry) asBan(sub Subject) Ban {
	return Ban{Subject: sub, Until: time.Unix(e.until, 0), Why: e.why, Times: int(e.step)}
}

// What tells what the ban is for, in the middle of a sentence.
func (b Ban) What() string { return b.Why.what() }

// Banned tells whether a client is banned now, itself or its network.
func (s *Store) Banned(a netip.Addr) (Ban, bool) {
	now := s.now().Unix()
	for _, sub := range []Subject{Client(a), Network(a)} {
		if e, known := s.standings.ledgers[sub.kind].look(sub.key, now); known && e.until > now {
			return e.asBan(sub), true
		}
	}
	return Ban{}, false
}

// IsWellKnown tells somebody who brings much good mail, and little else.
func (s *Store) IsWellKnown(sub Subject) bool {
	if sub.key == "" {
		return false
	}
	now := s.now().Unix()
	e, known := s.standings.ledgers[sub.kind].look(sub.key, now)
	return known && e.until <= now && e.isWellKnown()
}

// BanByHand bans a client or a network, by the admin's word.
func (s *Store) BanByHand(sub Subject, length time.Duration) (ban Ban) {
	now := s.now().Unix()
	s.standings.ledgers[sub.kind].change(sub.key, now, func(e *entry) {
		e.told[ByHand]++
		e.ban(ByHand, length, now)
		ban = e.asBan(sub)
	})
	return ban
}

// Forgive forgets all that is known of somebody, and tells whether that was anything.
func (s *Store) Forgive(sub Subject) bool {
	there := s.standings.ledgers[sub.kind].forget(sub.key)
	if p := sub.Prefix(); p.IsValid() {
		s.standings.guesses.forget(sub.key)
	}
	return there
}

// Bans are those in force that others may enforce as well, the one that ends last first.
// Networks are among them by the admin's word only: who is spared in a network is known
// here and not elsewhere.
func (s *Store) Bans() (out []Ban) {
	now := s.now().Unix()
	for _, k := range []Kind{OfClient, OfNetwork} {
		s.standings.ledgers[k].each(now, func(key string, e *entry) {
			if e.until > now && (k == OfClient || e.why == ByHand) {
				out = append(out, e.asBan(Subject{k, key}))
			}
		})
	}
	slices.SortFunc(out, func(a, b Ban) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Subject.key, b.Subject.key))
	})
	return out
}

// Record is what is known of somebody.
type Record struct {
	Subject Subject `json:"subject"`
	Kind    string  `json:"kind"`
	// Since is when the first thing was heard of him, Last when the last.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Letters came since then, Spam of them are. For a network, those of all its hosts.
	Letters int `json:"letters"`
	Spam    int `json:"spam"`
	// Good and Bad are what of that still counts: half of it is forgotten in 30 days. For a
	// network, they are numbers of hosts.
	Good float64 `json:"good"`
	Bad  float64 `json:"bad"`
	// Offences are how many there were of each kind.
	Offences map[string]int `json:"offences,omitempty"`
	// Bans is how many there were lately; BannedUntil is zero without one now.
	Bans        int       `json:"bans"`
	BannedUntil time.Time `json:"banned_until,omitzero"`
	Why         string    `json:"why,omitempty"`
}

func (e *entry) record(sub Subject, now int64) Record {
	r := Record{Subject: sub, Kind: sub.kind.String(), Since: time.Unix(e.since, 0), Last: time.Unix(e.last, 0),
		Letters: int(e.letters), Spam: int(e.spam), Good: e.good, Bad: e.bad, Bans: int(e.step)}
	if sub.kind == OfNetwork {
		bad := e.badHosts | e.badBefore
		r.Good, r.Bad = float64(((e.goodHosts | e.goodBefore) &^ bad).count()), float64(bad.count())
	}
	for o, n := range e.told {
		if n > 0 {
			if r.Offences == nil {
				r.Offences = make(map[string]int)
			}
			r.Offences[Offence(o).String()] = int(n)
		}
	}
	if e.until > now {
		r.BannedUntil, r.Why = time.Unix(e.until, 0), e.why.String()
	}
	return r
}

// Record is what is known of somebody; known is false for a stranger.
func (s *Store) Record(sub Subject) (r Record, known bool) {
	if sub.key == "" {
		return Record{}, false
	}
	now := s.now().Unix()
	e, known := s.standings.ledgers[sub.kind].look(sub.key, now)
	if !known {
		return Record{}, false
	}
	return e.record(sub, now), true
}

// Records are all of a kind, the worst first.
func (s *Store) Records(k Kind) (out []Record) {
	now := s.now().Unix()
	s.standings.ledgers[k].each(now, func(key string, e *entry) { out = append(out, e.record(Subject{k, key}, now)) })
	slices.SortFunc(out, func(a, b Record) int {
		return cmp.Or(b.BannedUntil.Compare(a.BannedUntil), cmp.Compare(b.Bans, a.Bans), cmp.Compare(b.Bad, a.Bad), cmp.Compare(b.Letters, a.Letters),
			cmp.Compare(a.Subject.key, b.Subject.key))
	})
	return out
}
