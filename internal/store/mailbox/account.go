package mailbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/store/digest"
	"facteur/internal/store/fulltext"
	"facteur/internal/store/maildir"
)

// validityReserve is how many UIDVALIDITY numbers facteur-uids promises ahead,
// so that it need not be written for each new mailbox.
const validityReserve = 1000

var errClosed = errors.New("account is closed")

// Account is what a logged-in user has: all mailboxes of one account. It is
// safe for concurrent use and shared by all sessions of the account.
type Account struct {
	store *Store
	home  string
	root  string      // the Maildir
	fs    vfs.FS      // of the Maildir
	users int         // by Store.mu
	rest  *time.Timer // by Store.mu; runs while nobody uses the account and it is open

	poking    atomic.Bool // a poke waits for mu
	delivered atomic.Bool // letters came that no poke has looked for

	used   atomic.Int64          // when an operation began, in ns
	broken atomic.Bool           // SQLite found the index damaged: see rebuild
	shared atomic.Pointer[index] // idx, for who reads letters; nil while it is closed

	notes notes // METADATA of the account itself

	// mu is held by whoever changes files or index, or compares the two. What a
	// loaded box shows has a lock of its own.
	mu        sync.Mutex
	started   bool
	discarded bool        // it is not to be started again
	asleep    bool        // started, but the index is closed: see sleep.go
	drowsy    *time.Timer // runs while the index is open
	owner     Owner
	idx       *index
	state     state // as facteur-uids has it
	marked    bool  // facteur-uids says that we are writing
	epoch     int64
	changes   int64
	founding  bool                // the index is new and has no mailboxes yet
	left      map[string]lastSeen // by folder, while founding: what facteur-uids says, if it is to be believed
	validity  uint32              // the last one given
	first     uint32              // as in state
	taken     []uint32            // as in state
	taking    taking              // as in state
	boxes     map[string]*box
	rootStamp int64
	todos     []todo
	planned   []int64 // the rows that todos stand in
	done      []int64 // rows of todos that the next write removes
	digests   *digest.Cache
	texts     *fulltext.Index
	serial    uint32 // makes file names unique
	watches   map[*Watch]bool
}

func newAccount(s *Store, o Owner) *Account {
	return &Account{store: s, home: o.Home, root: o.root(), fs: o.files(s.fs), owner: o,
		digests: digest.New(filepath.Join(o.Home, "cache.db")), texts: fulltext.New(filepath.Join(o.Home, "search.db"))}
}

// start opens the index unless that was done, and makes what is missing.
// An account that rested must find its index where it left it: one that was
// deleted, or replaced by another, is not the truth any more.
func (a *Account) start(ctx context.Context, o Owner, rested bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.discarded {
		return errClosed
	}
	a.owner = o
	if a.started && rested && !a.asleep && !a.idx.there() {
		if err := a.stop(); err != nil {
			a.warn("closing an index that was taken away: " + err.Error())
		}
	}
	if a.started {
		return nil
	}
	a.asleep = false
	if err := a.store.spare.inNeed(func() error { return a.begin(ctx) }); err != nil {
		return fmt.Errorf("mailboxes in %s: %w", a.home, err)
	}
	a.started = true
	a.touch()
	a.digests.Open()
	return nil
}

// begin is start for a closed account.
func (a *Account) begin(ctx context.Context) (err error) {
	if _, err := maildir.Create(a.fs, a.root); err != nil {
		return err
	}
	if err := os.MkdirAll(a.home, 0o700); err != nil {
		return err
	}
	err = a.beginWith(ctx)
	if err != nil && a.broken.Swap(false) { // what was damaged is deleted: another one is made
		a.warn("the index is damaged: " + err.Error())
		if err = a.idx.remove(); err == nil {
			err = a.beginWith(ctx)
		}
	}
	return err
}

// beginWith is begin with the index that is there. If it fails that is closed.
func (a *Account) beginWith(ctx context.Context) error {
	known, err := a.openIndex(ctx)
	if err != nil {
		return err
	}
	if err = a.settleIn(ctx, known); err != nil {
		a.suspect(err)
		a.shared.Store(nil)
		a.store.slept(a)
		a.idx.close()
	}
	return err
}

// settleIn does what an earlier run left, and makes what is missing.
func (a *Account) settleIn(ctx context.Context, known bool) error {
	if err := a.loadTodos(ctx); err != nil {
		return err
	}
	if err := a.finish(ctx); err != nil {
		return err
	}
	a.sweep()
	a.rootStamp = 0
	if err := a.refresh(ctx); err != nil {
		return err
	}
	if !known {
		return a.createDefaults(ctx)
	}
	return nil
}

