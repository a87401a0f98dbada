package reputation

import "sync"

// ledger is the records of one kind of subjects. Everything is answered from memory.
type ledger struct {
	kind    Kind
	most    int
	mu      sync.Mutex
	entries map[string]*entry
	changed map[string]struct{} // since the last write; those who are gone too
}

func newLedger(k Kind, most int) *ledger {
	return &ledger{kind: k, most: most, entries: make(map[string]*entry), changed: make(map[string]struct{})}
}

// look is a copy of an entry as of now; zero for a stranger.
func (l *ledger) look(key string, now int64) (e entry, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := l.entries[key]
	if there == nil {
		return entry{}, false
	}
	e = *there
	e.fade(now)
	return e, !e.isSpent(now)
}

// change changes an entry, which it makes if there is none.
func (l *ledger) change(key string, now int64, fn func(*entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[key]
	if e == nil {
		if len(l.entries) >= l.most {
			l.makeRoom(now)
		}
		e = &entry{}
		l.entries[key] = e
	}
	e.fade(now)
	fn(e)
	l.touch(key)
}

// forget drops an entry, and tells whether there was one.
func (l *ledger) forget(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, there := l.entries[key]
	if there {
		delete(l.entries, key)
		l.touch(key)
	}
	return there
}

// touch notes a change; see Store.touch.
func (l *ledger) touch(key string) {
	if len(l.changed) < 2*l.most {
		l.changed[key] = struct{}{}
	}
}

// makeRoom forgets, of a few, the one that is worth least; see entry.worth.
func (l *ledger) makeRoom(now int64) {
	const few = 16
	gone, least, seen := "", 0.0, 0
	for key, e := range l.entries { // in an order by chance
		if w := e.worth(now); seen == 0 || w < least {
			gone, least = key, w
		}
		if seen++; seen == few {
			break
		}
	}
	delete(l.entries, gone)
	l.touch(gone)
}

// each gives a copy of each entry as of now, in no order.
func (l *ledger) each(now int64, fn func(key string, e *entry)) {
	l.mu.Lock()
	all := make(map[string]entry, len(l.entries))
	for key, e := range l.entries {
		all[key] = *e
	}
	l.mu.Unlock()
	for key, e := range all {
		if e.fade(now); !e.isSpent(now) {
			fn(key, &e)
		}
	}
}

// sweep drops what counts for nothing any more.
func (l *ledger) sweep(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.entries {
		if e.fade(now); e.isSpent(now) {
			delete(l.entries, key)
			l.touch(key)
		}
	}
}

// take takes some changes to write them; of who is gone, nil.
func (l *ledger) take() map[string]*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := make(map[string]*entry)
	for key := range l.changed {
		batch[key] = nil
		if e := l.entries[key]; e != nil {
			c := *e
			batch[key] = &c
		}
		delete(l.changed, key)
		if len(batch) == writeMost {
			break
		}
	}
	return batch
}

func (l *ledger) giveBack(batch map[string]*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range batch {
		l.touch(key)
	}
}
