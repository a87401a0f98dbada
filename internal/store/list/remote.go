package list

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

const (
	// maxSessions is how many connections one list has at most.
	maxSessions = 4
	// keepIdle is how long an unused connection is kept.
	keepIdle = time.Minute
	// tellEvery is how often it is told that a server answers with errors.
	tellEvery = time.Minute
)

// session is one connection to a server. After an error it is closed, and nothing
// else is asked over it.
type session interface {
	// ask gives the values for a key, and whether there is such a key. An error that
	// the server itself gave, in time, is a complaint.
	ask(ctx context.Context, key string) (values []string, found bool, err error)
	close()
}

// service is what remote lists have of their own: how a server is reached.
type service interface {
	dial(ctx context.Context, host string) (session, error)
}

// complaint is an error that a server answered with: it works, and something is
// wrong with the question or with our rights.
type complaint struct{ error }

func (c complaint) Unwrap() error { return c.error }

func isComplaint(err error) bool {
	var c complaint
	return errors.As(err, &c)
}

// remote is a list on one of several servers.
type remote struct {
	name    string
	program string   // who tells of it in the log
	what    string   // what it is called there
	hosts   []string // in the order in which they are tried
	service service
	events  event.Sink
	shape   *shape // nil: every key is asked as it is
	entire  bool   // keys are never asked in parts
	cache   *cache
	breaker breaker
	slots   chan struct{} // one for each session in use
	limit   time.Duration // for one question; patience

	mu       sync.Mutex
	idle     []rested
	closed   bool
	sweeper  *time.Timer
	lastTold time.Time
}

// rested is a session that nobody uses.
type rested struct {
	session
	since time.Time
}

func newRemote(s Source, hosts []string, by service, events event.Sink) *remote {
	return &remote{name: s.Name, program: "facteur/list", what: "list", hosts: hosts, service: by, events: events, cache: newCache(s.CacheTime), slots: make(chan struct{}, maxSessions), limit: patience}
}

// ofAccounts lets it be told what the server is of which something is told.
func (r *remote) ofAccounts() *remote {
	r.program, r.what = "facteur/directory", "directory"
	return r
}

// find asks the cache, then a server.
func (r *remote) find(ctx context.Context, key string) lookup.Answer[string] {
	if key == "" || strings.ContainsFunc(key, isControl) || !utf8.ValidString(key) {
		return lookup.No[string](nil) // no server keeps such a key, and some fail at it
	}
	key, ok, err := r.shape.admit(ctx, key)
	switch {
	case err != nil:
		return lookup.Later[string](err)
	case !ok:
		return lookup.No[string](nil)
	}
	if a, known := r.cache.get(key, time.Now()); known {
		return a
	}
	a, err := r.fetch(ctx, key)
	if err != nil {
		return lookup.Later[string](err)
	}
	r.cache.put(key, a, time.Now())
	return a
}

// fetch asks a server.
func (r *remote) fetch(ctx context.Context, key string) (a lookup.Answer[string], err error) {
	values, found, err := r.ask(ctx, key)
	if err != nil || !found {
		return lookup.No[string](nil), err
	}
	value, found, err := r.shape.join(key, values)
	r.grumble(err, time.Now())
	return answer(value, found), err
}

// isControl tells what no key has, and no line of a protocol: NUL, line ends and their
// kin (MAP-006).
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// ask puts the question of a list.
func (r *remote) ask(ctx context.Context, key string) (values []string, found bool, err error) {
	err = r.do(ctx, r.limit, func(ctx context.Context, s session) (err error) {
		values, found, err = s.ask(ctx, key)
		return err
	})
	return values, found, err
}

// question is put over a session. It may be put twice, if the first session turns out
// to have been ended by the server.
type question func(context.Context, session) error

// do puts one question, within the limit, and learns from it how the server does.
func (r *remote) do(caller context.Context, limit time.Duration, q question) error {
	if err := r.breaker.refuses(time.Now()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("all %d connections are busy: %w", maxSessions, ctx.Err())
	}
	defer func() { <-r.slots }()
	probe, err := r.breaker.enter(time.Now())
	if err != nil {
		return err
	}
	err = r.exchange(ctx, q)
	r.learn(caller, probe, err)
	return err
}

