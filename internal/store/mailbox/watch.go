package mailbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// watcher wakes sessions when another program touches an open mailbox. Where
// the system gives no more watches, Poll finds the change all the same.
type watcher struct {
	mu    sync.Mutex
	fs    *fsnotify.Watcher // made with the first mailbox
	boxes map[string]*box   // by directory
	roots map[string]*Account
}

func newWatcher() *watcher { return &watcher{boxes: map[string]*box{}, roots: map[string]*Account{}} }

// start makes the system's watcher. Callers hold mu.
func (w *watcher) start() bool {
	if w.fs == nil {
		fs, err := fsnotify.NewWatcher()
		if err != nil {
			return false
		}
		w.fs = fs
		go w.run(fs)
	}
	return true
}

// addRoot watches the Maildir itself, for mailboxes that come and go.
func (w *watcher) addRoot(a *Account) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.start() && w.roots[a.root] == nil && w.fs.Add(a.root) == nil {
		w.roots[a.root] = a
	}
}

// removeRoot stops watching the Maildir itself.
func (w *watcher) removeRoot(a *Account) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.roots[a.root] == a {
		delete(w.roots, a.root)
		w.fs.Remove(a.root)
	}
}

// add watches the two directories of a mailbox.
func (w *watcher) add(b *box) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.start() {
		return
	}
	for _, dir := range []string{b.dir.New(""), b.dir.Cur("")} {
		if w.boxes[dir] == b {
			continue
		}
		if w.fs.Add(dir) == nil {
			w.boxes[dir] = b
		}
	}
}

// remove stops watching a mailbox.
func (w *watcher) remove(b *box) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, dir := range []string{b.dir.New(""), b.dir.Cur("")} {
		if w.boxes[dir] == b {
			delete(w.boxes, dir)
			w.fs.Remove(dir)
		}
	}
}

// many is from how many files on inotify is told to look away while we rename them:
// it would tell of each one twice.
const many = 32

// quietly has inotify look away from mailboxes while we change n files. Who waits is
// woken afterwards to look at what came to new/ meanwhile.
func (a *Account) quietly(n int, boxes ...*box) (again func()) {
	w := a.store.watch
	if w == nil || n < many {
		return func() {}
	}
	var back []*box
	for _, b := range boxes {
		if w.has(b) {
			w.remove(b)
			back = append(back, b)
		}
	}
	return func() {
		for _, b := range back {
			w.add(b)
		}
		if len(back) > 0 {
			a.delivered.Store(true)
			a.poke()
		}
	}
}

func (w *watcher) has(b *box) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.boxes[b.dir.Cur("")] == b
}

// run ends when the watcher is closed.
func (w *watcher) run(fs *fsnotify.Watcher) {
	for {
		select {
		case e, ok := <-fs.Events:
			if !ok {
				return
			}
			if !e.Has(fsnotify.Chmod) {
				w.touched(filepath.Dir(e.Name), e.Has(fsnotify.Create) && !ours(filepath.Base(e.Name)))
			}
		case _, ok := <-fs.Errors:
			if !ok {
				return
			}
			// Events were lost: everybody looks.
			w.mu.Lock()
			all := make([]string, 0, len(w.boxes))
			for dir := range w.boxes {
				all = append(all, dir)
			}
			for root := range w.roots {
				all = append(all, root)
			}
			w.mu.Unlock()
			for _, dir := range all {
				w.touched(dir, true)
			}
		}
	}
}

// touched: something happened in a directory; foreign: another program put a file there,
// or we gave flags to one of its.
func (w *watcher) touched(dir string, foreign bool) {
	w.mu.Lock()
	b, a := w.boxes[dir], w.roots[dir]
	w.mu.Unlock()
	switch {
	case b != nil:
		if foreign && dir == b.dir.New("") {
			b.arrived.Store(true)
		}
		b.acct.poke()
	case a != nil:
		a.poke()
	}
}

// ours tells whether this process made the name of a file; see Account.unique.
func ours(name string) bool { return strings.Contains(name, fmt.Sprintf("P%dF", os.Getpid())) }

func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fs != nil {
		w.fs.Close()
		w.fs = nil
	}
	clear(w.boxes)
	clear(w.roots)
}
