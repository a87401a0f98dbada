package filter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

// How a Case lets checks look at its letter.

// smallLetter is up to which size a letter is read into memory at once, in bytes: most are
// smaller, and each part of it is read more than once.
const smallLetter = 64 << 10

// collectTime is how long the end of the letter waits for checks, all together.
const collectTime = 30 * time.Second

// Addressed tells who gets the letter, and starts the checks that wanted to know: before
// its text comes.
func (c *Case) Addressed(to []Recipient) {
	c.letter.Recipients = to[:min(len(to), recipientsMost)]
	c.reach(Rcpt)
}

// Holds tells where the whole letter is, from its header on, as it came, size bytes.
func (c *Case) Holds(r io.ReaderAt, size int64) {
	c.lent = &lent{r: r}
	c.letter.Message, c.letter.Size = c.lent, size
}

// reach starts the checks of all stages up to one.
func (c *Case) reach(stage Stage) {
	for c.reached < stage {
		c.reached++
		l := c.letter // each stage has its own: what it looks at does not change
		l.Now = c.filter.now()
		switch {
		case c.reached <= Helo: // the Visitor has those
			continue
		case c.reached < End:
			l.Header, l.Message, l.Content, l.Evidence = nil, nil, nil, nil
		}
		c.probes = append(c.probes, start(c.ctx, c.checks(), c.reached, &l, c.filter.now)...)
	}
}

// checks are those that look at this letter.
func (c *Case) checks() []Check {
	switch {
	case c.letter.Returned:
		return nil
	case c.letter.Own:
		return c.filter.rules.Own
	}
	return c.filter.rules.Checks
}

// examine lets the checks of the end see the letter, and collects what all have found.
func (c *Case) examine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, collectTime)
	defer cancel()
	seen := c.evidence // a check that is late may look at it for longer than we do not change ours
	c.letter.Evidence, c.letter.Header, c.letter.Cut = &seen, c.header, c.evidence.Cut
	c.letter.Content = sync.OnceValue(c.read)
	c.reach(End)
	probes := c.probes
	if c.visitor != nil {
		probes = append(c.visitor.probes(), probes...)
	}
	for _, p := range probes {
		c.collect(ctx, p)
	}
	c.lent.close()
}

// collect takes what a check has found.
func (c *Case) collect(ctx context.Context, p *probe) {
	switch {
	case p.wait(ctx):
		c.remarks = append(c.remarks, Remark{Check: p.check.Name(), Sentence: fmt.Sprintf("The check %q did not end in time, and counts for nothing.", p.check.Name())})
	case p.broken != nil:
		c.filter.tell(Broken{Session: c.letter.Session, Check: p.check.Name(), Times: c.filter.broke(p.check.Name()), Err: p.broken})
		c.remarks = append(c.remarks, Remark{Check: p.check.Name(), Sentence: fmt.Sprintf("The check %q failed, and counts for nothing.", p.check.Name())})
	default:
		c.remarks = append(c.remarks, p.remarks...)
	}
}

// Remarks are what the checks found; after Judge.
func (c *Case) Remarks() []Remark { return c.remarks }

// Letter is what is known of the letter.
func (c *Case) Letter() *Letter { return &c.letter }

// Close ends what is still going on for this letter. It may be called more than once.
func (c *Case) Close() {
	if c == nil {
		return
	}
	c.cancel()
	c.lent.close()
	if c.ownVisitor {
		c.visitor.Close()
	}
}

// read is Content; see there. A letter with archives may take as much memory as they hold:
// what many strangers send at one time waits for its turn.
func (c *Case) read() *content.Letter {
	c.filter.reading <- struct{}{}
	defer func() { <-c.filter.reading }()
	return c.letter.read()
}

func (l *Letter) read() *content.Letter {
	if l.Message == nil {
		return nil
	}
	if l.Size <= smallLetter {
		whole := make([]byte, l.Size)
		n, err := l.Message.ReadAt(whole, 0)
		if err != nil && err != io.EOF {
			return nil
		}
		whole = whole[:n]
		return content.Read(bytes.NewReader(whole), message.ParseBytes(whole, message.Limits{}), l.Header, content.Limits{})
	}
	root, err := message.Parse(io.NewSectionReader(l.Message, 0, l.Size), message.Limits{})
	if err != nil {
		return nil
	}
	return content.Read(l.Message, root, l.Header, content.Limits{})
}

// lent is a letter that may be read until it is closed: the spool below it moves on then.
type lent struct {
	mu     sync.RWMutex
	r      io.ReaderAt
	closed bool
}

// errReturned is for checks that did not end in time.
var errReturned = errors.New("the letter is not here any more")

// ReadAt implements io.ReaderAt.
func (l *lent) ReadAt(p []byte, off int64) (int, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return 0, errReturned
	}
	return l.r.ReadAt(p, off)
}

func (l *lent) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// Joined is a letter whose header is in memory and whose body is somewhere else.
type Joined struct {
	Header []byte
	Body   io.ReaderAt // its first byte is at At
	At     int64
}

// ReadAt implements io.ReaderAt.
func (j Joined) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(j.Header)) {
		n = copy(p, j.Header[off:])
	}
	if n == len(p) {
		return n, nil
	}
	m, err := j.Body.ReadAt(p[n:], j.At+max(off-int64(len(j.Header)), 0))
	return n + m, err
}