// learn tells the breaker, and now and then the admin, what came of a question.
func (r *remote) learn(caller context.Context, probe bool, err error) {
	now := time.Now()
	switch {
	case err == nil || isComplaint(err):
		if r.breaker.worked() {
			r.tell(slog.LevelInfo, "the server answers again")
		}
		r.grumble(err, now)
	case expired(caller):
		r.breaker.abandoned(probe) // who asked went away; that says nothing
	case r.breaker.failed(probe, err, now):
		r.tell(slog.LevelWarn, "%v; mail that depends on it has to wait", err)
	}
}

// grumble tells of a complaint, not too often.
func (r *remote) grumble(err error, now time.Time) {
	if err == nil {
		return
	}
	r.mu.Lock()
	due := now.Sub(r.lastTold) >= tellEvery
	if due {
		r.lastTold = now
	}
	r.mu.Unlock()
	if due {
		r.tell(slog.LevelWarn, "%v; mail that depends on it has to wait", err)
	}
}

func (r *remote) tell(severity slog.Level, format string, args ...any) {
	r.events.Emit(event.Note{Severity: severity, Program: r.program, Text: fmt.Sprintf("%s %q: ", r.what, r.name) + fmt.Sprintf(format, args...)})
}

// exchange asks over an idle session, or else over a new one. A session that was
// idle may have been ended by the server since: that is no failure yet.
func (r *remote) exchange(ctx context.Context, q question) error {
	if s := r.take(); s != nil {
		err := r.over(ctx, s, q)
		if err == nil || isComplaint(err) || expired(ctx) {
			return err
		}
		r.drop()
	}
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	return r.over(ctx, s, q)
}

// over asks over a session and keeps it if all went well.
func (r *remote) over(ctx context.Context, s session, q question) error {
	if err := q(ctx, s); err != nil {
		s.close()
		return err
	}
	r.put(s)
	return nil
}

// connect tries the hosts in their order. None may use up the time of those after it.
func (r *remote) connect(ctx context.Context) (session, error) {
	var all error
	for i, host := range r.hosts {
		s, err := r.dial(ctx, host, len(r.hosts)-i)
		if err == nil {
			return s, nil
		}
		err = fmt.Errorf("%s: %w", host, err)
		if all != nil {
			err = fmt.Errorf("%w; %w", all, err)
		}
		all = err
	}
	return nil, unreachable{all}
}

// unreachable is that no host could be used, whatever one of them said: an error of
// a log-in is no complaint about a question.
type unreachable struct{ error }

func (r *remote) dial(ctx context.Context, host string, left int) (session, error) {
	if end, limited := ctx.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	return r.service.dial(ctx, host)
}

// take gives the session that was used last; nil if there is none.
func (r *remote) take() session {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.idle) - 1
	if n < 0 {
		return nil
	}
	s := r.idle[n].session
	r.idle = r.idle[:n]
	return s
}

// put keeps a session for the next question.
func (r *remote) put(s session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		s.close()
		return
	}
	r.idle = append(r.idle, rested{s, time.Now()})
	if r.sweeper == nil {
		r.sweeper = time.AfterFunc(keepIdle, r.sweep)
	}
}

// sweep closes what was idle for long, and comes again while anything is left.
func (r *remote) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.idle[:0]
	for _, s := range r.idle {
		if time.Since(s.since) >= keepIdle {
			s.close()
		} else {
			kept = append(kept, s)
		}
	}
	r.idle = kept
	r.sweeper = nil
	if len(kept) > 0 {
		r.sweeper = time.AfterFunc(keepIdle, r.sweep)
	}
}

// drop closes all idle sessions: where one broke, the others are likely to.
func (r *remote) drop() {
	r.mu.Lock()
	idle := r.idle
	r.idle = nil
	r.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
}

func (r *remote) whole() bool { return r.entire }

func (r *remote) close() error {
	r.mu.Lock()
	r.closed = true
	if r.sweeper != nil {
		r.sweeper.Stop()
	}
	r.mu.Unlock()
	r.drop()
	return r.shape.close()
}
