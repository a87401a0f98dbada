package dkimkey

import (
	"slices"
	"time"
)

// Sight is what the DNS showed of a key's record.
type Sight uint8

// The sights. The zero value changes nothing.
const (
	// Unknown: a name server did not answer, or nobody was asked.
	Unknown Sight = iota
	// Missing: a name server says that the record is not there, or has another key.
	Missing
	// Seen: all name servers asked have the record.
	Seen
)

// Times are how long a key stays in a state.
type Times struct {
	// Settle is how long a record has been seen before its key takes over from one that
	// signs; where none does, it signs at once.
	Settle time.Duration
	// Retire is how long the record of a key that signs no more is needed.
	Retire time.Duration
}

// Change is one step of a key's life.
type Change struct {
	Key  Key // as it is now
	From State
}

// step is the ring after what was seen, and what has changed in it. It looks at nothing
// but what it is given.
func (r Ring) step(seen map[string]Sight, times Times, now time.Time) (Ring, []Change) {
	next := slices.Clone(r)
	var changes []Change
	to := func(i int, s State) {
		changes = append(changes, Change{From: next[i].State})
		next[i].State, next[i].Since = s, now
		changes[len(changes)-1].Key = next[i]
	}
	for i := range next {
		k := &next[i]
		switch sight := seen[k.Selector]; {
		case k.State == Made && sight == Seen && k.Private != nil:
			to(i, Published)
		case k.State == Published && sight == Missing:
			to(i, Made)
		case k.State == Retiring && now.Sub(k.Since) >= times.Retire:
			to(i, Retired)
		}
	}
	for i := range next {
		k := &next[i]
		if k.State != Published || k.Private == nil || next.has(k.Algorithm, Active) && now.Sub(k.Since) < times.Settle {
			continue
		}
		next.relieve(i, to)
	}
	return next, changes
}

// relieve lets one key sign in the place of the others of its algorithm.
func (r Ring) relieve(i int, to func(int, State)) {
	for j := range r {
		if j != i && r[j].State == Active && r[j].Algorithm == r[i].Algorithm {
			to(j, Retiring)
		}
	}
	to(i, Active)
}
