package deliver

import (
	"testing"

	"facteur/internal/flow/route"
)

// TestPlacesOpened: room that comes between the question what to leave out and the search
// that leaves it out is not forgotten. Mail waited for a minute otherwise, until the queue
// is looked through in any case.
func TestPlacesOpened(t *testing.T) {
	missed := false // as the queue has it: a search takes it back
	p := newPlaces(func() { missed = true })
	a := attemptFor("busy.example", route.Remote)
	n := 0
	for p.take(a) {
		n++
	}
	if e, _ := p.except(); len(e.Routes) != 1 {
		t.Fatalf("left out: %q", e.Routes)
	}
	for range n {
		p.give(a, 1)
	}
	missed = false // the search with what was left out before
	if e, _ := p.except(); len(e.Routes) != 0 || !missed {
		t.Errorf("left out: %q; another search: %v", e.Routes, missed)
	}
	missed = false
	if p.except(); missed {
		t.Error("a search that nobody needs")
	}
}
