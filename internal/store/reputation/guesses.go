package reputation

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"

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

// guesser is a client that asked for an unknown address, or all clients of a network that
// bring little else.
type guesser struct {
	last    int64
	by      hosts              // of a network: who asked
	known   int                // recipients of ours that it named
	asked   [guessesMax]uint64 // different unknown addresses, the first of them
	n       int                // how many there were
	counted int                // guesses that were told of as offences
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
	// guessAround is how many different unknown addresses a network may ask for, beside
	// those of clients that bring letters to people here.
	guessAround = 20
	// networkBan is the longest ban of a network for guesses: there may be others in it.
	networkBan = 6 * time.Hour
)

func newGuesses(most int) *guesses {
	return &guesses{most: min(most, 1<<14), seed: maphash.MakeSeed(), clients: make(map[string]*guesser), names: make(map[uint64]*guessed)}
}

// Greeted remembers that a client named a recipient who is here.
func (s *Store) Greeted(a netip.Addr) {
	g := s.standings.guesses
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, sub := range []Subject{Client(a), Network(a)} {
		if c := g.clients[sub.key]; c != nil { // of others there is nothing to make good for
			c.known = min(c.known+1, guessesMax*guessCredit)
		}
	}
}

// Guessed remembers that a client asked for an address that nobody has, in its canonical
// form. Beyond what honest senders get wrong it is an offence; see Offend.
func (s *Store) Guessed(a netip.Addr, unknown string, spared bool) (ban Ban, banned bool) {
	sub := Client(a)
	if sub.key == "" {
		return Ban{}, false
	}
	e, _ := s.standings.ledgers[OfClient].look(sub.key, s.now().Unix())
	credit := int(e.good) / 2 // who brings good letters may mistype more often
	n, around := s.standings.guesses.note(a, unknown, credit, s.now().Unix())
	if n > 0 {
		ban, banned = s.Offend(a, Guess, float64(n), spared)
	}
	if around > 0 {
		if wide, too := s.offendAround(a, float64(around), spared); too {
			return wide, true
		}
	}
	return ban, banned
}

// offendAround has a network offend that guesses beyond what is its own: its machines take
// turns, each below what a client may get wrong. A network from which anything good came
// within the last months has others in it, and is left alone.
func (s *Store) offendAround(a netip.Addr, times float64, spared bool) (ban Ban, banned bool) {
	net, now := Network(a), s.now().Unix()
	s.standings.ledgers[OfNetwork].change(net.key, now, func(e *entry) {
		banned = e.offend(Guess, weights[Guess]*times, spared || e.goodHosts|e.goodBefore != 0, now)
		if banned {
			e.until = min(e.until, now+int64(networkBan/time.Second))
		}
		ban = e.asBan(net)
	})
	return ban, banned
}

// note notes a guess, and gives how many offences it makes of the client, and of the
// network around it.
func (g *guesses) note(a netip.Addr, unknown string, credit int, now int64) (n, around int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	client, name := Client(a).key, maphash.String(g.seed, unknown)
	c := g.guesser(client, now)
	if fresh := c.ask(name, now); fresh {
		g.noteName(client, name, c, credit, now)
		n = c.over(g.free(c, credit))
	}
	if credit > 0 || c.known > c.n {
		return n, 0
	}
	w := g.guesser(Network(a).key, now)
	w.by |= classOf(client)
	if fresh := w.ask(name, now); fresh && w.by.count() >= guessedBy {
		around = w.over(guessAround + w.known)
	}
	return n, around
}

// ask notes an address, and tells whether it is another one than before: the same again is
// the same letter once more.
func (c *guesser) ask(name uint64, now int64) (fresh bool) {
	if slices.Contains(c.asked[:min(c.n, guessesMax)], name) {
		return false
	}
	c.last = now
	if c.n < guessesMax {
		c.asked[c.n] = name
	}
	c.n++
	return true
}

// over is how many addresses are beyond those that are free and were not told of before.
func (c *guesser) over(free int) int {
	over := max(c.n-free-c.counted, 0)
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
	for _, name := range c.asked[:min(c.n, guessesMax)] {
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
