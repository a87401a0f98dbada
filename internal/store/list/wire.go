package list

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// maxReply is how much a server may send for one question, in bytes.
const maxReply = 256 << 10

// maxRowsSize is how much the rows of one answer of MySQL may take in memory: what may
// come over the wire, and 100 rows of 256 columns.
const maxRowsSize = 4 * maxReply

var errTooMuch = errors.New("the server sends more than an answer can be")

// wire is a connection that bounds what comes over it, in bytes and in time.
type wire struct {
	net.Conn
	left atomic.Int64 // bytes that may come until the next question
}

func newWire(c net.Conn) *wire {
	w := &wire{Conn: c}
	w.left.Store(maxReply)
	return w
}

// Read is net.Conn's, until too much has come.
func (w *wire) Read(p []byte) (int, error) {
	left := w.left.Load()
	if left <= 0 {
		return 0, errTooMuch
	}
	n, err := w.Conn.Read(p[:min(int64(len(p)), left)])
	w.left.Add(-int64(n))
	return n, err
}

// during lets the connection work until ctx ends. What it gives back has to be
// called then: the connection rests, and ends by itself if nothing is asked for long.
func (w *wire) during(ctx context.Context) (rest func()) {
	w.left.Store(maxReply)
	end, limited := ctx.Deadline()
	if !limited {
		end = time.Now().Add(patience)
	}
	w.SetDeadline(end)
	stop := context.AfterFunc(ctx, func() { w.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if stop() {
			w.SetDeadline(time.Now().Add(2 * keepIdle))
		}
	}
}

// expired tells that the time of ctx is over. A connection with the same deadline may
// notice a moment before ctx itself does.
func expired(ctx context.Context) bool {
	end, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(end)
}

// describe says in plain words that time was up.
func describe(ctx context.Context, err error) error {
	if expired(ctx) {
		return fmt.Errorf("no answer in time: %w", err)
	}
	return err
}

// bare is an error without the address that it would repeat.
func bare(err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return dial.Err
	}
	return err
}
