// Package imapc is a small client of IMAP4rev1 (RFC 3501) that reads mailboxes from start
// to end: for moving mail here, not for people.
//
// # On the wire
//
// The server is not trusted. Words, strings and lists have bounds, nothing is allocated by
// a number that it announces, and the bytes of a letter go to the caller as they come.
// Each read and write has a deadline. What was not asked for is passed over.
//
// A Client is used by one goroutine at a time. After any error other than a Refusal it can
// only be closed.
package imapc

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a server may say.
const (
	maxWord      = 64 << 10 // bytes of an atom, a string, or the rest of a line
	maxDepth     = 20
	maxResponses = 10_000_000 // to one command
	maxBoxes     = 100_000
	maxPassed    = 10_000  // words of a response that are passed over
	maxLetter    = 4 << 30 // bytes
	patience     = 5 * time.Minute
)

// ErrServer is what no server may say.
var ErrServer = errors.New("the server does not speak IMAP as it should")

// Refusal is NO or BAD: the connection is still good.
type Refusal struct{ Text string }

// Error implements error.
func (r *Refusal) Error() string { return "the server says: " + r.Text }

// Throttled tells whether trying again later is what the server wants.
func (r *Refusal) Throttled() bool {
	text := strings.ToUpper(r.Text)
	return slices.ContainsFunc([]string{"THROTTLED", "[UNAVAILABLE]", "[LIMIT]", "[INUSE]", "TRY AGAIN", "TOO MANY", "BANDWIDTH", "SERVER BUSY", "TEMPORAR"},
		func(word string) bool { return strings.Contains(text, word) })
}

// Security is how a connection is protected.
type Security uint8

// With TLS from the start, after STARTTLS, or not at all.
const (
	TLS Security = iota
	StartTLS
	Plain
)

// Client is a connection.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
	tag  int
	caps map[string]bool
}

// Dial connects and reads the greeting. t is the configuration of TLS; its ServerName is
// checked.
func Dial(ctx context.Context, address string, s Security, t *tls.Config) (*Client, error) {
	d := net.Dialer{Timeout: 30 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Client{}
	c.use(conn)
	if s == TLS {
		err = c.startTLS(ctx, t)
	}
	if err == nil {
		err = c.greet()
	}
	if err == nil && s == StartTLS {
		if err = c.Do("STARTTLS", nil); err == nil {
			if c.in.Buffered() > 0 {
				err = fmt.Errorf("%w: something before TLS began", ErrServer)
			} else {
				err = c.startTLS(ctx, t)
			}
		}
		c.caps = nil // those from before may be anybody's
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) use(conn net.Conn) {
	c.conn = conn
	c.in = bufio.NewReaderSize(&patient{conn}, 64<<10)
}

// patient gives each read a deadline.
type patient struct{ net.Conn }

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (c *Client) startTLS(ctx context.Context, t *tls.Config) error {
	conn := tls.Client(c.conn, t)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	c.use(conn)
	return nil
}

// greet reads the first line.
func (c *Client) greet() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.ToUpper(line), "* OK") {
		return &Refusal{line}
	}
	return nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// line reads the rest of a line.
func (c *Client) line() (string, error) {
	var out []byte
	for {
		part, err := c.in.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > maxWord:
			return "", fmt.Errorf("%w: a line of more than %d bytes", ErrServer, maxWord)
		case err == nil:
			return strings.TrimRight(string(out), "\r\n"), nil
		case err != bufio.ErrBufferFull:
			return "", err
		}
	}
}

// Do sends a command and gives each untagged response to each, which may be nil.
func (c *Client) Do(command string, each func(*Response) error) error {
	c.tag++
	tag := "a" + strconv.Itoa(c.tag)
	if err := c.send(tag + " " + command + "\r\n"); err != nil {
		return err
	}
	return c.answers(tag, each)
}

func (c *Client) send(text string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, text)
	return err
}

// answers reads up to the tagged response.
func (c *Client) answers(tag string, each func(*Response) error) error {
	for range maxResponses {
		word, err := c.word()
		if err != nil {
			return err
		}
		switch word {
		case tag:
			return c.tagged()
		case "*":
			r := &Response{c: c}
			if err := r.read(each); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %.60q", ErrServer, word)
		}
	}
	return fmt.Errorf("%w: too many responses", ErrServer)
}

// tagged reads the end of a command.
func (c *Client) tagged() error {
	text, err := c.line()
	if err != nil {
		return err
	}
	state, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch strings.ToUpper(state) {
	case "OK":
		return nil
	case "NO", "BAD":
		return &Refusal{strings.TrimSpace(text)}
	}
	return fmt.Errorf("%w: %.60q", ErrServer, text)
}

// Has tells whether the server can do something.
func (c *Client) Has(capability string) (bool, error) {
	if c.caps == nil {
		caps := map[string]bool{}
		err := c.Do("CAPABILITY", func(r *Response) error {
			if r.Name != "CAPABILITY" {
				return nil
			}
			line, err := c.line()
			r.ended = true
			for _, word := range strings.Fields(strings.ToUpper(line)) {
				caps[word] = true
			}
			return err
		})
		if err != nil {
			return false, err
		}
		c.caps = caps
	}
	return c.caps[capability], nil
}

// Login logs in, with a mechanism that sends the password as it is: over TLS nobody else
// reads it.
func (c *Client) Login(user, password string) error {
	if strings.ContainsAny(user+password, "\r\n\x00") {
		return errors.New("a name or password with a line end")
	}
	ir, err := c.Has("SASL-IR")
	if err != nil {
		return err
	}
	command := "LOGIN " + quote(user) + " " + quote(password)
	if plain := c.caps["AUTH=PLAIN"]; plain && ir {
		command = "AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password))
	} else if c.caps["LOGINDISABLED"] {
		return &Refusal{"LOGINDISABLED"}
	}
	c.caps = nil // others after it
	return c.Do(command, nil)
}

// quote writes a string of IMAP; the caller has seen to line ends.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
