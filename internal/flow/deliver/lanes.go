package deliver

import (
	"context"
	"sync"
)

// lanes are work on letters, one after the other for each place, so that a place where it
// does not move holds up no other, and takes one thread. What waits in them has its places
// still (see places), and so is bounded.
type lanes struct {
	work func(context.Context, []*letter)

	mu      sync.Mutex
	waiting map[lane][]*letter // with an entry while somebody works there
	closed  bool
	wg      sync.WaitGroup
}

// lane is a device, or a volume where that is not known.
type lane struct {
	device uint64
	volume string
}

func newLanes(work func(context.Context, []*letter)) *lanes {
	return &lanes{work: work, waiting: make(map[lane][]*letter)}
}

// add puts letters in a lane. After close they stay Landing, for the next start.
func (s *lanes) add(ctx context.Context, at lane, letters ...*letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	waiting, busy := s.waiting[at]
	s.waiting[at] = append(waiting, letters...)
	if !busy {
		s.wg.Go(func() { s.serve(ctx, at) })
	}
}

func (s *lanes) serve(ctx context.Context, at lane) {
	for {
		s.mu.Lock()
		letters := s.waiting[at]
		if len(letters) == 0 {
			delete(s.waiting, at)
			s.mu.Unlock()
			return
		}
		s.waiting[at] = nil
		s.mu.Unlock()
		s.work(ctx, letters)
	}
}

// close waits for what is in the lanes.
func (s *lanes) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wg.Wait()
}
