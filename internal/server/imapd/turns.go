package imapd

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Searches is what the searches of all listeners share: few of them read letters at
// the same time, and one index of texts is made at a time.
type Searches struct {
	turns   turns
	indexer indexer
}

// NewSearches makes Searches that leave a processor to everything else.
func NewSearches() *Searches { return &Searches{turns: newTurns()} }

// turns lets few searches read letters at the same time, whoever makes how many
// (ATTACKS IMAP-022): one processor stays free for everything else. Who has read for
// a while goes to the end of the queue.
type turns chan struct{}

const (
	// turnTime is how long a search may read while others wait.
	turnTime = 50 * time.Millisecond
	// progressTime is how often a client hears of a search that takes long
	// (RFC 9585 §4).
	progressTime = 10 * time.Second
)

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)-1)) }

// turn is that of one search. The zero turn is none.
type turn struct {
	of    turns // nil: it has none
	since time.Time
}

// take waits for a turn.
func (t *turn) take(ctx context.Context, of turns) error {
	select {
	case of <- struct{}{}:
		*t = turn{of: of, since: time.Now()}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give ends it, if there is one.
func (t *turn) give() {
	if t.of != nil {
		<-t.of
		*t = turn{}
	}
}

// share lets others come first if the turn has lasted long enough.
func (t *turn) share(ctx context.Context) error {
	if t.of == nil || time.Since(t.since) < turnTime {
		return ctx.Err()
	}
	of := t.of
	t.give()
	return t.take(ctx, of)
}

// inTurn does the work of a query that takes long.
func (s *session) inTurn(ctx context.Context, q *query, work func() error) error {
	if err := q.turn.take(ctx, s.server.config.Searches.turns); err != nil {
		return err
	}
	defer q.turn.give()
	return work()
}

// look runs a search; then, which may be nil, puts the hits in order or reads more of
// them, and gives those that are left.
func (s *session) look(ctx context.Context, q *query, then func([]uint32) ([]uint32, error)) (hits []uint32, err error) {
	if then == nil && q.isShort() {
		return q.all(ctx)
	}
	q.index = s.server.config.FullText
	err = s.inTurn(ctx, q, func() error {
		if hits, err = q.all(ctx); err == nil && then != nil {
			hits, err = then(hits)
		}
		return err
	})
	if err == nil && q.unknown >= fewLetters {
		s.server.config.Searches.indexer.want(q.view)
	}
	return hits, err
}

// progress is the pause of a search: it lets others have their turn, and tells the
// client now and then how far it has come.
func (s *session) progress(tag string) func(context.Context, *query, int, int) error {
	told := time.Now()
	return func(ctx context.Context, q *query, done, all int) error {
		if now := time.Now(); now.Sub(told) >= progressTime {
			told = now
			s.sayProgress(tag, done, all)
			if err := s.enc.Flush(); err != nil {
				return err
			}
		}
		return q.turn.share(ctx)
	}
}

func (s *session) sayProgress(tag string, done, all int) {
	s.enc.Raw(`* OK [INPROGRESS (`)
	s.enc.String(tag)
	s.enc.Raw(fmt.Sprintf(" %d %d)] Still looking\r\n", done, all))
}
