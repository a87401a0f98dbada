// Package journey keeps, for some days, what happened to each connection and each
// message, so that anybody can be told where a letter is or why it was refused.
//
//	events → Emit → buffer in memory → one goroutine → DATA/journey/DAY.jsonl
//	                                                            ↓
//	                                     Search ("facteur explain"), also grep and jq
//
// # On disk
//
// DATA/journey/2026-11-22.jsonl and, when that is full or the server starts anew,
// 2026-11-22.2.jsonl, 2026-11-22.3.jsonl, …: segments of a day (UTC), mode 0600,
// only ever appended to. Each line is one step as a JSON object. Absent keys are
// empty; the order is fixed:
//
//	t        when, RFC 3339, UTC, microseconds
//	item     queue ID
//	related  queue ID of a message that came of this one
//	session  connection
//	kind     what happened: see event.Kind
//	service  the door
//	addr, name, helo   the client
//	account  who had logged in
//	from, to the envelope; to is a list
//	msgid    Message-Id
//	rule     what decided
//	reply    code and text
//	text     all of it as a sentence
//
// Every value was passed through event.Clean: a line is a line, and no terminal
// obeys it.
//
// # Invariants
//
// Mail never waits for its journey. Emit encodes, takes a lock for the time of one
// copy and returns; no system call, no wait. When the disk is slower than the
// mail, or full, steps are missed; that is counted, told in the log and written
// as a step of its own ("missed") as soon as writing works again.
//
// The directory has at most Limits.MaxSize bytes and Limits.Days days, and one
// segment in excess: the oldest segments go first. No line is longer than some
// 16 KiB.
//
// # What a crash leaves
//
// Nothing is flushed to the disk by force: a journey is worth no fsync. A killed
// process loses the steps of the last tenth of a second, a power cut those of the
// last half minute, and the last line may be torn. A new process begins a new
// segment, and readers pass over what is no whole line. The mail itself is not
// concerned: package queue knows what is on its way.
package journey

import (
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/vfs"
)

// Limits are how much is kept.
type Limits struct {
	// Days is how many days a segment is kept after its own; at least 1.
	Days int
	// MaxSize is in bytes; at least 1 MiB.
	MaxSize int64
}

// Delay is after how long a step is written down, if the disk keeps up.
const Delay = 2 * flushEvery

const (
	// flushEvery is how long steps are gathered before they are written, and so how
	// old a journey may be to a reader.
	flushEvery = 100 * time.Millisecond
	// pendingMax bounds the steps in memory, in bytes; flushAt is when the writer
	// does not wait any longer.
	pendingMax = 8 << 20
	flushAt    = 256 << 10
)

// Store writes journeys; it is an event.Sink. It is safe for concurrent use.
type Store struct {
	files   *segments
	events  event.Sink
	limits  atomic.Pointer[Limits]
	work    chan struct{} // a token: there is something to write
	urgent  chan struct{} // a token: there is much of it
	closing chan struct{}
	done    chan struct{}
	once    sync.Once

	mu      sync.Mutex
	pending []byte
	missed  int // since the last write

	told time.Time // when the log last heard of missed steps; the writer's
}

// Open begins to write in dir, which is made if it is missing. events is told when
// steps are missed.
func Open(fs vfs.FS, dir string, l Limits, events event.Sink) (*Store, error) {
	if err := vfs.MkdirAll(fs, dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{
		files: &segments{fs: fs, dir: dir}, events: events,
		work: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	s.limits.Store(&l)
	go s.run()
	return s, nil
}

// Configure changes the limits. They take effect with the next segment.
func (s *Store) Configure(l Limits) { s.limits.Store(&l) }

// Emit implements event.Sink: it takes what is a step, and lets pass the rest.
func (s *Store) Emit(e event.Event) {
	stepper, ok := e.(event.Stepper)
	if !ok {
		return
	}
	step := stepper.Step()
	if step.Kind == "" {
		return
	}
	var room [1 << 10]byte
	s.add(appendStep(room[:0], time.Now(), &step))
}

func (s *Store) add(line []byte) {
	s.mu.Lock()
	if len(s.pending)+len(line) > pendingMax {
		s.missed++
		s.mu.Unlock()
		return
	}
	s.pending = append(s.pending, line...)
	size := len(s.pending)
	s.mu.Unlock()
	if size == len(line) {
		token(s.work)
	}
	if size >= flushAt && size-len(line) < flushAt {
		token(s.urgent)
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what is pending. Later steps are missed.
func (s *Store) Close() {
	s.once.Do(func() { close(s.closing) })
	<-s.done
}

// run writes until Close. It wakes only when there is something to write.
func (s *Store) run() {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []byte
	s.files.expire(*s.limits.Load(), time.Now())
	for last := false; !last; {
		select {
		case <-s.work:
		case <-s.closing:
		}
		timer.Reset(flushEvery)
		select {
		case <-timer.C:
		case <-s.urgent:
		case <-s.closing:
			last = true
		}
		spare = s.flush(spare)
	}
	s.files.close()
}

// flush writes what is pending, and gives back its memory for the next round.
func (s *Store) flush(spare []byte) []byte {
	s.mu.Lock()
	out, missed := s.pending, s.missed
	s.pending, s.missed = spare[:0], 0
	s.mu.Unlock()
	now := time.Now()
	if missed > 0 {
		out = appendMissed(out, now, missed)
	}
	if len(out) == 0 {
		return out
	}
	if err := s.files.write(out, *s.limits.Load(), now); err != nil {
		lost := countSteps(out) + max(0, missed-1)
		s.mu.Lock()
		s.missed += lost
		s.mu.Unlock()
		s.tell(now, lost, err)
	} else if missed > 0 {
		s.tell(now, missed, nil)
	}
	if cap(out) > 4*flushAt { // after a flood, memory goes back
		return nil
	}
	return out
}
