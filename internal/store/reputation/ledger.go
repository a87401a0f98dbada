package reputation

import (
	"sync"

	"facteur/internal/base/limit"
	"facteur/internal/store/behind"
)

// ledger is the records of one kind of subjects. Everything is answered from memory.
type ledger struct {
	kind    Kind
	most    int
	mu      sync.Mutex
	entries map[string]*entry
	changed *behind.Rows[string]
}

func newLedger(k Kind, most int) *ledger {
	l := &ledger{kind: k, most: most, entries: make(map[string]*entry)}
	l.changed = behind.NewRows(&l.mu, 2*most, l.row)
	return l
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
			least := limit.Spare(l.entries, func(e *entry) float64 { return e.worth(now) })
			delete(l.entries, least)
			l.changed.Touch(least)
		}
		e = &entry{}
		l.entries[key] = e
	}
	e.fade(now)
	fn(e)
	l.changed.Touch(key)
}

// forget drops an entry, and tells whether there was one.
func (l *ledger) forget(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, there := l.entries[key]
	if there {
		delete(l.entries, key)
		l.changed.Touch(key)
	}
	return there
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
			l.changed.Touch(key)
		}
	}
}
