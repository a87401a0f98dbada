// Package queue is the one durable point that every message passes: what Commit
// has accepted is on stable storage until each of its recipients has come to
// exactly one end.
//
// # On disk
//
// queue.db: a row in item for the envelope and the bytes, up to 128 KiB, and a row in
// recipient for each forward-path. Larger bytes are in queue/<ID>, written, flushed and
// renamed before the row that speaks of them. With the bytes goes their CRC-32C, which
// is compared whenever they are read from the disk: what is damaged is not sent.
// What few messages have (DSN, REQUIRETLS, DELIVERBY, …) is in a column that is empty
// for the others; see options.go.
//
// # States of a recipient
//
//	state     row                    what is on disk                a crash leaves
//	-------   --------------------   ----------------------------   ----------------------------------
//	(none)    no                     perhaps a file incoming-* or   the file; the sweep removes it.
//	                                 a queue/<ID> without a row     Nobody was told 250.
//	Queued,   yes, state 3,          item and bytes                 the row; the sweep makes it state 0.
//	at hand   in no index                                           Else as the next.
//	Queued    yes, state 0,          item and bytes                 the same; it is tried again. If the
//	          in the lines                                          remote host had said 250 and we had
//	                                                                not noted it: one extra copy there.
//	Landing   yes, state 1           item and bytes, and the        the row; Landings gives it at the
//	                                 letter, durable, in tmp or     start, and the rename is done again.
//	                                 new of a Maildir               No letter in tmp proves that it had
//	                                                                been done: never a second copy.
//	Held      yes, state 2           item and bytes                 the same
//	Held, in  yes, state 5,          item and bytes, and a row in   the same
//	quaran-   and in no index of     exhibit, which tells why
//	tine      the scheduler's
//	(removed) yes, state 4           item and bytes                 the row; the sweep ends it. Who was
//	                                                                trying it may have delivered it.
//	(ended)   no                     what it became: a letter, a    the same
//	                                 notice committed in the same
//	                                 transaction, or nothing
//
//	(none) --Commit--> at hand --Settle--> Queued (deferred, due later) --Settle--> …
//	                   at hand --Park, Release--> Queued
//	                   at hand, Queued --Settle--> Landing --Landed--> (ended)
//	                   at hand, Queued --Settle--> (ended)
//	(none) --Commit--> in quarantine --FreeExhibits--> Queued
//	                   in quarantine --DropExhibits--> (ended)
//
// Mail that leaves at once goes from memory, and its rows are written and deleted
// without an index. What finds no room in memory is committed as state 0.
//
// With the last recipient's row go the item, its bytes and its file. A file that
// outlives its rows (a crash between the two) is removed by the sweep.
//
// # Leases
//
// Each recipient that somebody works on is leased, in memory: from before its
// commit, if it is new and handed out from memory, or from the Claim that found it,
// until Settle ends or defers it, or Release or Park gives it back. Leases die with
// the process: there is one process on a data directory (see app), so nobody else
// can hold one.
//
// # What a person orders
//
// Hold, Unhold, Delete, Retry, Expire and Requeue lease what is free as a worker does,
// and write a bounded part in each transaction. What a worker has is not torn from him:
//
//	order     nobody has it          an attempt is under way         Landing
//	-------   --------------------   -----------------------------   -------------
//	Hold      Held                   Held, unless the attempt ends   left alone
//	                                 it; none begins after it
//	Unhold    Queued, due now        the same                        left alone
//	Delete    (ended), no notice     (removed): it ends with the     left alone
//	                                 attempt, which may deliver or
//	                                 bounce it; none begins after it
//	Expire    due now; if that       as beside; this attempt does    left alone
//	          fails, to the sender   not count
//	Retry     due now                left alone                      left alone
//	Requeue   new address, route,    left alone                      left alone
//	          no attempts, due now
//
// None of them sees what is in quarantine; see quarantine.go.
//
// So the order is written at once and outlives a crash; an attempt that began before it
// ends as it ends, and undoes the order only by delivering or bouncing. Whoever begins
// an attempt asks Still first. Of what is deleted, the row of the item and its bytes go
// after the order, in the background (table doomed): for a hundred thousand that is much
// to write.
//
// # After a start
//
// Open reads a page of the newest rows, and the queue is open: however many wait. The
// sweep does the rest beside the work, a page at a time, newest first, and begins again
// after a crash. IDs rise over restarts: the table used notes some seconds ahead which
// are taken. No memory is kept for what waits in the database, only for what is leased,
// for what is at hand (bounded), and for routes that were passed over (see search.go).
package queue

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"facteur/internal/store/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are those of queue.db, for db.Open.
func Migrations() fs.FS { return migrations }

// Queue is the queue of one data directory. It is safe for concurrent use.
type Queue struct {
	db       *db.DB
	spoolDir string
	ids      ids
	space    space

	mu sync.Mutex
	leases
	fresh fresh
	searches
	// nextDue is when a recipient becomes due that is only in the database.
	nextDue time.Time

	searching  sync.Mutex
	operating  sync.Mutex
	wake       chan struct{}
	quarantine chan struct{} // see Quarantined
	background sync.WaitGroup

	// swept: what the processes before this one had at hand stands in the lines; landings:
	// what they were landing is leased. With both, all that is not on hold is leased, or
	// in the lines. They are guarded by mu.
	swept, landings bool

	// past is the greatest ID of the processes before this one, and prefix begins the
	// names of files that this one is writing.
	past    ID
	prefix  string
	stop    context.CancelFunc
	stopped <-chan struct{}
	closed  bool
}

