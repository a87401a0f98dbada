package spamd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Config is where spamd listens.
type Config struct {
	// Network and Address are what net.Dial takes.
	Network, Address string
	// User is whose settings spamd takes; "" for its own.
	User string
}

// answerMost is how much of an answer is read, in bytes.
const answerMost = 64 << 10

// Check has a letter of size bytes looked at.
func (c Config) Check(ctx context.Context, r io.Reader, size int64) (Answer, error) {
	head := fmt.Sprintf("SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n", size)
	if c.User != "" {
		head += "User: " + plain(c.User) + "\r\n"
	}
	var a Answer
	err := c.ask(ctx, func(nc net.Conn) error { return send(nc, head+"\r\n", r, size) }, func(b *bufio.Reader) (err error) {
		a, err = readAnswer(b)
		return err
	})
	return a, err
}

// Ping has spamd answer, and nothing else.
func (c Config) Ping(ctx context.Context) error {
	question := func(nc net.Conn) error { return send(nc, "PING SPAMC/1.5\r\n\r\n", strings.NewReader(""), 0) }
	return c.ask(ctx, question, readPong)
}

// ask puts a question on a connection of its own, and reads the answer. One that comes
// before the question was put in full is the answer, too.
func (c Config) ask(ctx context.Context, question func(net.Conn) error, read func(*bufio.Reader) error) error {
	var d net.Dialer
	nc, err := d.DialContext(ctx, c.Network, c.Address)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })()
	asked := question(nc)
	if from := (*sourceError)(nil); errors.As(asked, &from) {
		return from.err
	}
	if err := read(bufio.NewReader(io.LimitReader(nc, answerMost))); err != nil {
		return cmp.Or(ctx.Err(), refusal(err), asked, err)
	}
	return ctx.Err()
}

// refusal is an error that spamd told itself; else nil.
func refusal(err error) error {
	if r := (*Refused)(nil); errors.As(err, &r) {
		return r
	}
	return nil
}

// sourceError is that of the letter, not of spamd.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

// send writes a question, and says that nothing follows.
func send(nc net.Conn, head string, r io.Reader, size int64) error {
	if _, err := io.WriteString(nc, head); err != nil {
		return err
	}
	source := &watched{r: r}
	n, err := io.Copy(nc, io.LimitReader(source, size))
	switch {
	case source.err != nil:
		return &sourceError{source.err}
	case err != nil:
		return err
	case n != size:
		return &sourceError{io.ErrUnexpectedEOF}
	}
	if half, is := nc.(interface{ CloseWrite() error }); is {
		return half.CloseWrite()
	}
	return nil
}

// watched remembers what went wrong with what is read.
type watched struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// plain is a name as a field may have it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
}