// openIndex opens the index, or makes a new one if there is none, it is
// corrupt, or facteur-uids doesn't vouch for it. known is false for an account
// that was never opened before.
func (a *Account) openIndex(ctx context.Context) (known bool, err error) {
	a.state, known, err = readState(a.fs, a.root)
	if err != nil {
		return false, err
	}
	a.marked, a.boxes, a.todos, a.planned, a.done = false, map[string]*box{}, nil, nil, nil
	a.founding, a.left = false, a.state.Boxes
	a.first, a.taken, a.taking = a.state.First, a.state.Taken, a.state.Taking
	unused := true // nothing was ever given here
	a.validity = 0 // what was given is in facteur-uids, or it was not given
	path := filepath.Join(a.home, "index.db")
	_, missing := os.Stat(path)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return known, missing
	}
	if missing == nil {
		err = a.adopt(ctx, path, known)
		if err == nil {
			a.left = nil
			a.leap()
			a.validity = max(a.validity, a.taking.validity)
			return known, nil
		}
		unused = errors.Is(err, errUnused)
		if !errors.Is(err, errCorrupt) {
			return known, err
		}
	}
	if known || missing == nil {
		a.warn("making the index anew", slog.Any("reason", cmpErr(err, missing)))
	}
	if !known && unused {
		a.first = a.now32()
	}
	x, err := createIndex(path)
	if err != nil {
		return known, err
	}
	a.use(x)
	a.epoch, a.changes, a.founding = 0, 0, true
	// A run that did not end may have given numbers up to what it had reserved.
	a.validity = max(a.validity, a.state.Validity)
	return known, nil
}

// uncleanGap is how many UIDs and MODSEQs are passed over in each mailbox after a run
// that did not end. Its last transactions may be missing (somebody removed
// index.db-wal, or put back a copy of index.db from the same run): the UIDs that they
// gave must not be given to other letters (INV-10), and no change of ours may have a
// MODSEQ that a client was told already (INV-11).
const uncleanGap = 1 << 16

