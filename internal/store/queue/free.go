package queue

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// space remembers for a moment how much of the disk is free.
type space struct {
	mu    sync.Mutex
	free  int64
	asked time.Time
}

// Free is how many bytes of the queue's disk are free for us, as of a second ago at
// most. Where the disk does not tell, there is room: what does not fit fails later.
func (q *Queue) Free() int64 {
	q.space.mu.Lock()
	defer q.space.mu.Unlock()
	if now := time.Now(); now.Sub(q.space.asked) >= time.Second {
		q.space.free, q.space.asked = freeAt(q.spoolDir), now
	}
	return q.space.free
}

func freeAt(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Bavail > math.MaxInt64/uint64(max(st.Bsize, 1)) {
		return math.MaxInt64
	}
	return int64(st.Bavail) * st.Bsize
}
