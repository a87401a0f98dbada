package policy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Config is one policy server. Numbers that are zero or less get their default.
type Config struct {
	// Name is the server as logs and errors call it: "inet:127.0.0.1:10023".
	Name string
	// Network and Address are what net.Dial takes.
	Network, Address string
	// Timeout is for one question, all its tries together (100 s).
	Timeout time.Duration
	// Tries is how often a question is put before it fails (2), RetryDelay the
	// pause between (1 s).
	Tries      int
	RetryDelay time.Duration
	// Connections is the most at a time (100); a question more waits.
	Connections int
	// Idle is how long a connection is kept unused (300 s), Life how long in all
	// (1000 s).
	Idle, Life time.Duration
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	cfg  Config
	free chan struct{} // one token for each connection that may be made

	mu     sync.Mutex
	kept   []*conn // the last used at the end
	closed bool
}

// New makes a Client. It connects when it has to.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	return &Client{cfg: cfg, free: make(chan struct{}, cfg.Connections)}
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Timeout, 100 * time.Second}, {&c.RetryDelay, time.Second}, {&c.Idle, 300 * time.Second}, {&c.Life, 1000 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Tries <= 0 {
		c.Tries = 2
	}
	if c.Connections <= 0 {
		c.Connections = 100
	}
	return c
}

// Name is the server as logs call it.
func (c *Client) Name() string { return c.cfg.Name }

// Ask puts a question. An error says that there is no answer: nothing is known
// then, and the caller's default action holds. An action that is not understood is
// an error too, one that wraps ErrUnsupported where it is known to others.
func (c *Client) Ask(ctx context.Context, q *Request) (Action, error) {
	question, err := q.append(nil)
	if err != nil {
		return Action{}, err // before anything is sent: MAP-006
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	select {
	case c.free <- struct{}{}:
		defer func() { <-c.free }()
	case <-ctx.Done():
		return Action{}, fmt.Errorf("no connection became free: %w", ctx.Err())
	}
	answer, err := c.persist(ctx, question)
	if err != nil {
		return Action{}, err
	}
	return ParseAction(answer)
}

// persist tries a question on connections until one answers. One that had been
// kept may have died meanwhile, which is no try.
func (c *Client) persist(ctx context.Context, question []byte) (answer string, err error) {
	for try := 1; ; try++ {
		for cn := c.take(); cn != nil; cn = c.take() {
			if answer, err = c.exchange(ctx, cn, question); err == nil {
				return answer, nil
			}
			if ctx.Err() != nil {
				return "", err
			}
		}
		cn, err := c.dial(ctx)
		if err == nil {
			answer, err = c.exchange(ctx, cn, question)
		}
		if err == nil {
			return answer, nil
		}
		if try == c.cfg.Tries || !pause(ctx, c.cfg.RetryDelay) {
			return "", err
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// conn is a connection and what was read from it too much.
type conn struct {
	net.Conn
	r      *bufio.Reader
	opened time.Time
	used   time.Time
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, c.cfg.Network, c.cfg.Address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc, r: bufio.NewReaderSize(nc, 1024), opened: time.Now()}, nil
}

// exchange puts one question and reads one answer. The connection is kept after
// exactly one whole answer, and closed after anything else.
func (c *Client) exchange(ctx context.Context, cn *conn, question []byte) (string, error) {
	stop := context.AfterFunc(ctx, func() { cn.SetDeadline(time.Unix(1, 0)) })
	answer, err := cn.exchange(question)
	inTime := stop()
	if err != nil {
		cn.Close()
		if ctx.Err() != nil {
			return "", fmt.Errorf("no answer: %w", ctx.Err())
		}
		return "", err
	}
	if !inTime || cn.r.Buffered() > 0 {
		cn.Close()
	} else {
		c.put(cn)
	}
	return answer, nil
}

func (cn *conn) exchange(question []byte) (string, error) {
	if _, err := cn.Write(question); err != nil {
		return "", err
	}
	return readAnswer(cn.r)
}

// take gives a kept connection that is still good, or nil.
func (c *Client) take() *conn {
	for {
		cn := c.pop()
		if cn == nil || c.good(cn) {
			return cn
		}
		cn.Close()
	}
}

func (c *Client) pop() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.kept)
	if n == 0 {
		return nil
	}
	cn := c.kept[n-1]
	c.kept = c.kept[:n-1]
	return cn
}

// good tells whether a kept connection may be used: not too old, still open, and
// silent. What the server said unasked would be taken for the next answer.
func (c *Client) good(cn *conn) bool {
	now := time.Now()
	return now.Sub(cn.used) < c.cfg.Idle && now.Sub(cn.opened) < c.cfg.Life && silent(cn.Conn)
}

// put keeps a connection for the next question, and lets go of what is too old.
func (c *Client) put(cn *conn) {
	cn.used = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		cn.Close()
		return
	}
	if oldest := c.kept; len(oldest) > 0 && cn.used.Sub(oldest[0].used) >= c.cfg.Idle {
		oldest[0].Close()
		c.kept = oldest[1:]
	}
	c.kept = append(c.kept, cn)
}

// Close closes the kept connections. Questions under way go on; their
// connections are not kept.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, cn := range c.kept {
		errs = append(errs, cn.Close())
	}
	c.kept = nil
	return errors.Join(errs...)
}
