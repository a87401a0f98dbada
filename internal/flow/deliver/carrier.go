package deliver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// carrier takes batches of letters to their Maildirs. One that waits for a file system
// that does not answer is set aside: another takes its place, and what it had in hand but
// is not Landing yet. Until it comes back, no letter touches that volume, and when it
// comes back it drops what was taken from it. So no two of them ever work at the same
// letter, and none arrives twice. A process that is killed ends such a call with it,
// before another one can have the lock of DATA.
type carrier struct {
	mu sync.Mutex
	// load is the batch that it is at; what is Landing or settled has ended.
	load []*letter
	// at are the letters that it waits for a file system with, since then; device is
	// that of what is being synced, 0 at other times.
	at     []*letter
	since  time.Time
	device uint64
	// aside: it has been replaced, and keeps others from these volumes.
	aside bool
	keeps []string
	// home: it is that of a Unix user, and carries only his letters. Nobody takes over
	// from it: his process is what is replaced.
	home bool
}

const (
	// patience is how long a file system may take for one call.
	patience = time.Minute
	// asideMax is how many carriers may be set aside: each has a thread.
	asideMax = 16
)

// errNoAnswer is what the log says of a volume.
var errNoAnswer = errors.New("the file system does not answer; mail for it waits")

// take begins a batch.
func (c *carrier) take(load []*letter) {
	c.mu.Lock()
	c.load = load
	c.mu.Unlock()
}

// enter notes that letters are about to touch their mailboxes.
func (c *carrier) enter(device uint64, at ...*letter) {
	c.mu.Lock()
	c.at, c.device, c.since = at, device, time.Now()
	c.mu.Unlock()
}

// leave notes that the file system has answered. False: what has not ended is another
// carrier's by now.
func (c *carrier) leave(v *volumes) bool {
	c.mu.Lock()
	c.at = nil
	aside, keeps := c.aside, c.keeps
	c.keeps = nil
	c.mu.Unlock()
	if len(keeps) > 0 {
		v.revive(keeps)
	}
	return !aside
}

// end notes that letters are not to be taken over any more; false when they have been.
func (c *carrier) end(letters ...*letter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aside {
		return false
	}
	for _, x := range letters {
		x.ended = true
	}
	return true
}

// isAside tells whether it was replaced.
func (c *carrier) isAside() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.aside
}

// giveUp sets a carrier aside that waits too long, and keeps others from where it waits.
// It gives what another is to carry. A sync of the disk that the queue is on too is
// slow, not dead.
func (c *carrier) giveUp(v *volumes, own uint64, limit time.Duration, now time.Time) (rest []*attempt, where []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aside || len(c.at) == 0 || now.Sub(c.since) < limit || c.device != 0 && c.device == own {
		return nil, nil
	}
	for _, x := range c.at {
		if name := v.of(x.account.Home); !slices.Contains(where, name) {
			where = append(where, name)
		}
	}
	for _, x := range c.load {
		if !x.ended {
			rest = append(rest, x.attempt.only(x.recipient))
		}
	}
	c.aside, c.keeps, c.load = true, where, nil
	v.avoid(where)
	return rest, where
}

// roster is the carriers that work, and how many have been set aside.
type roster struct {
	mu    sync.Mutex
	live  []*carrier
	aside int
	wg    sync.WaitGroup // of the live ones
}

// employ starts a carrier.
func (l *local) employ(ctx context.Context) {
	c := &carrier{}
	l.roster.mu.Lock()
	l.roster.live = append(l.roster.live, c)
	l.roster.wg.Add(1)
	l.roster.mu.Unlock()
	go func() {
		l.carry(ctx, c)
		l.roster.left(c)
	}()
}

// left takes a carrier off the books that has ended.
func (o *roster) left(c *carrier) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.isAside() {
		o.aside--
		return
	}
	o.live = slices.DeleteFunc(o.live, func(other *carrier) bool { return other == c })
	o.wg.Done()
}

// watch looks for carriers that wait too long, until done is closed.
func (l *local) watch(ctx context.Context, done <-chan struct{}) {
	tick := time.NewTicker(l.patience / 6)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.volumes.refresh()
			l.relieve(ctx, time.Now())
		case <-done:
			return
		}
	}
}

// relieve replaces the carriers that wait too long.
func (l *local) relieve(ctx context.Context, now time.Time) {
	l.roster.mu.Lock()
	live := slices.Clone(l.roster.live)
	l.roster.mu.Unlock()
	for _, c := range live {
		if !l.roster.room() {
			return
		}
		rest, where := c.giveUp(l.volumes, l.device, l.patience, now)
		if where == nil {
			continue
		}
		l.events.Emit(Trouble{What: "delivering below " + strings.Join(where, ", "), Err: errNoAnswer})
		l.employ(ctx)
		l.roster.putAside(c)
		// What has places fits into the channel.
		go l.offer(ctx, rest)
	}
}

func (o *roster) room() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.aside < asideMax
}

func (o *roster) putAside(c *carrier) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.aside++
	o.live = slices.DeleteFunc(o.live, func(other *carrier) bool { return other == c })
	o.wg.Done()
}

// offer puts attempts in line again.
func (l *local) offer(ctx context.Context, all []*attempt) {
	for _, a := range all {
		select {
		case l.in <- a:
		case <-ctx.Done():
			return
		}
	}
}
