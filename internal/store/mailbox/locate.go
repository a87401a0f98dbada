package mailbox

import (
	"context"
	"slices"
	"sync"
)

// maxCached is how many decoded pages a mailbox keeps to find files by: those of
// whoever reads letters in their order, and of a few others.
const maxCached = 4

// whereabouts keeps what was last read to find files. Who reads letters does so
// without Account.mu, beside one who writes: what was read while something was
// written is not kept.
type whereabouts struct {
	mu      sync.Mutex
	writing bool
	writes  uint64
	names   []namesAt  // the last used first
	places  []placesAt // the last used first
}

type namesAt struct {
	n    uint32
	list []named
}

type placesAt struct {
	n    uint32
	list []place
}

// place is where a letter's file is, but for the base of its name.
type place struct {
	uid uint32
	found
}

// hold keeps readers from keeping what they read until release.
func (w *whereabouts) hold() {
	w.mu.Lock()
	w.writing = true
	w.mu.Unlock()
}

// release forgets the pages of a mailbox that was written.
func (w *whereabouts) release() {
	w.mu.Lock()
	w.writing, w.names, w.places = false, nil, nil
	w.writes++
	w.mu.Unlock()
}

// forget gives the memory back.
func (w *whereabouts) forget() {
	w.mu.Lock()
	w.names, w.places = nil, nil
	w.mu.Unlock()
}

// front finds a page and puts it first.
func front[T any](list []T, is func(T) bool) (x T, ok bool) {
	i := slices.IndexFunc(list, is)
	if i < 0 {
		return x, false
	}
	x = list[i]
	copy(list[1:i+1], list[:i])
	list[0] = x
	return x, true
}

// push puts a page first, in place of the one that was not used for longest.
func push[T any](list []T, x T) []T {
	if len(list) < maxCached {
		list = append(list, x)
	}
	copy(list[1:], list)
	list[0] = x
	return list
}

// locate gives a letter's file; ErrGone if there is no such letter. It may be
// called without Account.mu.
func (b *box) locate(ctx context.Context, uid uint32) (file, error) {
	base, err := b.baseOf(ctx, uid)
	if err != nil {
		return file{}, err
	}
	p, err := b.placeOf(ctx, uid)
	return file{base, p}, err
}

// baseOf gives the base of a letter's file name.
func (b *box) baseOf(ctx context.Context, uid uint32) (string, error) {
	n, w := uid>>nameBits, &b.where
	w.mu.Lock()
	p, ok := front(w.names, func(p namesAt) bool { return p.n == n })
	writes, writing := w.writes, w.writing
	w.mu.Unlock()
	if !ok {
		list, err := b.readNames(ctx, nil, n)
		if err != nil {
			return "", err
		}
		p = namesAt{n, list}
		w.mu.Lock()
		if !writing && !w.writing && w.writes == writes {
			w.names = push(w.names, p)
		}
		w.mu.Unlock()
	}
	i, ok := slices.BinarySearchFunc(p.list, uid, func(x named, uid uint32) int { return int(int64(x.uid) - int64(uid)) })
	if !ok {
		return "", ErrGone
	}
	return p.list[i].base, nil
}

// placeOf gives the rest of it.
func (b *box) placeOf(ctx context.Context, uid uint32) (found, error) {
	n, w := uid>>pageBits, &b.where
	w.mu.Lock()
	p, ok := front(w.places, func(p placesAt) bool { return p.n == n })
	writes, writing := w.writes, w.writing
	w.mu.Unlock()
	if !ok {
		list, err := b.readRecords(ctx, nil, n, nil)
		if err != nil {
			return found{}, err
		}
		p = placesAt{n, make([]place, len(list))}
		for i := range list {
			p.list[i] = place{list[i].uid, list[i].found}
		}
		w.mu.Lock()
		if !writing && !w.writing && w.writes == writes {
			w.places = push(w.places, p)
		}
		w.mu.Unlock()
	}
	i, ok := slices.BinarySearchFunc(p.list, uid, func(x place, uid uint32) int { return int(int64(x.uid) - int64(uid)) })
	if !ok {
		return found{}, ErrGone
	}
	return p.list[i].found, nil
}

// whoHas finds the letters whose files have the given bases, without an index of
// bases: when a letter came into its mailbox follows from the base, and only the
// names of letters that came at such a time are looked at. Callers hold Account.mu.
func (b *box) whoHas(ctx context.Context, bases map[string]bool, fn func(uid uint32, base string)) error {
	times := make(map[uint32]bool, len(bases))
	for base := range bases {
		times[savedFrom(base)] = true
	}
	var pages []uint32 // of names, ascending
	look := func(l *letter) {
		if n := l.uid >> nameBits; times[l.saved] && (len(pages) == 0 || pages[len(pages)-1] != n) {
			pages = append(pages, n)
		}
	}
	if err := b.eachLetter(ctx, look); err != nil {
		return err
	}
	for _, n := range pages {
		list, err := b.readNames(ctx, nil, n)
		if err != nil {
			return err
		}
		for _, x := range list {
			if bases[x.base] {
				fn(x.uid, x.base)
			}
		}
	}
	return nil
}

// eachLetter goes through the letters in memory, or else in the index.
func (b *box) eachLetter(ctx context.Context, fn func(l *letter)) error {
	if b.loaded {
		for i := range b.letters {
			fn(&b.letters[i])
		}
		return nil
	}
	if err := b.loadKeywords(ctx); err != nil {
		return err
	}
	return b.eachPage(ctx, queryPages, 0, func(_ uint32, list []record) error {
		for i := range list {
			fn(&list[i].letter)
		}
		return nil
	})
}

// allUIDs lists a mailbox's letters.
func (b *box) allUIDs(ctx context.Context) ([]uint32, error) {
	out := make([]uint32, 0, b.count)
	err := b.eachLetter(ctx, func(l *letter) { out = append(out, l.uid) })
	return out, err
}

// stored gives a letter from memory or the index. Callers hold Account.mu.
func (b *box) stored(ctx context.Context, uid uint32) (letter, error) {
	if b.loaded {
		if i, ok := b.position(uid); ok {
			return b.letters[i], nil
		}
		return letter{}, ErrGone
	}
	if err := b.loadKeywords(ctx); err != nil {
		return letter{}, err
	}
	list, err := b.readRecords(ctx, nil, uid>>pageBits, b.set)
	if err != nil {
		return letter{}, err
	}
	for i := range list {
		if list[i].uid == uid {
			return list[i].letter, nil
		}
	}
	return letter{}, ErrGone
}
