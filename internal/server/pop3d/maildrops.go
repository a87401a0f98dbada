package pop3d

import (
	"context"
	"sync"
	"time"

	"facteur/internal/server/listen"
)

// Maildrops knows which sessions have which maildrops. It is for all servers of a
// house, and safe for concurrent use.
type Maildrops struct {
	mu     sync.Mutex
	held   map[string]*hold     // by account
	logins map[string]time.Time // the last one of each account, while it counts
}

// hold is a session that has a maildrop.
type hold struct {
	conn  *listen.Conn
	quiet time.Time     // since when it waits for its client; zero while it works
	gone  chan struct{} // closed with the hold
}

// The lease of a lock: a session that waited so long for its client gives it up when
// another one asks: of a broken connection the server may know nothing. It gets some time
// to do so, as does any other that may be ending: many clients come back at once, while
// the session that they dropped is still being closed.
const (
	lease      = time.Minute
	giveUpTime = 2 * time.Second
)

// maxLogins bounds the table of log-ins.
const maxLogins = 10_000

// NewMaildrops makes an empty table.
func NewMaildrops() *Maildrops {
	return &Maildrops{held: map[string]*hold{}, logins: map[string]time.Time{}}
}

// take takes the maildrop of an account; nil: somebody has it, and for longer than
// giveUpTime.
func (m *Maildrops) take(ctx context.Context, account string, c *listen.Conn) *hold {
	mine := &hold{conn: c, gone: make(chan struct{})}
	if m.try(account, mine) {
		return mine
	}
	if other, expired := m.holder(account); other != nil {
		if expired {
			other.conn.Nudge()
		}
		other.await(ctx)
	}
	if m.try(account, mine) {
		return mine
	}
	return nil
}

// await waits for the end of a hold, for giveUpTime at most.
func (h *hold) await(ctx context.Context) {
	patience := time.NewTimer(giveUpTime)
	defer patience.Stop()
	select {
	case <-h.gone:
	case <-patience.C:
	case <-ctx.Done():
	}
}

func (m *Maildrops) try(account string, h *hold) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[account] != nil {
		return false
	}
	m.held[account] = h
	return true
}

// holder is the session that has a maildrop, or nil, and whether it has been silent for
// longer than its lease.
func (m *Maildrops) holder(account string) (h *hold, expired bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h = m.held[account]
	return h, h != nil && !h.quiet.IsZero() && time.Since(h.quiet) >= lease
}

// waits notes that a session waits for its client from now on, or no longer.
func (m *Maildrops) waits(h *hold, yes bool) {
	if h == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h.quiet = time.Time{}
	if yes {
		h.quiet = time.Now()
	}
}

// release gives a maildrop back.
func (m *Maildrops) release(account string, h *hold) {
	if h == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[account] == h {
		delete(m.held, account)
	}
	close(h.gone)
}

// early tells how long an account has to wait for its next log-in; 0: it may come in.
func (m *Maildrops) early(account string, delay time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(delay-time.Since(m.logins[account]), 0)
}

// count notes a log-in, from which the next one is delayed.
func (m *Maildrops) count(account string, delay time.Duration) {
	if delay <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if len(m.logins) >= maxLogins {
		m.forget(now.Add(-delay))
	}
	m.logins[account] = now
}

// forget forgets log-ins before a time, and all if these are none.
func (m *Maildrops) forget(before time.Time) {
	for account, when := range m.logins {
		if when.Before(before) {
			delete(m.logins, account)
		}
	}
	if len(m.logins) >= maxLogins {
		clear(m.logins)
	}
}
