package rspamd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Client asks one rspamd. It is safe for concurrent use. Close it.
type Client struct {
	cfg  Config
	http *http.Client
}

// Config is where rspamd listens.
type Config struct {
	// Network and Address are what net.Dial takes.
	Network, Address string
	// Password is for a worker that wants one; "" for none.
	Password string
}

// New makes a Client. Nothing is connected yet.
func New(cfg Config) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, cfg.Network, cfg.Address)
		},
		MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		DisableCompression: true,
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Close closes connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Letter is what rspamd is told of one. What is "" is left out.
type Letter struct {
	// From is the envelope sender without brackets; "<>" tells a notice.
	From string
	To   []string
	// IP is the client's address, Hostname its confirmed name, User who logged in.
	IP, Helo, Hostname, User string
	QueueID                  string
}

// Bounds.
const (
	answerMost     = 1 << 20 // bytes of an answer
	recipientsMost = 100     // recipients that it is told of
	fieldMost      = 500     // bytes of a field
)

// Check has a letter of size bytes looked at.
func (c *Client) Check(ctx context.Context, l Letter, r io.Reader, size int64) (Answer, error) {
	// The host is never looked up: the dialer knows where rspamd is.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://rspamd/checkv2", r)
	if err != nil {
		return Answer{}, err
	}
	req.ContentLength = size
	c.tell(req.Header, l)
	text, err := c.do(req)
	if err != nil {
		return Answer{}, err
	}
	return parse(text)
}

// Ping has rspamd answer, and nothing else.
func (c *Client) Ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://rspamd/ping", nil)
	if err != nil {
		return err
	}
	text, err := c.do(req)
	if err == nil && strings.TrimSpace(string(text)) != "pong" {
		err = fmt.Errorf("no answer of rspamd to a ping: %q", printable(string(text)))
	}
	return err
}

func (c *Client) tell(h http.Header, l Letter) {
	set := func(name, value string) {
		if value != "" {
			h.Add(name, plain(value))
		}
	}
	set("From", l.From)
	for _, to := range l.To[:min(len(l.To), recipientsMost)] {
		set("Rcpt", to)
	}
	set("IP", l.IP)
	set("Helo", l.Helo)
	set("Hostname", l.Hostname)
	set("User", l.User)
	set("Queue-Id", l.QueueID)
	set("Password", c.cfg.Password)
	h.Set("User-Agent", "facteur")
}

// do sends a request and reads the answer, which is a 200 and not too long.
func (c *Client) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMost+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, &Refused{Status: resp.StatusCode, Text: reason(text)}
	case err != nil:
		return nil, err
	case len(text) > answerMost:
		return nil, fmt.Errorf("the answer of rspamd has more than %d bytes", answerMost)
	}
	return text, nil
}

// bare is an error without the URL, which is none.
func bare(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// plain is a value as a field may have it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s[:min(len(s), fieldMost)])
}
