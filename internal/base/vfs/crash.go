package vfs

import (
	"math/rand/v2"
	"sort"
)

// slot names a place without what stands in it.
type slot struct {
	dir  *node
	name string
}

// settle makes the wanted pending changes durable, and those before them that
// they build on.
func (m *Mem) settle(want func(change) bool) {
	wanted := m.closure(want)
	var rest []change
	for i, c := range m.pending {
		if wanted[i] {
			apply(c)
		} else {
			rest = append(rest, c)
		}
	}
	m.pending = rest
}

// closure marks what want chooses, and all earlier changes of the same files
// and places, without which the chosen ones would not make sense.
func (m *Mem) closure(want func(change) bool) []bool {
	marked := make([]bool, len(m.pending))
	trail := newTrail()
	for i := len(m.pending) - 1; i >= 0; i-- {
		c := m.pending[i]
		if want(c) || trail.meets(c) {
			marked[i] = true
			trail.add(c)
		}
	}
	return marked
}

// apply writes a change into what the disk has.
func apply(c change) {
	for _, p := range c.at {
		if p.to == nil {
			delete(p.dir.onDisk, p.name)
		} else {
			p.dir.onDisk[p.name] = p.to
		}
	}
}

// trail remembers files and places.
type trail struct {
	files map[*node]bool
	slots map[slot]bool
}

func newTrail() *trail { return &trail{map[*node]bool{}, map[slot]bool{}} }

func (t *trail) add(c change) {
	t.files[c.file] = true
	for _, p := range c.at {
		t.slots[slot{p.dir, p.name}] = true
	}
}

func (t *trail) meets(c change) bool {
	if t.files[c.file] {
		return true
	}
	for _, p := range c.at {
		if t.slots[slot{p.dir, p.name}] {
			return true
		}
	}
	return false
}

// afterCrash copies the disk: what is sure, and of the pending each with
// probability keep, unless something it builds on was lost.
func (m *Mem) afterCrash(rnd *rand.Rand, keep float64) *Mem {
	out := &Mem{now: m.now, nodes: m.nodes}
	names := map[*node]map[string]*node{}
	of := func(d *node) map[string]*node {
		if names[d] == nil {
			names[d] = map[string]*node{}
			for k, v := range d.onDisk {
				names[d][k] = v
			}
		}
		return names[d]
	}
	lost := newTrail()
	for _, c := range m.pending {
		if lost.meets(c) || rnd.Float64() >= keep {
			lost.add(c)
			continue
		}
		for _, p := range c.at {
			if p.to == nil {
				delete(of(p.dir), p.name)
			} else {
				of(p.dir)[p.name] = p.to
			}
		}
	}
	copies := map[*node]*node{}
	var clone func(*node) *node
	clone = func(n *node) *node {
		if c := copies[n]; c != nil {
			return c
		}
		c := &node{id: n.id, mode: n.mode, mtime: n.mtime}
		copies[n] = c
		if !n.mode.IsDir() {
			c.data = tear(rnd, n, keep)
			c.durable = append([]byte(nil), c.data...)
			return c
		}
		c.names, c.onDisk = map[string]*node{}, map[string]*node{}
		// In a fixed order, for the seed to mean the same every time.
		keys := make([]string, 0, len(of(n)))
		for k := range of(n) {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			child := clone(of(n)[k])
			c.names[k], c.onDisk[k] = child, child
		}
		return c
	}
	out.root = clone(m.root)
	return out
}

// tear gives a file's content after a crash: any length from the sure one to
// the seen one, and each sector old or new (or zero where the disk had none).
func tear(rnd *rand.Rand, n *node, keep float64) []byte {
	size := len(n.durable)
	if delta := len(n.data) - len(n.durable); delta != 0 && rnd.Float64() < max(keep, 0.1) {
		switch {
		case rnd.IntN(2) == 0:
			size = len(n.data)
		case delta > 0:
			size += rnd.IntN(delta + 1)
		default:
			size -= rnd.IntN(-delta + 1)
		}
	}
	out := make([]byte, size)
	copy(out, n.durable)
	for at := 0; at < size && at < len(n.data); at += sector {
		if rnd.Float64() < keep {
			copy(out[at:min(at+sector, size)], n.data[at:])
		}
	}
	return out
}
