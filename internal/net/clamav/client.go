package clamav

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Config is where clamd listens.
type Config struct {
	// Network and Address are what net.Dial takes.
	Network, Address string
}

// ErrTooLarge is about a letter of more than clamd's StreamMaxLength.
var ErrTooLarge = errors.New("the letter is larger than the StreamMaxLength of clamd")

// Bounds of what is sent and read at once, in bytes.
const (
	chunkSize  = 32 << 10
	answerMost = 4 << 10
)

// Scan has a letter looked at. It reads r to its end, unless clamd answers before.
func (c Config) Scan(ctx context.Context, r io.Reader) (Answer, error) {
	text, err := c.ask(ctx, func(w io.Writer) error { return stream(w, r) })
	if err != nil {
		return Answer{}, err
	}
	return parse(text)
}

// Ping has clamd answer, and nothing else.
func (c Config) Ping(ctx context.Context) error {
	text, err := c.command(ctx, "zPING\x00")
	if err == nil && string(text) != "PONG" {
		err = unexpected(text)
	}
	return err
}

// Version is what clamd and its signatures are: "ClamAV 1.4.3/27500/Sat Jan 1 …".
func (c Config) Version(ctx context.Context) (string, error) {
	text, err := c.command(ctx, "zVERSION\x00")
	if err == nil && !bytes.HasPrefix(text, []byte("ClamAV ")) {
		err = unexpected(text)
	}
	return printable(text), err
}

func (c Config) command(ctx context.Context, words string) ([]byte, error) {
	return c.ask(ctx, func(w io.Writer) error {
		_, err := io.WriteString(w, words)
		return err
	})
}

// ask puts a question on a connection of its own, and reads the answer. One that comes
// before the question was put in full is the answer, too.
func (c Config) ask(ctx context.Context, question func(io.Writer) error) ([]byte, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, c.Network, c.Address)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })()
	asked := question(nc)
	if from := (*sourceError)(nil); errors.As(asked, &from) {
		return nil, from.err
	}
	text, err := answer(nc)
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return nil, cmp.Or(ctx.Err(), asked, err)
	}
	return text, nil
}

// answer reads up to NUL.
func answer(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, answerMost))
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return text[:at], nil // whatever ended it: clamd resets the connection where it has not read all
	}
	if err == nil {
		err = fmt.Errorf("the answer has no end: %q", printable(text))
	}
	return nil, err
}

// sourceError is that of the letter, not of clamd.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

// stream writes a letter in chunks. The length of each stands in front of it in the same
// write.
func stream(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+chunkSize)
	for {
		n, err := io.ReadFull(r, buf[4:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return &sourceError{err}
		}
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := w.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		if err != nil {
			break
		}
	}
	_, err := w.Write(make([]byte, 4))
	return err
}
