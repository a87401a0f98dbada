package mailbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"
)

const (
	// wakeTime is how long an index stays open after the last operation, though
	// sessions are there: those that wait in IDLE need no index.
	wakeTime = 10 * time.Second
	// maxAwake bounds the open indexes of all accounts. The one that was not used
	// for longest is closed first.
	maxAwake = 500
)

// maxListedAsleep is up to how many letters a mailbox's list of UIDs is written when
// the index is closed though sessions wait: writing that of a large one each time
// would cost more than it is worth. facteur-uids then goes on saying that the account is
// in use: if the index is lost just then, its mailboxes get new UIDVALIDITYs, as after a
// crash.
const maxListedAsleep = 5000

// errAsleep means that the index is closed. Who holds Account.mu and has called
// ready does not meet it.
var errAsleep = errors.New("index is closed")

// touch notes an operation. Callers hold mu.
func (a *Account) touch() {
	a.used.Store(time.Now().UnixNano())
	if a.drowsy == nil && a.store.wake > 0 {
		a.drowsy = time.AfterFunc(a.store.wake, a.nod)
	}
}

// nod closes the index if nobody used it for a while.
func (a *Account) nod() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.started || a.asleep {
		a.drowsy = nil
		return
	}
	if left := a.store.wake - time.Since(time.Unix(0, a.used.Load())); left > 0 {
		a.drowsy.Reset(left)
		return
	}
	a.drowsy = nil
	if err := a.sleep(); err != nil {
		a.warn("closing an index: " + err.Error())
	}
}

// sleep closes the index while sessions wait, or nobody uses the account: the lists of
// UIDs are written and, if all are, facteur-uids says that all is well. Of open mailboxes
// only what the sessions were told stays in memory. Callers hold mu.
func (a *Account) sleep() error {
	if !a.started || a.asleep || len(a.todos) > 0 {
		return nil
	}
	most := int64(math.MaxInt64)
	if a.store.inUse(a, false) {
		most = maxListedAsleep
	}
	err := a.settle(most)
	for _, b := range a.boxes {
		b.rest()
	}
	a.asleep = true
	a.shared.Store(nil)
	a.store.slept(a)
	if cerr := a.idx.close(); err == nil {
		err = cerr
	}
	listed := a.allListed()
	if err == nil && listed && (a.marked || a.state.Open) {
		s := a.lastState()
		if err = writeState(a.fs, a.root, s); err == nil {
			a.state = s
		}
	}
	a.marked = a.marked && err == nil && !listed
	return err
}

// settle writes what waits in memory, and the lists of mailboxes that are no larger
// than most.
func (a *Account) settle(most int64) error {
	ctx := context.Background()
	a.writeLists(ctx, most)
	if len(a.done) == 0 && !a.anyUnsaved() {
		return nil
	}
	err := a.write(ctx, a.saveBoxes)
	if err == nil {
		for _, b := range a.boxes {
			b.unsaved = false
		}
	}
	return err
}

// awake opens the index again. If it is not the one that was closed, the account
// starts anew, and sessions find their mailboxes gone. Callers hold mu.
func (a *Account) awake(ctx context.Context) error {
	if !a.asleep {
		return nil
	}
	err := a.store.spare.inNeed(func() error { return a.reopen(ctx) })
	if err == nil {
		a.asleep = false
		return nil
	}
	if !errors.Is(err, errCorrupt) {
		return err
	}
	a.warn("the index was taken away while nobody used it")
	for _, b := range a.boxes {
		b.end()
		a.unwatch(b)
	}
	if a.broken.Swap(false) { // as it was closed
		if err := a.idx.remove(); err != nil {
			return err
		}
	}
	if err := a.begin(ctx); err != nil {
		return fmt.Errorf("mailboxes in %s: %w", a.home, err)
	}
	a.asleep = false
	a.watchAll()
	return nil
}

// reopen opens the index if it is the one that was closed; else errCorrupt.
func (a *Account) reopen(ctx context.Context) error {
	s, found, err := readState(a.fs, a.root)
	if err != nil {
		return err
	}
	if !found || !s.vouches(a.epoch, a.changes) || s.Epoch != a.state.Epoch {
		return fmt.Errorf("%w: facteur-uids is another", errCorrupt)
	}
	x, err := openIndex(filepath.Join(a.home, "index.db"), false)
	if err != nil {
		return corruptIf(err)
	}
	var epoch, changes int64
	if err := x.db.QueryRowContext(ctx, "SELECT epoch, changes FROM meta").Scan(&epoch, &changes); err != nil {
		x.close()
		return corruptIf(err)
	}
	if epoch != a.epoch || changes != a.changes {
		x.close()
		return fmt.Errorf("%w: it is not the one last used", errCorrupt)
	}
	a.use(x)
	return nil
}

// use makes an open index the account's. Others may have to close theirs.
func (a *Account) use(x *index) {
	a.idx = x
	a.shared.Store(x)
	a.store.woke(a)
}

// rest forgets the letters of an open mailbox, but not what sessions may still ask
// of letters that are gone.
func (b *box) rest() {
	b.where.forget()
	if !b.loaded {
		return
	}
	b.mu.Lock()
	b.letters, b.resting = nil, len(b.views) > 0
	b.mu.Unlock()
	b.loaded = false
}

// fetch brings a resting mailbox back for one who reads without Account.mu.
func (v *View) fetch() error {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	return v.current(context.Background())
}

// woke counts an open index and has the one that was not used for longest closed,
// if there are too many. It does not wait for that.
func (s *Store) woke(a *Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awake[a] = true
	if len(s.awake) <= s.maxAwake {
		return
	}
	var oldest *Account
	for other := range s.awake {
		if other != a && (oldest == nil || other.used.Load() < oldest.used.Load()) {
			oldest = other
		}
	}
	if oldest != nil {
		delete(s.awake, oldest)
		go func() {
			oldest.mu.Lock()
			defer oldest.mu.Unlock()
			if err := oldest.sleep(); err != nil {
				oldest.warn("closing an index: " + err.Error())
			}
		}()
	}
}

// slept takes an account off the list of those with an open index.
func (s *Store) slept(a *Account) {
	s.mu.Lock()
	delete(s.awake, a)
	s.mu.Unlock()
}
