package mailbox

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// NoticeKind says what a Notice tells.
type NoticeKind uint8

// What may happen to the mailboxes of an account.
const (
	NoticeNew        NoticeKind = iota // letters arrived
	NoticeExpunged                     // letters are gone
	NoticeFlags                        // flags or keywords of letters changed
	NoticeCreated                      // the mailbox is there
	NoticeRenamed                      // Notice.Mailbox is the new name, Old the old one
	NoticeDeleted                      // the mailbox is no more
	NoticeSubscribed                   // its subscription changed
	NoticeMetadata                     // an annotation of it changed
	NoticeLost                         // more happened than was kept: anything may be different
	noticeKinds
)

// Notice is one thing that happened to a mailbox.
type Notice struct {
	Mailbox string // "" with NoticeLost
	Old     string
	Kind    NoticeKind
}

// maxNotices is of how many mailboxes a Watch keeps what happened.
const maxNotices = 1000

// Watch tells one session what happens to all mailboxes of an account: for NOTIFY
// (RFC 5465). While there is one, all mailboxes are watched for what other programs
// do, as far as the system has watches.
type Watch struct {
	C    <-chan struct{} // gets a token when Next has something
	acct *Account
	c    chan struct{}
	call func() // by Account.mu

	mu      sync.Mutex
	kinds   map[string]uint16 // by mailbox: bits by kind
	renamed map[string]string // new name → old
	lost    bool
}

// Watch begins to watch. Each has one Close.
func (a *Account) Watch() *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, acct: a, kinds: map[string]uint16{}, renamed: map[string]string{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watches == nil {
		a.watches = map[*Watch]bool{}
	}
	a.watches[w] = true
	a.watchAll()
	return w
}

// Close ends the watching.
func (w *Watch) Close() {
	a := w.acct
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.watches, w)
	if len(a.watches) == 0 {
		a.unwatchAll()
	}
}

// Next gives what happened since the last call, by mailbox and kind, each once.
func (w *Watch) Next() []Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		w.reset()
		return []Notice{{Kind: NoticeLost}}
	}
	var out []Notice
	for _, name := range slices.Sorted(maps.Keys(w.kinds)) {
		for k := range noticeKinds {
			if w.kinds[name]&(1<<k) == 0 {
				continue
			}
			n := Notice{Mailbox: name, Kind: k}
			if k == NoticeRenamed {
				n.Old = w.renamed[name]
			}
			out = append(out, n)
		}
	}
	w.reset()
	return out
}

func (w *Watch) reset() {
	clear(w.kinds)
	clear(w.renamed)
	w.lost = false
}

func (w *Watch) put(name, old string, kind NoticeKind) {
	w.mu.Lock()
	if len(w.kinds) >= maxNotices && w.kinds[name] == 0 {
		w.reset()
		w.lost = true
	}
	if !w.lost {
		w.kinds[name] |= 1 << kind
		if old != "" {
			w.renamed[name] = old
		}
	}
	w.mu.Unlock()
	select {
	case w.c <- struct{}{}:
	default:
	}
	if w.call != nil {
		w.call()
	}
}

// OnNotice has f called whenever Next has something, beside the token of C. f is
// called under a lock of the account: it must neither wait nor call back.
func (w *Watch) OnNotice(f func()) {
	w.acct.mu.Lock()
	defer w.acct.mu.Unlock()
	w.call = f
}

// Announce tells those who watch of something that the engine does not know of,
// as NoticeMetadata.
func (a *Account) Announce(mailbox string, kind NoticeKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tell(mailbox, kind)
}

// tell is for those who watch. Callers hold Account.mu.
func (a *Account) tell(name string, kind NoticeKind) {
	for w := range a.watches {
		w.put(name, "", kind)
	}
}

func (a *Account) tellRename(old, name string) {
	for w := range a.watches {
		w.put(name, old, NoticeRenamed)
	}
}

// tellChange tells of a change that was committed.
func (a *Account) tellChange(d *delta) {
	if len(a.watches) == 0 {
		return
	}
	for _, x := range []struct {
		n    int
		kind NoticeKind
	}{{len(d.added), NoticeNew}, {len(d.removed), NoticeExpunged}, {len(d.changed), NoticeFlags}} {
		if x.n > 0 {
			a.tell(d.b.name, x.kind)
		}
	}
}

// watchAll has inotify tell of every mailbox, and of new ones, while somebody
// watches. Callers hold Account.mu.
func (a *Account) watchAll() {
	if a.store.watch == nil || len(a.watches) == 0 {
		return
	}
	a.store.watch.addRoot(a)
	for _, b := range a.boxes {
		a.store.watch.add(b)
	}
}

// unwatchAll leaves only what sessions have open.
func (a *Account) unwatchAll() {
	if a.store.watch == nil {
		return
	}
	a.store.watch.removeRoot(a)
	for _, b := range a.boxes {
		a.unwatch(b)
	}
}

// unwatch has inotify forget a mailbox that nobody needs it for.
func (a *Account) unwatch(b *box) {
	if a.store.watch != nil && len(b.views) == 0 && (len(a.watches) == 0 || b.gone) {
		a.store.watch.remove(b)
	}
}

// lookForWatches finds what other programs did to mailboxes that nobody has open.
// What can't be looked at now is found at the next operation. Callers hold mu.
func (a *Account) lookForWatches() {
	if len(a.watches) == 0 || !a.started {
		return
	}
	ctx := context.Background()
	if a.ready(ctx) != nil {
		return
	}
	for _, b := range a.boxes {
		if !b.unchanged() {
			b.sync(ctx)
		}
	}
}
