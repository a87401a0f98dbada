package moving

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress tells people how far a run is: one line that changes, on a terminal, and
// otherwise a line now and then. It may be used by many goroutines.
type Progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	mu       sync.Mutex
	start    time.Time
	last     time.Time // when something was told
	all      int64     // letters expected; -1: not known
	size     int64     // their bytes; -1: not known
	letters  int64
	bytes    int64
	before   int64 // letters that had come before
	failures int64
	shown    bool // a line stands there that is to be overwritten
}

const (
	everyOnTerminal = 200 * time.Millisecond
	everyInLog      = 10 * time.Second
	maxFailures     = 1000 // told one by one
)

// NewProgress tells out.
func NewProgress(out io.Writer, terminal bool) *Progress {
	return &Progress{out: out, terminal: terminal, now: time.Now, start: time.Now(), last: time.Now()}
}

// Letters, Before, Failures and Bytes are what was done.
func (p *Progress) Letters() int64 { return p.figure(&p.letters) }

// Before is how many letters came with an earlier run.
func (p *Progress) Before() int64 { return p.figure(&p.before) }

// Failures is how much could not be read.
func (p *Progress) Failures() int64 { return p.figure(&p.failures) }

func (p *Progress) figure(n *int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *n
}

func (p *Progress) expect(b Box) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case b.Virtual:
		return
	case b.Count < 0:
		p.all, p.size = -1, -1
	case p.all >= 0:
		p.all += b.Count
	}
	if p.size >= 0 {
		p.size += b.Bytes
	}
	if b.Bytes < 0 {
		p.size = -1
	}
}

func (p *Progress) read(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += n
	p.show()
}

func (p *Progress) came(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters += int64(n)
	p.show()
}

func (p *Progress) had() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before++
	p.show()
}

// bad tells of what could not be read.
func (p *Progress) bad(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	if p.failures > maxFailures {
		return
	}
	text := err.Error()
	if what != "" && !strings.Contains(text, what) {
		text = what + ": " + text
	}
	p.tell("can't be read: " + text)
}

// note tells something beside the figures.
func (p *Progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(text)
}

// tell writes a line. Callers hold mu.
func (p *Progress) tell(text string) {
	p.wipe()
	fmt.Fprintln(p.out, text)
}

func (p *Progress) wipe() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

// End is the last figures, in a line for people.
func (p *Progress) End() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	return p.line(p.now())
}

// show tells how far we are, if it is time. Callers hold mu.
func (p *Progress) show() {
	every := everyInLog
	if p.terminal {
		every = everyOnTerminal
	}
	now := p.now()
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	p.wipe()
	line := p.line(now)
	if !p.terminal {
		fmt.Fprintln(p.out, line)
		return
	}
	fmt.Fprint(p.out, line)
	p.shown = true
}

const barWidth = 24

func (p *Progress) line(now time.Time) string {
	seconds := max(now.Sub(p.start).Seconds(), 0.001)
	done := p.letters + p.before
	text := fmt.Sprintf("%d letters", done)
	if p.all > 0 {
		part := min(float64(done)/float64(p.all), 1)
		text = fmt.Sprintf("%d of %d letters", done, p.all)
		if p.terminal {
			n := int(part * barWidth)
			text = "[" + strings.Repeat("#", n) + strings.Repeat(".", barWidth-n) + "] " + text
		}
	}
	if p.before > 0 {
		text += fmt.Sprintf(" (%d came before)", p.before)
	}
	text += fmt.Sprintf(", %.1f MB, %.0f letters/s, %.1f MB/s", float64(p.bytes)/1e6, float64(p.letters)/seconds, float64(p.bytes)/1e6/seconds)
	if rest := p.rest(seconds); rest > 0 {
		text += ", " + rest.String() + " left"
	}
	if p.failures > 0 {
		text += fmt.Sprintf(", %d failed", p.failures)
	}
	return text
}

// rest is how long it takes yet, by bytes where they are known.
func (p *Progress) rest(seconds float64) time.Duration {
	switch {
	case p.size > 0 && p.bytes > 0 && p.before == 0:
		return time.Duration(float64(p.size-p.bytes) / float64(p.bytes) * seconds * 1e9).Round(time.Second)
	case p.all > 0 && p.letters > 0:
		return time.Duration(float64(p.all-p.letters-p.before) / float64(p.letters) * seconds * 1e9).Round(time.Second)
	}
	return 0
}
