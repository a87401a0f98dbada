package learn

import (
	"context"
	"sync"
)

const (
	// queueMost is how many acts of users wait at most, bytesMost how many bytes of memory
	// what they are about may take.
	queueMost = 1000
	bytesMost = 64 << 20
)

// task is something to be done in the background.
type task struct {
	size int64 // bytes that it keeps in memory
	do   func(ctx context.Context)
}

// line is where tasks wait. The accounts that have some take turns, so that who has very
// many keeps nobody else waiting for longer than one of them takes; and where there is no
// room, it is the account with the longest row that gives way (MAP-014).
type line struct {
	// ready has something in it while tasks wait.
	ready chan struct{}

	mu    sync.Mutex
	rows  map[string][]task // by account, none of them empty
	turns []string          // accounts with a row, whose turn it is first
	n     int
	bytes int64
}

func newLine() *line {
	return &line{ready: make(chan struct{}, 1), rows: map[string][]task{}}
}

// put adds a task, and says how many were dropped for want of room: that one, or the last of
// others.
func (l *line) put(account string, t task) (dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes+t.size > bytesMost {
		return 1
	}
	if l.n >= queueMost {
		longest := l.longest()
		if len(l.rows[longest]) <= len(l.rows[account])+1 {
			return 1
		}
		l.drop(longest)
		dropped = 1
	}
	if len(l.rows[account]) == 0 {
		l.turns = append(l.turns, account)
	}
	l.rows[account] = append(l.rows[account], t)
	l.n++
	l.bytes += t.size
	l.wake()
	return dropped
}

func (l *line) longest() (account string) {
	for a, row := range l.rows {
		if len(row) > len(l.rows[account]) {
			account = a
		}
	}
	return account
}

// drop forgets the last task of a row, which has others.
func (l *line) drop(account string) {
	row := l.rows[account]
	last := len(row) - 1
	l.bytes -= row[last].size
	row[last] = task{}
	l.rows[account] = row[:last]
	l.n--
}

// take gives the task whose turn it is; ok is false if none waits.
func (l *line) take() (t task, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.turns) == 0 {
		return task{}, false
	}
	account := l.turns[0]
	l.turns = l.turns[1:]
	row := l.rows[account]
	t, row[0] = row[0], task{}
	if row = row[1:]; len(row) == 0 {
		delete(l.rows, account)
	} else {
		l.rows[account] = row
		l.turns = append(l.turns, account)
	}
	l.n--
	l.bytes -= t.size
	if l.n > 0 {
		l.wake()
	}
	return t, true
}

// wake lets who waits for ready look. The lock is held.
func (l *line) wake() {
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// room tells whether a task of a size can wait now, and len how many do.
func (l *line) room(size int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes+size <= bytesMost
}

func (l *line) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}
