package quota

import (
	"context"
	"fmt"
	"sync"
	"time"

	"facteur/internal/base/vfs"
)

// care is how closely a figure is to be looked at.
type care uint8

const (
	reading   care = iota // as it is known, if that is recent
	refusing              // before a no: the disk, unless it was looked at just now
	measuring             // the disk
)

const (
	lookAge     = time.Second     // others' lines are read within it
	measureAge  = 5 * time.Minute // the directories are looked at this often
	refuseAge   = 2 * time.Second // and this often while an account is full
	rewarnAfter = 24 * time.Hour
	// hysteresis is how far below a threshold it counts as left, in points.
	hysteresis = 5
)

// counter is the figure of one account.
type counter struct {
	book *Book
	root string
	home string // where quota-warned is
	fs   vfs.FS // of root

	mu       sync.Mutex
	owner    Owner
	owned    bool // owner is known
	known    bool // used is
	used     Usage
	looked   time.Time // when maildirsize was last looked at
	measured time.Time // when the directories were
	dirs     tallies
	seen     mark    // maildirsize as it was read
	flight   *flight // a look at the disk that is under way
	during   Usage   // changes of ours since it began

	unwritten Usage // changes that have no line yet
	writing   bool
	warned    warned
	crossing  bool // somebody looks after warned

	// disk is held by who reads or writes the Maildir for this counter: a look must
	// know which changes have their line. It is taken before mu.
	disk sync.Mutex
}

// mark tells one state of a file from another.
type mark struct {
	inode uint64
	size  int64
	mtime time.Time
}

func markOf(i vfs.Info) mark { return mark{i.Inode, i.Size, i.ModTime} }

// flight is one look at the disk, which may serve several who wait.
type flight struct {
	done chan struct{}
	err  error
}

// belongs takes over whose account it is, and under which limits.
func (c *counter) belongs(o Owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owned && c.owner.same(&o) {
		return
	}
	// Other limits mean another file, and maybe other mailboxes that count.
	c.owner, c.owned, c.known = o, true, false
	c.home, c.fs = o.home(), o.files(c.book.fs)
	c.dirs, c.measured, c.looked = nil, time.Time{}, time.Time{}
}

// idle tells that nothing is under way.
func (c *counter) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flight == nil && !c.writing
}

func (c *counter) counts(mailbox string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.owned || !c.owner.Limits.None() && !c.owner.Limits.Ignores(mailbox)
}

func (c *counter) stale() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measured = time.Time{}
}

// add counts a change of ours, at once for whoever asks here, and soon in the file.
func (c *counter) add(d Usage) {
	c.mu.Lock()
	c.used = c.used.Plus(d)
	if c.flight != nil {
		c.during = c.during.Plus(d)
	}
	c.unwritten = c.unwritten.Plus(d)
	start := !c.writing
	c.writing = true
	if start {
		c.book.busy.Add(1)
	}
	c.mu.Unlock()
	if start {
		go c.write()
	}
	c.review()
}

// write adds lines to the file until all changes have one.
func (c *counter) write() {
	defer c.book.busy.Done()
	for c.writeLine() {
	}
}

// writeLine adds one line for all changes that have none. What can't be written is
// found out by the next look at the disk.
func (c *counter) writeLine() (more bool) {
	c.disk.Lock()
	defer c.disk.Unlock()
	c.mu.Lock()
	d := c.unwritten
	c.unwritten = Usage{}
	c.writing = d != (Usage{})
	c.mu.Unlock()
	if d == (Usage{}) {
		return false
	}
	if err := appendSizes(c.fs, c.root, d); err != nil {
		c.stale()
	}
	return true
}

// fits is ErrFull if ok says no to a figure that was looked at closely.
func (c *counter) fits(ctx context.Context, o Owner, ok func(Usage) bool) error {
	used, err := c.usage(ctx, o, reading)
	if err != nil || ok(used) {
		return err
	}
	if used, err = c.usage(ctx, o, refusing); err != nil || ok(used) {
		return err
	}
	return ErrFull
}

// usage is the figure, after a look at the disk if it is time for one.
func (c *counter) usage(ctx context.Context, o Owner, how care) (Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for first := true; ; first = false {
		c.mu.Lock()
		if c.flight == nil && c.recent(how, !first) {
			used := c.used
			c.mu.Unlock()
			return Usage{max(used.Bytes, 0), max(used.Messages, 0)}, nil
		}
		f := c.flight
		if f == nil {
			f = c.start(o, how)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
			if f.err != nil {
				return Usage{}, f.err
			}
		case <-ctx.Done():
			return Usage{}, fmt.Errorf("quota of %s: %w", o.Address, ctx.Err())
		}
	}
}

// recent tells whether the figure will do; after a look it does. Callers hold mu.
func (c *counter) recent(how care, looked bool) bool {
	now := c.book.now()
	switch {
	case !c.known:
		return false
	case looked:
		return true
	case how == measuring || how == refusing && now.Sub(c.measured) >= refuseAge:
		return false
	}
	return now.Sub(c.looked) < lookAge && now.Sub(c.measured) < measureAge
}

// start begins a look at the disk. Callers hold mu.
func (c *counter) start(o Owner, how care) *flight {
	f := &flight{done: make(chan struct{})}
	c.flight = f
	go func() {
		defer close(f.done)
		c.disk.Lock()
		defer c.disk.Unlock()
		l := c.begin(how)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		leave, err := c.book.enter(ctx)
		if err == nil {
			defer leave()
			err = l.run(c.fs, &o)
		}
		c.land(f, l, err)
	}()
	return f
}

// begin is what a look has to know. Changes that are told from here on may be seen by
// it or not.
func (c *counter) begin(how care) *look {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.during = Usage{}
	return &look{known: c.known, used: c.used, seen: c.seen, dirs: c.dirs, pending: c.unwritten,
		whole: how != reading || c.known && c.book.now().Sub(c.measured) >= measureAge}
}

// land takes over what a look has found.
func (c *counter) land(f *flight, l *look, err error) {
	c.mu.Lock()
	f.err, c.flight = err, nil
	if err == nil {
		c.known, c.used, c.seen, c.looked = true, l.used.Plus(c.during), l.seen, c.book.now()
		if l.measured || l.believed {
			c.measured = c.looked
		}
		if l.measured {
			c.dirs, c.unwritten = l.dirs, c.unwritten.Minus(l.pending) // what was told before was seen
			if !l.quiet || c.during != (Usage{}) {
				// It may have seen what was also told: soon it is known better.
				c.measured = c.looked.Add(refuseAge - measureAge)
			}
		}
	}
	c.mu.Unlock()
	if err == nil {
		c.review()
	}
}
