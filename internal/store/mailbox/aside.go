package mailbox

import (
	"context"
	"sync"
	"time"

	"facteur/internal/store/digest"
)

// aside is work on the caches that nobody waits for: digests of letters that came
// while their mailbox is open, and the sweeping of what is gone. One goroutine does
// it for all accounts, and rests as long as it works.
type aside struct {
	mu      sync.Mutex
	queue   []sideJob
	running bool
}

// sideJob is about one mailbox.
type sideJob struct {
	b    *box
	keys []digest.Key // of letters that came
}

const (
	// maxAside is how many mailboxes may wait. What is not taken is done at first
	// need.
	maxAside = 1000
	// maxAhead is how many letters that came together are worked out ahead.
	maxAhead = 256
)

// add takes a job, if there is room.
func (w *aside) add(j sideJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= maxAside {
		return
	}
	w.queue = append(w.queue, j)
	if !w.running {
		w.running = true
		go w.run()
	}
}

// run ends when nothing is left to do.
func (w *aside) run() {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			w.queue, w.running = nil, false
			w.mu.Unlock()
			return
		}
		j := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		j.b.digestAll(j.keys)
		j.b.sweepDigests()
	}
}

// anticipate has the digests made of the letters that this session was not told of
// before. Callers hold Account.mu.
func (v *View) anticipate(told int) {
	uids := v.uids[told:]
	if len(uids) == 0 || len(uids) > maxAhead {
		return
	}
	j := sideJob{b: v.box}
	for i, uid := range uids {
		if l, ok := v.box.known(uid, told+i); ok {
			j.keys = append(j.keys, digest.Key{Validity: v.box.validity, UID: uid, Size: l.size, Received: l.received})
		}
	}
	v.acct.store.aside.add(j)
}

// digestAll makes digests that are not there. What goes wrong, because the letter or
// the account is gone, is left to who asks.
func (b *box) digestAll(keys []digest.Key) {
	var m digest.Maker
	for _, k := range keys {
		began := time.Now()
		if !b.digestOne(&m, k) {
			return
		}
		time.Sleep(time.Since(began))
	}
}

func (b *box) digestOne(m *digest.Maker, k digest.Key) (more bool) {
	cache := b.acct.digests
	release, err := cache.Reserve(context.Background(), k)
	if err != nil {
		return false
	}
	defer release()
	if cache.Reader(digest.List).Has(k) {
		return true
	}
	l, err := b.read(context.Background(), k.UID)
	if err != nil {
		return true
	}
	defer l.Close()
	if d, err := m.Make(l); err == nil {
		return cache.Keep(k, d)
	}
	return true
}

// sweepDigests takes out of the cache what is gone, once while the mailbox is open.
func (b *box) sweepDigests() {
	a := b.acct
	a.mu.Lock()
	b.mu.RLock()
	known := b.loaded && !b.resting
	letters := b.letters // changed by holders of Account.mu only
	b.mu.RUnlock()
	if !a.started || b.gone || !known || b.swept {
		a.mu.Unlock()
		return
	}
	b.swept = true
	alive := make(map[uint32]bool, len(a.boxes))
	for _, x := range a.boxes {
		alive[x.validity] = true
	}
	uids := make([]uint32, 0, len(letters))
	for _, l := range letters {
		uids = append(uids, l.uid)
	}
	a.mu.Unlock()
	a.digests.Sweep(func(validity uint32) bool { return alive[validity] }, b.validity, uids)
}
