package imapd

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

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

// take waits for a turn.
func (t turns) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turns) give() { <-t }

// inTurn runs a search.
func (s *session) inTurn(ctx context.Context, q *query) ([]uint32, error) {
	hits, open := q.remembered()
	if len(open) == 0 {
		return hits, nil
	}
	if err := s.server.turns.take(ctx); err != nil {
		return nil, err
	}
	q.turn = true
	q.index = s.server.config.FullText
	hits, err := q.run(ctx, hits, open)
	if q.turn {
		s.server.turns.give()
	}
	if err == nil && q.unknown >= fewLetters {
		s.server.indexer.want(q.view)
	}
	return hits, err
}

// progress is the pause of a search: it lets others have their turn, and tells the
// client now and then how far it has come.
func (s *session) progress(tag string) func(context.Context, *query, int, int) error {
	began := time.Now()
	told := began
	return func(ctx context.Context, q *query, done, all int) error {
		now := time.Now()
		if now.Sub(told) >= progressTime {
			told = now
			s.sayProgress(tag, done, all)
			if err := s.enc.Flush(); err != nil {
				return err
			}
		}
		if q.turn && now.Sub(began) >= turnTime {
			began = now
			s.server.turns.give()
			if err := s.server.turns.take(ctx); err != nil {
				q.turn = false
				return err
			}
		}
		return ctx.Err()
	}
}

func (s *session) sayProgress(tag string, done, all int) {
	s.enc.Raw(`* OK [INPROGRESS (`)
	s.enc.String(tag)
	s.enc.Raw(fmt.Sprintf(" %d %d)] Still looking\r\n", done, all))
}