// leap leaves the gap. It is written with the next change of the mailbox or at the
// end of the run; a run that does not get so far has given no UID.
func (a *Account) leap() {
	if !a.state.Open {
		return
	}
	gap := max(uncleanGap, a.state.Gap)
	for _, b := range a.boxes {
		if b.uidNext > 1 && b.uidNext < maxUID-gap {
			b.uidNext, b.modSeq, b.unsaved = b.uidNext+gap, b.modSeq+uint64(gap), true
		}
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// adopt opens an existing index and loads its list of mailboxes.
func (a *Account) adopt(ctx context.Context, path string, known bool) error {
	x, err := openIndex(path, !known || a.state.Open)
	if err != nil {
		return corruptIf(err)
	}
	a.use(x)
	err = a.loadBoxes(ctx)
	if err == nil && !(known && a.state.vouches(a.epoch, a.changes)) {
		err = fmt.Errorf("%w: it is not the one last used", errCorrupt)
		if a.state.olderThan(a.epoch, a.changes) {
			a.left = nil // UIDs were given that neither it nor the lists know
		}
		if a.changes == 0 {
			a.validity = 0 // it was being made: nobody was told what it says
			err = fmt.Errorf("%w: %w", errUnused, err)
		}
	}
	if err != nil {
		a.shared.Store(nil)
		x.close()
		a.idx = nil
		a.boxes = map[string]*box{}
	}
	return corruptIf(err)
}

// errUnused is an index that gave no letter a number.
var errUnused = errors.New("no letter is in it")

// corruptIf makes errCorrupt of what SQLite says about a bad file. An error of
// the disk or of permissions stays what it is: the index may be good.
func corruptIf(err error) error {
	switch sqliteCode(err) & 0xff {
	case sqliteError /* tables are missing */, sqliteCorrupt, sqliteNotADatabase:
		return fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return err
}

func (a *Account) loadBoxes(ctx context.Context) error {
	err := a.idx.db.QueryRowContext(ctx, "SELECT epoch, changes, validity FROM meta").
		Scan(&a.epoch, &a.changes, &a.validity)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: empty", errCorrupt)
	}
	if err != nil {
		return err
	}
	rows, err := a.idx.db.QueryContext(ctx, `SELECT id, name, folder, validity, uidnext, modseq, recent,
		count, bytes, newstamp, curstamp, liststamp, listnext, listcount, heir,
		historyfloor, historysize, unseen, deleted FROM mailbox`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		b := &box{acct: a}
		if err := rows.Scan(&b.id, &b.name, &b.folder, &b.validity, &b.uidNext, &b.modSeq, &b.recent,
			&b.count, &b.bytes, &b.newStamp, &b.curStamp, &b.listStamp, &b.listNext, &b.listCount, &b.heir,
			&b.historyFloor, &b.historySize, &b.unseen, &b.deleted); err != nil {
			return err
		}
		b.dir = maildir.Dir{FS: a.fs, Path: filepath.Join(a.root, b.folder)}
		a.boxes[b.name] = b
	}
	return rows.Err()
}

// write runs fn in one transaction of the index, after making sure that
// facteur-uids vouches for what is written. On a full disk fn may run twice. Callers
// hold mu.
func (a *Account) write(ctx context.Context, fn func(*sql.Tx) error) error {
	return a.store.spare.inNeed(func() error { return a.writeOnce(ctx, fn) })
}

func (a *Account) writeOnce(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := a.mark(); err != nil {
		return err
	}
	err := a.idx.write(ctx, func(tx *sql.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		for _, id := range a.done {
			if _, err := tx.Exec("DELETE FROM todo WHERE id = ?", id); err != nil {
				return err
			}
		}
		_, err := tx.Stmt(a.idx.saveMeta).Exec(a.epoch, a.changes+1, a.validity)
		return err
	})
	if err != nil {
		a.suspect(err)
		a.unmark()
		return err
	}
	a.changes++
	a.done = nil
	a.begun()
	return nil
}

// mark writes facteur-uids before the first change of this run, and when the
// reserve of UIDVALIDITY numbers is used up. After a crash before that change is in
// the index, the index is still the right one.
func (a *Account) mark() error {
	if a.marked && a.validity < a.state.Validity {
		return nil
	}
	if !a.marked && a.idx.gone() { // while facteur-uids said that it may be deleted
		a.broken.Store(true)
		return errGone
	}
	s := state{Epoch: a.epoch, Open: true, Validity: max(a.validity, a.now32()) + validityReserve, First: a.first, Taken: a.taken, Taking: a.pending(), Gap: a.state.Gap}
	switch {
	case a.marked:
		s.Base = a.state.Base
	case !a.founding:
		s.Epoch, s.Base = a.nextEpoch(), written{a.epoch, a.changes}
	}
	if err := writeState(a.fs, a.root, s); err != nil {
		return err
	}
	a.state, a.epoch, a.marked = s, s.Epoch, true
	return nil
}

// unmark is for a run whose first change did not come into the index.
func (a *Account) unmark() {
	if base := a.state.Base; a.marked && base.Epoch > 0 && base.Changes == a.changes {
		a.epoch, a.marked = base.Epoch, false
	}
}

// begun takes back that the index of before is right too: one from a backup would
// give UIDs a second time. If that can't be written, the next change tries again.
func (a *Account) begun() {
	if a.state.Base == (written{}) {
		return
	}
	s := a.state
	s.Base = written{}
	if err := writeState(a.fs, a.root, s); err != nil {
		a.warn("an index is not vouched for: " + err.Error())
		return
	}
	a.state = s
}

// now32 is the time as a UIDVALIDITY.
func (a *Account) now32() uint32 { return uint32(a.store.now().Unix()) }

// nextValidity gives a UIDVALIDITY that no mailbox of this account ever had.
func (a *Account) nextValidity() uint32 {
	a.validity = max(a.validity+1, a.now32())
	return a.validity
}

// stop writes what waits and closes the index. Callers hold mu.
func (a *Account) stop() error {
	if !a.started {
		return nil
	}
	a.started = false
	a.digests.Close()
	a.texts.Close()
	if a.drowsy != nil {
		a.drowsy.Stop()
		a.drowsy = nil
	}
	for _, b := range a.boxes {
		defer b.end()
	}
	if a.asleep {
		if a.broken.Swap(false) {
			return a.idx.remove()
		}
		if !a.state.Open && a.allListed() || a.reopen(context.Background()) != nil {
			return nil
		}
	}
	err := a.settle(math.MaxInt64)
	a.shared.Store(nil)
	a.store.slept(a)
	if cerr := a.idx.close(); err == nil {
		err = cerr
	}
	if a.broken.Swap(false) { // the next run makes it anew
		return errors.Join(err, a.idx.remove())
	}
	if err == nil && (a.marked || a.state.Open) {
		err = writeState(a.fs, a.root, a.lastState())
	}
	return err
}

// allListed tells whether no list of UIDs has to be written.
func (a *Account) allListed() bool {
	for _, b := range a.boxes {
		if !b.listed() {
			return false
		}
	}
	return true
}

// lastState is what facteur-uids says at the end of a run.
func (a *Account) lastState() state {
	s := state{Epoch: a.epoch, Changes: a.changes, Validity: a.validity, First: a.first, Taken: a.taken, Taking: a.pending(), Boxes: map[string]lastSeen{}}
	for _, b := range a.boxes {
		if b.listed() {
			s.Boxes[b.folder] = lastSeen{b.validity, b.uidNext, b.modSeq}
		}
	}
	return s
}

func (a *Account) anyUnsaved() bool {
	for _, b := range a.boxes {
		if b.unsaved {
			return true
		}
	}
	return false
}

// saveBoxes writes the rows of mailboxes that changed in memory only.
func (a *Account) saveBoxes(tx *sql.Tx) error {
	for _, b := range a.boxes {
		if b.unsaved {
			if err := b.saveRow(tx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close gives the account back. Each Open has one Close.
func (a *Account) Close() error { return a.store.release(a) }

// Home is the directory of the account, for what other rooms keep there.
func (a *Account) Home() string { return a.home }

// Owner is whose mailboxes they are, as he was said to be last.
func (a *Account) Owner() Owner {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owner
}

// ready is the start of every operation: what was decided is done, and the
// list of mailboxes is that of the disk. Callers hold mu.
func (a *Account) ready(ctx context.Context) error {
	if !a.started {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	a.touch()
	if err := a.awake(ctx); err != nil {
		return err
	}
	if err := a.finish(ctx); err != nil {
		return err
	}
	if err := a.rebuild(ctx); err != nil {
		return err
	}
	return a.refresh(ctx)
}

// suspect looks for SQLite's word that the index is damaged in its structure, which
// mend can't repair, or was deleted.
func (a *Account) suspect(err error) {
	switch sqliteCode(err) & 0xff {
	case sqliteCorrupt, sqliteNotADatabase:
		a.broken.Store(true)
	case sqliteCantOpen:
		if a.idx.gone() {
			a.broken.Store(true)
		}
	}
}

// rebuild makes a damaged index anew, as if it had been deleted. Sessions find their
// mailboxes gone. Callers hold mu.
func (a *Account) rebuild(ctx context.Context) error {
	if !a.broken.Load() {
		return nil
	}
	a.warn("the index is damaged")
	for _, b := range a.boxes {
		b.end()
		a.unwatch(b)
	}
	a.shared.Store(nil)
	a.store.slept(a)
	a.idx.close()
	if err := a.idx.remove(); err != nil {
		return err
	}
	a.broken.Store(false)
	if err := a.begin(ctx); err != nil {
		a.broken.Store(true)
		return fmt.Errorf("mailboxes in %s: %w", a.home, err)
	}
	a.watchAll()
	return nil
}

// find gives an existing mailbox. Callers hold mu and have called ready.
func (a *Account) find(name string) (*box, error) {
	name, err := maildir.Canonical(name)
	if err != nil {
		return nil, ErrNoMailbox
	}
	if b := a.boxes[name]; b != nil {
		return b, nil
	}
	return nil, ErrNoMailbox
}

// poke wakes the sessions whose mailbox looks changed. It never waits: an
// account that is busy must not hold up the delivery to others.
func (a *Account) poke() {
	if !a.poking.CompareAndSwap(false, true) {
		return // one is on its way, and has not looked yet
	}
	go func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.poking.Store(false)
		delivered := a.delivered.Swap(false)
		for _, b := range a.boxes {
			if (b.arrived.Swap(false) || delivered) && b.ownStamp {
				b.newStamp = 0 // the letter may have come in the midst of a change of ours
			}
			if len(b.views) > 0 && !b.unchanged() {
				b.wake()
			}
		}
		a.lookForWatches()
	}()
}

// uniqueDigits is how many digits of a unique name are the time in ns.
const uniqueDigits = 16

// unique is a part of a file name that no other letter gets. Names of the same
// second of arrival sort as they were made: an index that is made anew gives
// them UIDs in the old order, which lets mbsync go on.
func (a *Account) unique() string {
	a.serial++
	return fmt.Sprintf("N%0*xC%06dP%dF%x", uniqueDigits, a.store.now().UnixNano(), a.serial, os.Getpid(), rand.Uint32())
}

func (a *Account) warn(text string, attrs ...slog.Attr) {
	a.store.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "dovecot", Text: text,
		Attrs: append([]slog.Attr{slog.String("user", a.owner.Address)}, attrs...)})
}
