package quota

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"sync"
	"time"

	"facteur/internal/base/vfs"
)

// ErrFull means that there is no room.
var ErrFull = errors.New("over quota")

// errBusy: so many file systems hang that no more are asked.
var errBusy = errors.New("quota: too many file systems do not answer")

const (
	// patience is the longest that anybody waits for a figure.
	patience = 5 * time.Second
	// maxCounters bounds the accounts that are remembered; the others are read again.
	maxCounters = 10_000
	// maxMeasures bounds how many accounts are read at a time.
	maxMeasures = 64
)

// Owner is whose mail is counted.
type Owner struct {
	Address string
	Root    string // the Maildir, an absolute path
	// Home is where quota-warned is, in the file system of the Book; "" is the directory
	// above Root.
	Home string
	// FS is how Root is reached; nil is as all else.
	FS     vfs.FS
	Limits Limits
}

func (o *Owner) home() string {
	if o.Home != "" {
		return o.Home
	}
	return path.Dir(o.Root)
}

func (o *Owner) files(usual vfs.FS) vfs.FS {
	if o.FS != nil {
		return o.FS
	}
	return usual
}

// same tells that nothing of two owners differs.
func (o *Owner) same(as *Owner) bool {
	return o.Address == as.Address && o.Root == as.Root && o.Home == as.Home && o.FS == as.FS && reflect.DeepEqual(o.Limits, as.Limits)
}

// Crossing is a threshold that was crossed.
type Crossing struct {
	Owner   Owner
	Used    Usage
	Percent int // how full the account is
	// Threshold is the highest warning that is reached; 0: a full account has room again.
	Threshold int
}

// Book knows the figures of all accounts of a server. It is safe for concurrent use.
type Book struct {
	fs   vfs.FS
	now  func() time.Time
	turn chan struct{} // a place for each account that is being read

	mu       sync.Mutex
	counters map[string]*counter // by Root
	warn     func(Crossing)
	busy     sync.WaitGroup // lines and warnings that are being written
}

// New makes a Book over f.
func New(f vfs.FS) *Book {
	return &Book{fs: f, now: time.Now, turn: make(chan struct{}, maxMeasures), counters: map[string]*counter{}}
}

// OnCrossing has fn called for every threshold that is crossed, in a goroutine of its
// own. It comes before the first use.
func (b *Book) OnCrossing(fn func(Crossing)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.warn = fn
}

// Usage is what the account holds. Without limits nothing is counted, and it is zero.
func (b *Book) Usage(ctx context.Context, o Owner) (Usage, error) {
	if o.Limits.None() {
		return Usage{}, nil
	}
	return b.counter(o).usage(ctx, o, reading)
}

// Room is ErrFull if need is more than there is room for in a mailbox. What an account
// has too much already does not count against what takes nothing.
func (b *Book) Room(ctx context.Context, o Owner, mailbox string, need Usage) error {
	if o.Limits.None() || o.Limits.Ignores(mailbox) {
		return nil
	}
	most := o.Limits.For(mailbox)
	return b.counter(o).fits(ctx, o, func(used Usage) bool {
		after := used.Plus(need)
		return (most.Bytes == 0 || need.Bytes <= 0 || after.Bytes <= most.Bytes) &&
			(most.Messages == 0 || need.Messages <= 0 || after.Messages <= most.Messages)
	})
}

// Free is the size of the largest letter that can be delivered now, in bytes; 0 if the
// account is full. need is the size that is asked for: before the answer is "less than
// that", the disk is looked at.
func (b *Book) Free(ctx context.Context, o Owner, need int64) (free int64, err error) {
	if o.Limits.None() || o.Limits.Ignores("INBOX") {
		return o.Limits.Free(Usage{}), nil
	}
	err = b.counter(o).fits(ctx, o, func(used Usage) bool {
		free = o.Limits.Free(used)
		return free > 0 && need <= free
	})
	if errors.Is(err, ErrFull) {
		err = nil
	}
	return free, err
}

// Add tells of a change that this process has made in a mailbox.
func (b *Book) Add(o Owner, mailbox string, d Usage) {
	if o.Limits.None() || o.Limits.Ignores(mailbox) || d == (Usage{}) {
		return
	}
	b.counter(o).add(d)
}

// Delivered tells of a letter that arrived in a mailbox. Of the owner of an INBOX only Root,
// Home and FS need be known: if there is a maildirsize, it has limits.
func (b *Book) Delivered(o Owner, mailbox string, bytes int64) {
	if o.Limits.Ignores(mailbox) {
		return
	}
	b.mu.Lock()
	c := b.counters[o.Root]
	if c == nil {
		c = b.remember(o)
	}
	b.mu.Unlock()
	if c.counts(mailbox) {
		c.add(Usage{bytes, 1})
	}
}

// Stale tells that somebody else changed the mailboxes, or that what is in them counts
// in another way: they are looked at before the next answer.
func (b *Book) Stale(root string) {
	b.mu.Lock()
	c := b.counters[root]
	b.mu.Unlock()
	if c != nil {
		c.stale()
	}
}

// Measure looks at the directories now, and gives what there is.
func (b *Book) Measure(ctx context.Context, o Owner) (Usage, error) {
	if o.Limits.None() {
		return Usage{}, nil
	}
	return b.counter(o).usage(ctx, o, measuring)
}

// Wait waits for the lines and warnings that are being written.
func (b *Book) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { b.busy.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Book) counter(o Owner) *counter {
	b.mu.Lock()
	c := b.counters[o.Root]
	if c == nil {
		c = b.remember(o)
	}
	b.mu.Unlock()
	c.belongs(o)
	return c
}

// remember makes room for an account. Callers hold mu.
func (b *Book) remember(o Owner) *counter {
	for other, c := range b.counters {
		if len(b.counters) < maxCounters {
			break
		}
		if c.idle() {
			delete(b.counters, other)
		}
	}
	c := &counter{book: b, root: o.Root, home: o.home(), fs: o.files(b.fs)}
	b.counters[o.Root] = c
	return c
}

// enter takes a place among those who read.
func (b *Book) enter(ctx context.Context) (leave func(), err error) {
	select {
	case b.turn <- struct{}{}:
		return func() { <-b.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
}
