package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Driver sends letters over SMTP and writes into its Book what it saw. It
// goes on through refused connections, dying servers and errors until its
// context ends.
type Driver struct {
	Book *Book
	Addr string // of the SMTP server
	From string // envelope sender: an account whose mailbox is read for notices
	// Recipients are drawn from here, one to three for each letter.
	Recipients []Recipient
	// Connections at the same time.
	Connections int
	// PerSecond bounds the letters started in a second, over all connections.
	PerSecond int
	// Seed makes the plan (not the timing) repeatable.
	Seed uint64
	// Run names this run in the ids of its letters.
	Run string

	next atomic.Int64
}

// clientPatience bounds the wait for any one answer. A server that takes
// longer than the ten minutes of RFC 5321 §4.5.3.2.6 is broken, and so is a
// test that waits that long.
const clientPatience = 2 * time.Minute

var errRefused = errors.New("refused")

// Send runs until the context ends and the letters under way are done.
func (d *Driver) Send(ctx context.Context) {
	pace := time.NewTicker(time.Second / time.Duration(d.PerSecond))
	defer pace.Stop()
	var workers sync.WaitGroup
	for n := range d.Connections {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(d.Seed, uint64(n)))
			for ctx.Err() == nil {
				d.connection(ctx, random, pace.C)
			}
		})
	}
	workers.Wait()
}

// connection opens one connection and sends a few letters over it.
func (d *Driver) connection(ctx context.Context, random *rand.Rand, pace <-chan time.Time) {
	c, err := dial(d.Addr)
	if err != nil {
		sleep(ctx, time.Duration(5+random.IntN(20))*time.Millisecond)
		return
	}
	defer c.Close()
	for range 1 + random.IntN(20) {
		select {
		case <-ctx.Done():
			c.quit()
			return
		case <-pace:
		}
		if d.letter(c, random) != nil {
			return
		}
	}
	c.quit()
}

func sleep(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// letter sends one letter. An error means that the connection is of no more use.
func (d *Driver) letter(c *client, random *rand.Rand) error {
	letter := Letter{ID: fmt.Sprintf("%s-%06d", d.Run, d.next.Add(1)), From: d.From, Size: size(random)}
	to := d.draw(random)
	d.Book.Open(letter, to)
	taken, answer, err := c.send(letter, to, plan{
		pipelined: random.IntN(2) == 0 && c.pipelining,
		broken:    random.IntN(25) == 0,
		cut:       random.Float64(),
	})
	d.Book.Close(letter.ID, taken, answer)
	return err
}

// size is 1 to 10 KB mostly, and up to 300 KB now and then.
func size(random *rand.Rand) int {
	switch random.IntN(30) {
	case 0:
		return 100_000 + random.IntN(200_000)
	case 1, 2:
		return 10_000 + random.IntN(90_000)
	}
	return 1_000 + random.IntN(9_000)
}

func (d *Driver) draw(random *rand.Rand) []Recipient {
	order := random.Perm(len(d.Recipients))
	to := make([]Recipient, 1+random.IntN(min(3, len(order))))
	for i := range to {
		to[i] = d.Recipients[order[i]]
	}
	return to
}

// client is an SMTP client that tells apart "refused", "never sent" and
// "nobody knows".
type client struct {
	net.Conn
	r          *bufio.Reader
	pipelining bool
}

// plan is how one letter is sent.
type plan struct {
	pipelined bool
	broken    bool    // hang up in the middle of the letter
	cut       float64 // where: a fraction of it
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, clientPatience)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, r: bufio.NewReader(conn)}
	if _, err = c.reply(); err == nil {
		err = c.hello()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) hello() error {
	if err := c.write("EHLO ledger.test\r\n"); err != nil {
		return err
	}
	text, err := c.reply()
	c.pipelining = strings.Contains(text, "PIPELINING")
	return err
}

func (c *client) quit() {
	if c.write("QUIT\r\n") == nil {
		c.reply()
	}
}

func (c *client) write(text string) error {
	c.SetDeadline(time.Now().Add(clientPatience))
	_, err := c.Write([]byte(text))
	return err
}

// reply reads one answer with all its lines. 4xx and 5xx are errRefused.
func (c *client) reply() (text string, err error) {
	c.SetDeadline(time.Now().Add(clientPatience))
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return text, err
		}
		text += line
		if len(line) < 4 {
			return text, fmt.Errorf("not an SMTP reply: %q", line)
		}
		if line[3] != '-' {
			break
		}
	}
	if text[0] != '2' && text[0] != '3' {
		return text, errRefused
	}
	return text, nil
}

// send sends one letter and tells who was taken as recipient and what is
// known of it at the end.
func (c *client) send(letter Letter, to []Recipient, p plan) (taken []Recipient, answer Answer, err error) {
	taken, err = c.envelope(letter, to, p.pipelined)
	if errors.Is(err, errRefused) {
		return taken, Refused, c.reset()
	}
	if err != nil {
		return taken, Unsent, err
	}
	if err := c.content(letter.Bytes(), p); err != nil {
		return taken, Unsent, err
	}
	// From here on the server may have the letter whatever we see.
	if err := c.write(".\r\n"); err != nil {
		return taken, Unknown, err
	}
	_, err = c.reply()
	switch {
	case err == nil:
		return taken, Accepted, nil
	case errors.Is(err, errRefused):
		return taken, Refused, nil
	}
	return taken, Unknown, err
}

func (c *client) reset() error {
	if err := c.write("RSET\r\n"); err != nil {
		return err
	}
	_, err := c.reply()
	return err
}

// envelope sends MAIL, RCPT and DATA, in one piece or one by one.
func (c *client) envelope(letter Letter, to []Recipient, pipelined bool) (taken []Recipient, err error) {
	commands := []string{fmt.Sprintf("MAIL FROM:<%s> SIZE=%d BODY=8BITMIME\r\n", letter.From, letter.Size+2000)}
	for _, r := range to {
		commands = append(commands, fmt.Sprintf("RCPT TO:<%s>\r\n", r.Address))
	}
	commands = append(commands, "DATA\r\n")
	if pipelined {
		if err := c.write(strings.Join(commands, "")); err != nil {
			return nil, err
		}
	}
	for i, command := range commands {
		if !pipelined {
			if err := c.write(command); err != nil {
				return taken, err
			}
		}
		_, err = c.reply()
		switch {
		case err != nil && !errors.Is(err, errRefused):
			return taken, err
		case err == nil && i > 0 && i <= len(to):
			taken = append(taken, to[i-1])
		case err != nil && !pipelined && i == 0:
			return taken, err // pipelined: the other answers still come
		}
	}
	return taken, err // of DATA
}

var errCut = errors.New("cut off on purpose")

// content sends the letter with doubled dots, without the end.
func (c *client) content(letter []byte, p plan) error {
	stuffed := bytes.ReplaceAll(letter, []byte("\r\n."), []byte("\r\n.."))
	if p.broken {
		stuffed = stuffed[:int(p.cut*float64(len(stuffed)))]
	}
	c.SetDeadline(time.Now().Add(clientPatience))
	if _, err := c.Write(stuffed); err != nil {
		return err
	}
	if p.broken {
		return errCut
	}
	return nil
}
