package digest

import (
	"context"
	"sync"
	"time"
)

const (
	// maxFresh is how many bytes of digests wait to be written.
	maxFresh = 1 << 20
	// maxEntry is the largest part of a digest that is kept, in bytes.
	maxEntry = 64 << 10
	// restTime is how long the file stays open after it was last used.
	restTime = 5 * time.Second
	// retryTime is how long a file that can't be opened or written is left alone.
	retryTime = time.Minute
)

// Cache keeps the digests of an account in a file. It is safe for concurrent use.
type Cache struct {
	path string

	mu     sync.Mutex
	file   *file                    // nil: not open
	fresh  map[pageID]*page         // made, not yet written
	size   int                      // of fresh, in bytes
	making map[pageID]chan struct{} // closed when the digests of a page are made
	used   bool                     // since the timer was set
	timer  *time.Timer              // runs while the file is open or something is fresh
	after  time.Time                // not to be tried before
	closed bool
}

// New makes a Cache in the file at path, which need not be there. Nothing is
// opened until it is used.
func New(path string) *Cache { return &Cache{path: path} }

// Open ends what Close began. A new Cache is open.
func (c *Cache) Open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = false
}

// Close writes what waits and closes the file. The Cache keeps nothing until Open.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
	c.shut()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// Keep puts the digest of a letter into the cache, unless it is very large. False
// says that the cache is closed.
func (c *Cache) Keep(k Key, d *Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	var data [parts][]byte
	for part := range parts {
		if data[part] = d.append(nil, part); len(data[part]) > maxEntry {
			return true
		}
	}
	if c.fresh == nil {
		c.fresh = map[pageID]*page{}
	}
	for part := range parts {
		id := k.page() + pageID(part)
		if c.fresh[id] == nil {
			c.fresh[id] = new(page)
			c.size += pageLetters * 32
		}
		c.fresh[id][k.slot()] = entry{k.mark(), data[part]}
		c.size += len(data[part])
	}
	c.touch()
	if c.size > maxFresh {
		c.flush()
	}
	return true
}

// Reserve lets one caller at a time make the digests of a letter's page. Who waited
// looks first whether they are there now. The caller must call release.
func (c *Cache) Reserve(ctx context.Context, k Key) (release func(), err error) {
	id := k.page()
	for {
		c.mu.Lock()
		busy := c.making[id]
		if busy == nil {
			break
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer c.mu.Unlock()
	done := make(chan struct{})
	if c.making == nil {
		c.making = map[pageID]chan struct{}{}
	}
	c.making[id] = done
	return func() {
		c.mu.Lock()
		delete(c.making, id)
		c.mu.Unlock()
		close(done)
	}, nil
}

// Flush writes what waits.
func (c *Cache) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
}

// Sweep deletes what is kept of mailboxes that are gone, and of letters of one
// mailbox, by UIDVALIDITY, that are not among the UIDs, which ascend. It works by
// the page: a letter that is gone stays as long as a neighbour does.
func (c *Cache) Sweep(alive func(validity uint32) bool, mailbox uint32, uids []uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open() {
		return
	}
	err := c.file.sweepMailboxes(alive)
	if err == nil {
		err = c.file.sweep(mailbox, uids)
	}
	c.fault(err)
}

// read loads a page and what is fresh of it. Callers hold mu.
func (c *Cache) read(id pageID, buf []byte) (b block, fresh *page) {
	if p := c.fresh[id]; p != nil {
		fresh = new(page)
		*fresh = *p
	}
	if !c.open() {
		return nil, fresh
	}
	b, err := c.file.read(id, buf)
	c.fault(err)
	return b, fresh
}

// open opens the file if it can be. Callers hold mu.
func (c *Cache) open() bool {
	if c.file == nil && !c.closed && !time.Now().Before(c.after) {
		var err error
		if c.file, err = openFile(c.path); err != nil {
			c.file = nil
			c.after = time.Now().Add(retryTime)
		}
	}
	if c.file == nil {
		return false
	}
	c.touch()
	return true
}

// flush writes what is fresh. What can't be written is forgotten: it can be made
// again. Callers hold mu.
func (c *Cache) flush() {
	if len(c.fresh) > 0 && c.open() {
		c.fault(c.file.write(c.fresh))
	}
	c.fresh, c.size = nil, 0
}

// fault deals with an error of the file. Callers hold mu.
func (c *Cache) fault(err error) {
	if err == nil {
		return
	}
	c.shut()
	if !hopeless(err) || remove(c.path) != nil {
		c.after = time.Now().Add(retryTime)
	}
}

func (c *Cache) shut() {
	if c.file != nil {
		c.file.close()
		c.file = nil
	}
}

// touch keeps the file open for a while. Callers hold mu.
func (c *Cache) touch() {
	c.used = true
	if c.timer == nil && !c.closed {
		c.timer = time.AfterFunc(restTime, c.rest)
	}
}

// rest writes and closes when nobody came for a while.
func (c *Cache) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.flush()
	if c.used {
		c.used = false
		c.timer.Reset(restTime)
		return
	}
	c.shut()
	c.timer = nil
}

// Reader reads digests for one command. It is used by one goroutine, best for
// ascending UIDs: it has one page in memory.
type Reader struct {
	cache  *Cache
	want   Want
	page   pageID // -1: none
	blocks [parts]block
	bufs   [parts][]byte
	fresh  [parts]*page
	digest Digest
}

// Reader makes a Reader for some parts of digests.
func (c *Cache) Reader(want Want) *Reader { return &Reader{cache: c, want: want, page: -1} }

// Get gives the digest of a letter, nil if it is not kept. It is good until the
// next Get.
func (r *Reader) Get(k Key) *Digest {
	if k.page() != r.page {
		r.load(k.page())
	}
	r.digest = Digest{UID: k.UID}
	for part := range parts {
		if r.want>>part&1 == 0 {
			continue
		}
		e := r.entry(part, k)
		if e.data == nil || e.mark != k.mark() || !r.digest.decode(e.data, part, r.want) {
			return nil
		}
	}
	return &r.digest
}

// Has tells whether Get would give a digest, more cheaply.
func (r *Reader) Has(k Key) bool {
	if k.page() != r.page {
		r.load(k.page())
	}
	for part := range parts {
		if r.want>>part&1 == 1 {
			if e := r.entry(part, k); e.data == nil || e.mark != k.mark() {
				return false
			}
		}
	}
	return true
}

func (r *Reader) entry(part int, k Key) entry {
	if p := r.fresh[part]; p != nil && p[k.slot()].data != nil {
		return p[k.slot()]
	}
	return r.blocks[part].get(k.slot())
}

// Forget makes the Reader look again.
func (r *Reader) Forget() { r.page = -1 }

func (r *Reader) load(id pageID) {
	r.page = id
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	for part := range parts {
		if r.want>>part&1 == 0 {
			continue
		}
		r.blocks[part], r.fresh[part] = r.cache.read(id+pageID(part), r.bufs[part])
		if r.blocks[part] != nil {
			r.bufs[part] = r.blocks[part]
		}
	}
}
