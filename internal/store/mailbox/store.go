package mailbox

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
	"facteur/internal/store/quota"
)

// Owner is whose mailboxes to open.
type Owner struct {
	Address string // for events only
	Home    string // absolute directory that holds index.db, and Maildir/ if that is not elsewhere
	// Maildir is the absolute path of the letters; "" is Home/Maildir. FS is how they
	// are reached; nil is the Store's. What else an account has is in Home always, and
	// in the Store's file system. The two stay the same while the account is open.
	Maildir string
	FS      vfs.FS
	Quota   quota.Limits
	Keep    Retention
	Expire  []ExpireRule // for ExpireOld
}

// root is the Maildir.
func (o Owner) root() string {
	if o.Maildir != "" {
		return filepath.Clean(o.Maildir)
	}
	return filepath.Join(o.Home, "Maildir")
}

// files is where root is.
func (o Owner) files(usual vfs.FS) vfs.FS {
	if o.FS != nil {
		return o.FS
	}
	return usual
}

// counted is the owner as the book of quotas knows him.
func (o Owner) counted() quota.Owner {
	return quota.Owner{Address: o.Address, Root: o.root(), Home: o.Home, FS: o.FS, Limits: o.Quota}
}

// Store opens accounts and shares them among sessions. It is safe for
// concurrent use.
type Store struct {
	fs     vfs.FS
	events event.Sink
	quota  *quota.Book
	host   string // in the names of files we make
	now    func() time.Time

	wake     time.Duration // how long an index stays open after an operation
	maxAwake int           // most open indexes

	linger time.Duration // how long an account that nobody uses stays open

	mu       sync.Mutex
	accounts map[string]*Account // by Home
	awake    map[*Account]bool   // whose index is open
	resting  int                 // how many of them nobody uses
	closed   bool
	watch    *watcher
	aside    aside
	spare    spare

	defaults atomic.Pointer[[]Default]
	cutting  atomic.Pointer[Cutting]
}

const (
	// lingerTime spares clients that come back at once the opening of the index:
	// many make a connection for each thing that they do.
	lingerTime = 10 * time.Second
	// maxResting bounds the open files and the memory of indexes that linger.
	maxResting = 100
)

// New makes a store on a file system.
func New(fs vfs.FS, events event.Sink) *Store {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	s := &Store{fs: fs, events: events, quota: quota.New(fs), host: host, now: time.Now, linger: lingerTime, wake: wakeTime, maxAwake: maxAwake, awake: map[*Account]bool{}, accounts: map[string]*Account{}}
	s.SetDefaults(Defaults())
	if _, real := fs.(vfs.OS); real {
		s.watch = newWatcher()
	}
	return s
}

// Open gives the mailboxes of an account. All sessions of one Home share them;
// each must Close what it got. The first Open makes what is missing: the
// Maildir, the index, and the mailboxes Drafts, Sent, Junk, Trash and Archive.
func (s *Store) Open(ctx context.Context, o Owner) (*Account, error) {
	o.Home = filepath.Clean(o.Home)
	s.mu.Lock()
	a := s.accounts[o.Home]
	if a == nil {
		a = newAccount(s, o)
		s.accounts[o.Home] = a
	}
	rested := a.rest != nil
	if rested {
		a.rest.Stop()
		a.rest = nil
		s.resting--
	}
	a.users++
	s.mu.Unlock()
	if err := a.start(ctx, o, rested); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Quota is the book in which the mail of all accounts is counted.
func (s *Store) Quota() *quota.Book { return s.quota }

// Usage is what counts of an account's mail, opened or not.
func (s *Store) Usage(ctx context.Context, o Owner) (quota.Usage, error) {
	return s.quota.Usage(ctx, o.counted())
}

// Renew takes over what is said of an owner now, if somebody has his mailboxes open.
func (s *Store) Renew(o Owner) error {
	s.mu.Lock()
	a := s.accounts[filepath.Clean(o.Home)]
	s.mu.Unlock()
	if a != nil {
		o.Home = filepath.Clean(o.Home)
		a.mu.Lock()
		a.owner = o
		a.mu.Unlock()
	}
	return nil
}

// Free is the size of the largest letter that can be delivered to an account now, in
// bytes; 0 if it is full. need is the size that is asked for, if it is known.
func (s *Store) Free(ctx context.Context, o Owner, need int64) (int64, error) {
	return s.quota.Free(ctx, o.counted(), need)
}

// Delivered tells that this process put a letter of so many bytes into a mailbox. It
// counts, and wakes the sessions that have the mailbox open. Of the owner of an INBOX, only
// where his mail is need be known.
func (s *Store) Delivered(o Owner, name string, bytes int64) {
	o.Home = filepath.Clean(o.Home)
	s.quota.Delivered(o.counted(), name, bytes)
	s.Notify(o.Home)
}

// Notify tells that something changed below home. It wakes the sessions that have
// the mailbox open; without any it costs nothing.
func (s *Store) Notify(home string) {
	s.mu.Lock()
	a := s.accounts[filepath.Clean(home)]
	s.mu.Unlock()
	if a != nil {
		a.delivered.Store(true)
		a.poke()
	}
}

// Discard closes the mailboxes of a home whose account is being removed, whoever has
// them open: nothing can be done with them any more. Who opens the home again gets
// what is there then.
func (s *Store) Discard(home string) error {
	home = filepath.Clean(home)
	s.mu.Lock()
	a := s.accounts[home]
	s.mu.Unlock()
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.stop()
	a.discarded = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[home] == a {
		delete(s.accounts, home)
	}
	return err
}

// Close closes the accounts that are still open, whoever has them.
func (s *Store) Close() error {
	s.mu.Lock()
	var left []*Account
	for home, a := range s.accounts {
		left = append(left, a)
		delete(s.accounts, home)
		if a.rest != nil {
			a.rest.Stop()
		}
	}
	s.closed = true
	s.mu.Unlock()
	var first error
	for _, a := range left {
		a.mu.Lock()
		if err := a.stop(); first == nil {
			first = err
		}
		a.mu.Unlock()
	}
	if s.watch != nil {
		s.watch.close()
	}
	s.spare.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.quota.Wait(ctx) // what has no line by then is counted at the next start
	return first
}

// release is the end of one use of an account. After the last one it stays open
// for a while, unless many do.
func (s *Store) release(a *Account) error {
	s.mu.Lock()
	a.users--
	idle := a.users == 0
	if idle && s.linger > 0 && s.resting < maxResting && !s.closed {
		s.resting++
		a.rest = time.AfterFunc(s.linger, func() { s.rested(a) })
		idle = false
	}
	s.mu.Unlock()
	if !idle {
		return nil
	}
	return s.shut(a)
}

// rested is the end of an account's rest, unless somebody opened it meanwhile.
func (s *Store) rested(a *Account) {
	s.mu.Lock()
	over := a.rest != nil && a.users == 0 && !s.closed
	if over {
		a.rest = nil
		s.resting--
	}
	s.mu.Unlock()
	if !over {
		return
	}
	if err := s.shut(a); err != nil {
		a.warn("closing an index: " + err.Error())
	}
}

// shut closes an account that nobody uses. Whoever opens the same home meanwhile
// gets the same Account and starts it again.
func (s *Store) shut(a *Account) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.inUse(a, false) {
		return nil
	}
	err := a.stop()
	s.inUse(a, true)
	return err
}

// inUse tells whether somebody has the account, and if not, may forget it.
func (s *Store) inUse(a *Account, forget bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.users == 0 && forget && s.accounts[a.home] == a {
		delete(s.accounts, a.home)
	}
	return a.users > 0
}
