package queue

import (
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/store/db"
)

// aheadOfUse is how far ahead the greatest used ID is noted, in microseconds: so often
// it is written, and so much later IDs begin after a crash.
const aheadOfUse = 10_000_000

// ids gives out item IDs.
type ids struct {
	mu   sync.Mutex
	last int64
	// durable is up to where the database says that IDs may have been used.
	durable atomic.Int64
}

func (g *ids) next(now time.Time) ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = max(g.last+1, now.UnixMicro())
	return ID(g.last)
}

// NextID reserves the ID of an item to be, so that its Received field and the log
// can name it before it is committed.
func (q *Queue) NextID() ID { return q.ids.next(time.Now()) }

// use notes, with an item, that its ID is used. Until it is known to be durable, each
// item that needs it does so.
func (g *ids) use(tx *db.Tx, id ID) error {
	if int64(id) <= g.durable.Load() {
		return nil
	}
	_, err := tx.Exec("UPDATE used SET id = max(id, ?)", int64(id)+aheadOfUse)
	return err
}

// noted says that an item with its note is durable.
func (g *ids) noted(id ID) {
	if durable := g.durable.Load(); int64(id) > durable {
		g.durable.CompareAndSwap(durable, int64(id)+aheadOfUse)
	}
}
