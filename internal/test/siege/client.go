package siege

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// patience bounds every wait of a client for one answer.
const patience = time.Minute

// client is one connection of SMTP.
type client struct {
	net.Conn
	r *bufio.Reader
}

// dial connects from an address of 127.0.0.0/8 and does not wait for the banner.
func dial(ctx context.Context, from, addr string) (*client, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.(*net.TCPConn).SetLinger(0) // no ports in TIME-WAIT: a flood needs many
	return &client{conn, bufio.NewReader(conn)}, nil
}

// greet connects, reads the banner and says EHLO.
func greet(ctx context.Context, from, addr string) (*client, error) {
	c, err := dial(ctx, from, addr)
	if err == nil {
		_, err = c.want("", "220")
	}
	if err == nil {
		_, err = c.want("EHLO client.test\r\n", "250")
	}
	return c.orNone(err)
}

// orNone is the client, or nothing that has to be closed.
func (c *client) orNone(err error) (*client, error) {
	if err != nil && c != nil {
		c.Close()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func arrive(ctx context.Context, from string, t Target) (*client, error) {
	return dial(ctx, from, t.SMTP)
}

func greetMX(ctx context.Context, from string, t Target) (*client, error) {
	return greet(ctx, from, t.SMTP)
}

func greetSubmission(ctx context.Context, from string, t Target) (*client, error) {
	return greet(ctx, from, t.Submission)
}

// say sends text and reads one answer, of which it returns the last line.
func (c *client) say(text string) (string, error) {
	c.SetDeadline(time.Now().Add(patience))
	if text != "" {
		if _, err := c.Write([]byte(text)); err != nil {
			return "", err
		}
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimRight(line, "\r\n"), nil
		}
	}
}

// want is say for an answer that has to begin so.
func (c *client) want(text, begin string) (string, error) {
	reply, err := c.say(text)
	if err == nil && !strings.HasPrefix(reply, begin) {
		err = fmt.Errorf("%.40q was answered with %q", text, reply)
	}
	return reply, err
}
