package list

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
)

const (
	// maxFile is the largest file, in bytes.
	maxFile = 256 << 20
	// glance is how often a file is looked at. Of one that was written a moment ago two
	// looks have to find the same before it counts: whoever writes it in place may be
	// half done.
	glance = time.Second
)

// parser makes a table of the text of a file.
type parser func(path string, text []byte) (matcher, error)

// matcher is the contents of a file. It does not change.
type matcher interface {
	match(key string) (value string, found bool)
}

// file is a list in a file, read again when the file changes.
type file struct {
	name, path string
	parse      parser
	events     event.Sink
	table      atomic.Pointer[matcher]

	looked atomic.Int64 // when, in Unix nanoseconds
	mu     sync.Mutex   // held by who reads the file again
	seen   stamp        // of what is in use, or of what was found broken
	next   stamp        // of what the last look found
}

// stamp tells one state of a file from another.
type stamp struct {
	modified time.Time
	size     int64
	info     os.FileInfo
}

func (s stamp) same(other stamp) bool {
	return s.info != nil && other.info != nil && s.size == other.size && s.modified.Equal(other.modified) && os.SameFile(s.info, other.info)
}

// settled tells that a file was written a while ago. Its first look counts: on a quiet
// server there is none before that is about somebody's mail. An empty file may be one that
// is being written anew: the kernel tells of the size before it does of the time.
func (s stamp) settled(now time.Time) bool { return s.size > 0 && now.Sub(s.modified) >= 2*glance }

func openFile(name, path string, parse parser, events event.Sink) (*file, error) {
	f := &file{name: name, path: path, parse: parse, events: events}
	m, seen, err := f.read()
	if err != nil {
		return nil, err
	}
	f.table.Store(&m)
	f.warn(m)
	f.seen = seen
	f.looked.Store(time.Now().UnixNano())
	return f, nil
}

// read reads the file and tells which state of it that was.
func (f *file) read() (matcher, stamp, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	if info.Size() > maxFile || !info.Mode().IsRegular() {
		return nil, stamp{}, fmt.Errorf("%s: expected a file of at most %d MB", f.path, maxFile>>20)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return nil, stamp{}, err
	}
	after, err := in.Stat()
	if err != nil || !stampOf(info).same(stampOf(after)) {
		return nil, stamp{}, errMoving
	}
	m, err := f.parse(f.path, text)
	return m, stampOf(info), err
}

// errMoving says that a file changed while it was read.
var errMoving = errors.New("the file changes while it is read")

func stampOf(info os.FileInfo) stamp { return stamp{info.ModTime(), info.Size(), info} }

func (f *file) find(_ context.Context, key string) lookup.Answer[string] {
	f.refresh(time.Now())
	m := *f.table.Load()
	if t, ok := m.(*text); ok {
		return t.find(key)
	}
	return answer(m.match(key))
}

func (f *file) whole() bool {
	_, ok := (*f.table.Load()).(patterns)
	return ok
}

func (f *file) close() error { return nil }

// refresh reads the file again if it has changed. One goroutine does; the others
// go on with what there is.
func (f *file) refresh(now time.Time) {
	if now.UnixNano()-f.looked.Load() < int64(glance) || !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	defer f.looked.Store(now.UnixNano())
	info, err := os.Stat(f.path)
	if err != nil {
		if f.seen.info != nil {
			f.complain(err)
		}
		f.seen = stamp{}
		return
	}
	current := stampOf(info)
	if f.seen.same(current) || !f.next.same(current) && !current.settled(now) {
		f.next = current
		return
	}
	m, seen, err := f.read()
	if errors.Is(err, errMoving) || err == nil && !seen.same(current) {
		return // the next look will tell
	}
	f.seen = current
	if t, ok := m.(*text); ok && err == nil && t.flaws != nil {
		err = t.flaws.ruined
	}
	if err != nil {
		f.complain(err)
		return
	}
	f.table.Store(&m)
	f.warn(m)
	f.events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/list", Text: fmt.Sprintf("list %q: read %s again", f.name, f.path)})
}

// warn tells of lines that can not be used.
func (f *file) warn(m matcher) {
	t, ok := m.(*text)
	if !ok {
		return
	}
	for _, w := range t.flaws.warnings() {
		f.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/list", Text: fmt.Sprintf("list %q: %s", f.name, w)})
	}
}

// complain tells that the file is of no use now.
func (f *file) complain(err error) {
	f.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/list",
		Text: fmt.Sprintf("list %q: %v; what was read before stays in use", f.name, err)})
}
