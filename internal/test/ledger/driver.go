package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Driver sends letters and writes into its Book what it saw. It goes on through
// refused connections, dying servers and errors until its context ends. Over SMTP
// every second letter goes by BDAT where the server offers CHUNKING.
type Driver struct {
	Book *Book
	Addr string // of the SMTP server
	// LMTP is the address of an LMTP server, which every fifth connection goes to;
	// empty for none.
	LMTP string
	// Sendmail hands one letter in twenty-five to a command; nil for none.
	Sendmail func(from string, to []string, letter []byte) Answer
	From     string // envelope sender: an account whose mailbox is read for notices
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

	next  atomic.Int64
	mu    sync.Mutex
	doors map[string]int
}

// Doors tells how many letters were accepted by each way in: "DATA", "BDAT", "LMTP",
// "sendmail".
func (d *Driver) Doors() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.doors)
}

func (d *Driver) count(door string, answer Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doors == nil {
		d.doors = make(map[string]int)
	}
	if answer == Accepted {
		d.doors[door]++
	}
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
	addr, lmtp := d.Addr, d.LMTP != "" && random.IntN(5) == 0
	if lmtp {
		addr = d.LMTP
	}
	c, err := dial(addr, lmtp)
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
	if d.Sendmail != nil && random.IntN(25) == 0 {
		d.Book.Open(letter, to)
		answer := d.Sendmail(letter.From, addresses(to), letter.Bytes())
		d.Book.Close(letter.ID, to, answer)
		d.count("sendmail", answer)
		return nil
	}
	p := plan{
		pipelined: random.IntN(2) == 0 && c.pipelining,
		broken:    random.IntN(25) == 0,
		cut:       random.Float64(),
	}
	if c.chunking && random.IntN(2) == 0 {
		p.chunk = 1 + random.IntN(2*letter.Size)
	}
	if c.lmtp {
		if to = within(to); len(to) == 0 {
			return nil // next time
		}
	}
	d.Book.Open(letter, to)
	taken, each, err := c.send(letter, to, p)
	switch {
	case c.lmtp:
		d.Book.CloseEach(letter.ID, taken, each)
		d.count("LMTP", worst(each))
	case p.chunk > 0:
		d.Book.Close(letter.ID, taken, worst(each))
		d.count("BDAT", worst(each))
	default:
		d.Book.Close(letter.ID, taken, worst(each))
		d.count("DATA", worst(each))
	}
	return err
}

// within are the recipients that an LMTP server takes: those with a mailbox.
func within(to []Recipient) (local []Recipient) {
	for _, r := range to {
		if r.Want == Local {
			local = append(local, r)
		}
	}
	return local
}

func addresses(to []Recipient) []string {
	list := make([]string, len(to))
	for i, r := range to {
		list[i] = r.Address
	}
	return list
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
	lmtp       bool // LHLO, and an answer for each recipient
	pipelining bool
	chunking   bool
}

// plan is how one letter is sent.
type plan struct {
	pipelined bool
	broken    bool    // hang up in the middle of the letter
	cut       float64 // where: a fraction of it
	chunk     int     // bytes of each BDAT; 0 is DATA
}

func dial(addr string, lmtp bool) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, clientPatience)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, r: bufio.NewReader(conn), lmtp: lmtp}
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
	verb := "EHLO"
	if c.lmtp {
		verb = "LHLO"
	}
	if err := c.write(verb + " ledger.test\r\n"); err != nil {
		return err
	}
	text, err := c.reply()
	c.pipelining = strings.Contains(text, "PIPELINING")
	c.chunking = strings.Contains(text, "CHUNKING")
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

// send sends one letter and tells who was taken as recipient and what is known of
// each at the end, in the order of those taken; over SMTP all have one answer.
func (c *client) send(letter Letter, to []Recipient, p plan) (taken []Recipient, each []Answer, err error) {
	taken, err = c.envelope(letter, to, p)
	if errors.Is(err, errRefused) || err == nil && len(taken) == 0 {
		return taken, all(taken, Refused), c.reset()
	}
	if err != nil {
		return taken, all(taken, Unsent), err
	}
	if p.chunk > 0 {
		err = c.chunks(letter.Bytes(), p)
	} else {
		err = c.content(letter.Bytes(), p)
	}
	if errors.Is(err, errRefused) {
		return taken, all(taken, Refused), c.reset()
	}
	if err != nil && !errors.Is(err, errEnded) {
		return taken, all(taken, Unsent), err
	}
	if err != nil {
		return taken, all(taken, Unknown), err
	}
	each, err = c.answers(taken)
	return taken, each, err
}

// all is one answer for everybody; there is always one to be the letter's.
func all(taken []Recipient, answer Answer) []Answer {
	return slices.Repeat([]Answer{answer}, max(1, len(taken)))
}

// answers reads what the server says at the end: once, or over LMTP once for each
// recipient. What it did not come to say stays Unknown.
func (c *client) answers(taken []Recipient) (each []Answer, err error) {
	each = all(taken, Unknown)
	count := len(each)
	if !c.lmtp {
		count = 1
	}
	for n := range count {
		_, err = c.reply()
		switch {
		case err == nil:
			each[n] = Accepted
		case errors.Is(err, errRefused):
			each[n] = Refused
		default:
			return each, err
		}
	}
	if !c.lmtp {
		return all(taken, each[0]), nil
	}
	return each, nil
}

func (c *client) reset() error {
	if err := c.write("RSET\r\n"); err != nil {
		return err
	}
	_, err := c.reply()
	return err
}

// envelope sends MAIL and RCPT, and DATA unless chunks follow, in one piece or one
// by one.
func (c *client) envelope(letter Letter, to []Recipient, p plan) (taken []Recipient, err error) {
	commands := []string{fmt.Sprintf("MAIL FROM:<%s> SIZE=%d BODY=8BITMIME\r\n", letter.From, letter.Size+2000)}
	for _, r := range to {
		commands = append(commands, fmt.Sprintf("RCPT TO:<%s>\r\n", r.Address))
	}
	if p.chunk == 0 {
		commands = append(commands, "DATA\r\n")
	}
	pipelined := p.pipelined
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
	if p.chunk > 0 && errors.Is(err, errRefused) && len(taken) > 0 {
		err = nil // of the last RCPT: the others are good
	}
	return taken, err // of DATA
}

var (
	errCut   = errors.New("cut off on purpose")
	errEnded = errors.New("the connection is lost after the last byte") // or near it
)

// chunks sends the letter by BDAT (RFC 3030), some chunks with nothing in them. The
// answer to the last is not read; a refusal of one before it ends the letter.
func (c *client) chunks(letter []byte, p plan) error {
	end := len(letter)
	if p.broken {
		end = int(p.cut * float64(end))
	}
	for begin := 0; ; begin += p.chunk {
		chunk, last := letter[begin:min(begin+p.chunk, len(letter))], ""
		if begin+p.chunk >= len(letter) {
			last = " LAST"
		}
		if begin+len(chunk) > end {
			c.write(fmt.Sprintf("BDAT %d%s\r\n%s", len(chunk), last, chunk[:end-begin]))
			return errCut
		}
		if err := c.write(fmt.Sprintf("BDAT %d%s\r\n%s", len(chunk), last, chunk)); err != nil {
			if last != "" {
				err = fmt.Errorf("%w: %w", errEnded, err)
			}
			return err
		}
		if last != "" {
			return nil
		}
		if _, err := c.reply(); err != nil {
			return err
		}
	}
}

// content sends the letter with doubled dots and its end.
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
	// From here on the server may have the letter whatever we see.
	if err := c.write(".\r\n"); err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return nil
}
