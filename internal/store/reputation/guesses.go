package reputation

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"facteur/internal/base/limit"
)

// guesses remembers who asked for addresses that nobody has, to tell those who guess from
// those who mistype and from those who write to people who are gone. It is in memory only:
// after a restart, guessers begin anew.
//
// An address that was asked for by several clients who brought nothing else to anybody is
// a guessed name: that is how guesses look that are spread over many machines to stay
// below each trigger. One of a person who is gone is asked for by machines that bring
// other letters as well.
type guesses struct {
	mu      sync.Mutex
	most    int
	seed    maphash.Seed
	clients map[string]*guesser
	names   map[uint64]*guessed
}

// guesser is a client that asked for an unknown address.
type guesser struct {
	last    int64
	known   int                // recipients of ours that it named
	asked   [guessesMax]uint64 // different unknown addresses
	n       int
	counted int // guesses that were told of as offences
}

// guessed is an address that nobody has.
type guessed struct {
	last    int64
	clients hosts // who asked, and for nobody that is here
}

const (
	guessesMax = 24
	// guessHolds is how long a guess counts, in seconds.
	guessHolds = 7 * 24 * 60 * 60
	// guessFree is how many different unknown addresses are a client's own affair; and one
	// more for each few recipients of ours that it named.
	guessFree   = 5
	guessCredit = 5
	// guessedBy is how many clients make an unknown address a guessed name; who asked for
	// nothing but such names has only so many free.
	guessedBy  = 4
	guessAlone = 2
)

func newGuesses(most int) *guesses {
	return &guesses{most: min(most, 1<<14), seed: maphash.MakeSeed(), clients: make(map[string]*guesser), names: make(map[uint64]*guessed)}
}

// Greeted remembers that a client named a recipient who is here.
func (s *Store) Greeted(a netip.Addr) {
	g, sub := s.standings.guesses, Client(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.clients[sub.key]; c != nil { // of others there is nothing to make good for
		c.known = min(c.known+1, guessesMax*guessCredit)
	}
}

// Guessed remembers that a client asked for an address that nobody has, in its canonical
// form. Beyond what honest senders get wrong it is an offence; see Offend.
func (s *Store) Guessed(a netip.Addr, unknown string, spared bool) (Ban, bool) {
	sub := Client(a)
	if sub.key == "" {
		return Ban{}, false
	}
	e, _ := s.standings.ledgers[OfClient].look(sub.key, s.now().Unix())
	credit := int(e.good) / 2 // who brings good letters may mistype more often
	n := s.standings.guesses.note(sub.key, unknown, credit, s.now().Unix())
	if n == 0 {
		return Ban{}, false
	}
	return s.Offend(a, Guess, float64(n), spared)
}

// note notes a guess, and gives how many offences it makes.
func (g *guesses) note(client, unknown string, credit int, now int64) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.guesser(client, now)
	name := maphash.String(g.seed, unknown)
	for _, known := range c.asked[:c.n] {
		if known == name {
			return 0 // it tries the same letter again
		}
	}
	c.last = now
	if c.n == guessesMax {
		return 1
	}
	c.asked[c.n] = name
	c.n++
	g.noteName(client, name, c, credit, now)
	over := c.n - g.free(c, credit) - c.counted
	if over <= 0 {
		return 0
	}
	c.counted += over
	return over
}

// noteName notes who asked for a name. Who brings letters to people here is no witness.
func (g *guesses) noteName(client string, name uint64, c *guesser, credit int, now int64) {
	if c.known > 0 || credit > 0 {
		return
	}
	x := g.names[name]
	if x == nil || now-x.last > guessHolds {
		if x == nil && len(g.names) >= 4*g.most {
			delete(g.names, limit.Spare(g.names, func(x *guessed) int64 { return x.last }))
		}
		x = &guessed{}
		g.names[name] = x
	}
	x.last = now
	x.clients |= classOf(client)
}

// free is how many unknown addresses a client may ask for.
func (g *guesses) free(c *guesser, credit int) int {
	if c.known == 0 && credit == 0 && g.onlyGuessed(c) {
		return guessAlone
	}
	return guessFree + c.known/guessCredit + credit
}

// onlyGuessed tells a client that asked for nothing but guessed names.
func (g *guesses) onlyGuessed(c *guesser) bool {
	for _, name := range c.asked[:c.n] {
		if x := g.names[name]; x == nil || x.clients.count() < guessedBy {
			return false
		}
	}
	return c.n > 0
}

func (g *guesses) guesser(client string, now int64) *guesser {
	c := g.clients[client]
	switch {
	case c == nil && len(g.clients) >= g.most:
		delete(g.clients, limit.Spare(g.clients, func(c *guesser) int64 { return c.last }))
		fallthrough
	case c == nil, now-c.last > guessHolds:
		c = &guesser{}
		g.clients[client] = c
	}
	return c
}

func (g *guesses) forget(client string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.clients, client)
}