// Open opens the queue in dir (queue.db and queue/), creating what is missing. It takes
// no longer for a million items than for none, but for the first start after an upgrade
// that changes the tables.
func Open(dir string) (*Queue, error) {
	spool := filepath.Join(dir, "queue")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, err
	}
	d, err := db.Open(filepath.Join(dir, "queue.db"), Migrations())
	if err != nil {
		return nil, err
	}
	q := &Queue{db: d, spoolDir: spool, leases: newLeases(), searches: newSearches(), wake: make(chan struct{}, 1), quarantine: make(chan struct{}, 1)}
	q.fresh.hot = make(map[ID]memBody)
	if err := q.recover(); err != nil {
		d.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	q.stopped, q.stop = ctx.Done(), stop
	// A first page at once: of most queues that is all.
	below, err := q.sweepRows(ctx, int64(q.past)+1)
	if err != nil && !IsFull(err) {
		return nil, errors.Join(err, q.Close())
	}
	q.background.Go(func() { q.sweep(ctx, below) })
	q.mu.Lock()
	q.moreDoomed = true
	q.reapLater()
	q.mu.Unlock()
	return q, nil
}

// Close closes the files. Nothing is lost by not calling it.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.stop()
	err := q.db.Close()
	q.background.Wait()
	return err
}

// later runs fn beside the others, unless the queue is being closed; what it does not
// get to is done after the next start. q.mu is held.
func (q *Queue) later(fn func()) {
	if !q.closed {
		q.background.Go(fn)
	}
}

// Dir is the directory of the bodies that lie beside the database.
func (q *Queue) Dir() string { return q.spoolDir }

// pause waits before something is tried again in the background; false when the queue is
// being closed.
func (q *Queue) pause() bool {
	select {
	case <-q.stopped:
	case <-q.db.Broken():
	case <-time.After(tryAgain):
		return true
	}
	return false
}

// Broken is closed when the disk failed under the queue: nothing can be committed
// any more, and the process has to start anew.
func (q *Queue) Broken() <-chan struct{} { return q.db.Broken() }

// IsFull tells the errors of Commit and of a Spool that mean a full disk.
func IsFull(err error) bool {
	return errors.Is(err, db.ErrFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Wake gets a token when something may have become due. One goroutine listens.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// recover brings the IDs in line with the rows.
func (q *Queue) recover() error {
	err := q.db.Reader().QueryRow("SELECT max((SELECT id FROM used), coalesce((SELECT max(id) FROM item), 0))").Scan(&q.ids.last)
	if err != nil {
		return err
	}
	q.past = ID(q.ids.last)
	q.prefix = incomingPrefix + strconv.FormatInt(int64(q.NextID()), 36) + "-"
	return nil
}

// Commit makes an item durable: when it returns nil, the message and envelope
// survive whatever comes. The item needs its ID (NextID) and recipients; Commit
// numbers them and sets Arrived and Size. The spool is used up either way. Once
// begun, a commit is not cancelled by ctx: its outcome must not be unknown.
func (q *Queue) Commit(ctx context.Context, d Draft) error {
	defer d.Spool.Discard()
	if err := prepare(d); err != nil {
		q.removeUnused(d, err)
		return err
	}
	q.reserve(d)
	if err := q.db.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error { return q.insert(tx, d) }); err != nil {
		q.forgo(d)
		q.removeUnused(d, err)
		return fmt.Errorf("queue: %w", err)
	}
	q.enter(d)
	q.signal()
	return nil
}

// removeUnused removes the file of an item that was not committed, so that a full
// disk does not fill further. After a failure of the disk nobody knows whether it
// was committed, and the file stays until the next Open knows.
func (q *Queue) removeUnused(d Draft, why error) {
	if d.Item.Size > inlineMax && !errors.Is(why, db.ErrBroken) {
		os.Remove(bodyPath(q.spoolDir, d.Item.ID))
	}
}

// prepare does what must be durable before the rows are.
func prepare(d Draft) error {
	if len(d.Item.Recipients) == 0 {
		return fmt.Errorf("queue: item %s has no recipients", d.Item.ID)
	}
	if d.Item.Arrived.IsZero() {
		d.Item.Arrived = time.Now()
	}
	if !d.Item.Release.After(d.Item.Arrived) {
		d.Item.Release = time.Time{} // HOLDUNTIL of a time that has passed
	}
	d.Item.Size = d.Spool.Size()
	for i := range d.Item.Recipients {
		r := &d.Item.Recipients[i]
		r.N = i + 1
		if r.Due.IsZero() {
			d.Item.schedule(r)
		}
	}
	if err := d.Spool.settle(d.Item.ID); err != nil {
		return &BodyError{d.Item.ID, err}
	}
	return nil
}

// BodyError says that the bytes of a new item could not be made durable. For some causes
// that is for good: then only a new Spool helps.
type BodyError struct {
	Item ID
	Err  error
}

// Error implements error.
func (e *BodyError) Error() string {
	return fmt.Sprintf("queue: the bytes of %s could not be stored: %v", e.Item, e.Err)
}

// Unwrap gives the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// Scrap removes what a draft has on disk that is not going to be committed.
func (q *Queue) Scrap(d Draft) {
	d.Spool.Discard()
	q.removeUnused(d, nil)
}
