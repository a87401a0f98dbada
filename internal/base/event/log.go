package event

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Format is a dialect of the log.
type Format string

// The dialects.
const (
	Traditional Format = "postfix" // Event.Line, as syslog would have written it
	Text        Format = "text"    // Event.Record as key=value
	JSON        Format = "json"    // Event.Record as JSON
)

// Log is the sink that writes lines. Lines are gathered while a write is under
// way and go out together, so that a busy server makes few system calls and an
// idle one waits for nothing. When the writer can't keep up, Emit waits rather
// than forget. A failing writer is not fatal: the lines are lost, the mail not.
type Log struct {
	format Format
	level  slog.Level
	host   string
	pid    string
	slog   slog.Handler

	mu      sync.Mutex
	room    sync.Cond
	pending []byte
	spare   []byte
	work    chan struct{}
	done    chan struct{}
	out     io.Writer
}

// pendingMax is when Emit begins to wait for the writer, in bytes.
const pendingMax = 1 << 20

// NewLog starts a log to out. host stands in traditional lines. Close it.
func NewLog(out io.Writer, f Format, level slog.Level, host string) *Log {
	l := &Log{
		format: f, level: level, host: host, pid: strconv.Itoa(os.Getpid()), out: out,
		work: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.room.L = &l.mu
	opts := &slog.HandlerOptions{Level: level}
	switch f {
	case JSON:
		l.slog = slog.NewJSONHandler((*appender)(l), opts)
	case Text:
		l.slog = slog.NewTextHandler((*appender)(l), opts)
	}
	go l.writeAll(l.work)
	return l
}

// appender is the Log as the writer that slog's handlers write whole lines to.
type appender Log

func (a *appender) Write(p []byte) (int, error) {
	(*Log)(a).add(p)
	return len(p), nil
}

// Emit implements Sink.
func (l *Log) Emit(e Event) {
	if e.Level() < l.level {
		return
	}
	if l.slog == nil {
		l.line(e)
		return
	}
	msg, attrs := e.Record()
	if msg == "" {
		return
	}
	r := slog.NewRecord(time.Now(), e.Level(), msg, 0)
	for _, a := range attrs {
		r.AddAttrs(clip(a))
	}
	l.slog.Handle(context.Background(), r)
}

// fieldMax bounds what a peer can put into one field of the log.
const fieldMax = 1 << 10

func clip(a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindString && len(a.Value.String()) > fieldMax {
		a.Value = slog.StringValue(a.Value.String()[:fieldMax] + "...")
	}
	return a
}

func (l *Log) line(e Event) {
	program, text := e.Line()
	if text == "" {
		return
	}
	var room [512]byte // most lines fit, and cost no memory of their own
	b := time.Now().AppendFormat(room[:0], time.Stamp)
	b = append(b, ' ')
	b = append(b, l.host...)
	b = append(b, ' ')
	b = append(b, program...)
	b = append(b, '[')
	b = append(b, l.pid...)
	b = append(b, "]: "...)
	b = appendSafe(b, text)
	l.add(append(b, '\n'))
}

// lineMax bounds a traditional line; syslog daemons cut at 2 to 8 KiB.
const lineMax = 4 << 10

// appendSafe copies text so that it stays one line which no terminal obeys:
// control characters, line separators and broken UTF-8 become "?".
func appendSafe(b []byte, text string) []byte {
	if len(text) > lineMax {
		text = text[:lineMax]
	}
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				c = '?'
			}
			b = append(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			b = append(b, '?')
		} else {
			b = append(b, text[i:i+n]...)
		}
		i += n
	}
	return b
}

// add copies a line to what is pending.
func (l *Log) add(line []byte) {
	l.mu.Lock()
	for len(l.pending) > pendingMax && l.work != nil {
		l.room.Wait()
	}
	if l.work == nil { // closed: say it at once
		defer l.mu.Unlock()
		l.out.Write(bytes.Clone(line)) // a writer may keep what it gets: the line itself stays on the stack
		return
	}
	l.pending = append(l.pending, line...)
	work := l.work
	select { // under the lock, so that Close can't close it meanwhile
	case work <- struct{}{}:
	default:
	}
	l.mu.Unlock()
}

func (l *Log) writeAll(work <-chan struct{}) {
	defer close(l.done)
	for range work {
		l.mu.Lock()
		out, w := l.pending, l.out
		l.pending, l.spare = l.spare[:0], nil
		l.mu.Unlock()
		w.Write(out)
		l.mu.Lock()
		l.spare = out[:0]
		l.room.Broadcast()
		l.mu.Unlock()
	}
}

// Redirect sends everything from now on to out (a log file that was rotated) and
// gives back the old writer.
func (l *Log) Redirect(out io.Writer) io.Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.out
	l.out = out
	return old
}

// Close writes what is pending. Later events are written directly.
func (l *Log) Close() {
	l.mu.Lock()
	if l.work == nil {
		l.mu.Unlock()
		return
	}
	close(l.work)
	l.work = nil
	l.room.Broadcast()
	l.mu.Unlock()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(bytes.TrimSpace(l.pending)) > 0 {
		l.out.Write(l.pending)
		l.pending = nil
	}
}
