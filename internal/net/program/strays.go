package program

import (
	"fmt"
	"sync"
)

// Strays counts programs that were killed and run on, by the name of their Settings. The
// zero value is ready, and for use by many at a time.
type Strays struct {
	mu sync.Mutex
	of map[string]int
}

// maxStrays is how many there may be of a name before no other is started. Those that run
// by then may be added.
const maxStrays = 5

// full is why no other program of a name is started; nil when one may be.
func (s *Strays) full(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.of[name]; n >= maxStrays {
		return fmt.Errorf("%d programs of %s have passed their time and can not be ended: end them as root, or let them end by themselves", n, name)
	}
	return nil
}

func (s *Strays) add(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[string]int)
	}
	if s.of[name] += n; s.of[name] == 0 {
		delete(s.of, name)
	}
}
