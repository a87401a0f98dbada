package imapd

import (
	"bufio"
	"crypto/tls"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"facteur/internal/server/listen"
)

// errDrained is what waiting gives when the server stops.
var errDrained = errors.New("server is shutting down")

// wire is the connection with its deadlines and counters. Reads are done by one
// goroutine at a time, writes too.
type wire struct {
	conn    *listen.Conn
	in, out atomic.Int64 // octets of IMAP, in the clear

	loginBy time.Time // zero after the log-in
	busy    bool      // in the midst of a command

	r *bufio.Reader
	w *bufio.Writer
}

// The buffers of a connection, in octets. An idle session must be cheap; the
// writer is a TLS record.
const (
	readBuffer  = 4 << 10
	writeBuffer = 16 << 10
)

func newWire(c *listen.Conn) *wire {
	w := &wire{conn: c, loginBy: time.Now().Add(loginTime)}
	w.buffer()
	return w
}

func (w *wire) buffer() {
	w.r = bufio.NewReaderSize(w, readBuffer)
	w.w = bufio.NewWriterSize(w, writeBuffer)
}

// await sets the deadline for the next line of the client. errDrained if the
// server wants to end.
func (w *wire) await() error {
	wait := idleTime
	if !w.loginBy.IsZero() {
		wait = time.Until(w.loginBy)
	}
	w.busy = false
	if !w.conn.Idle(wait) {
		return errDrained
	}
	return nil
}

// act says that a command is being carried out, which a server that ends lets
// happen.
func (w *wire) act() {
	w.busy = true
	w.conn.Busy(stallTime)
}

// Read implements io.Reader. A command that is carried out may take as long as
// it wants, so long as something comes.
func (w *wire) Read(p []byte) (int, error) {
	if w.busy {
		w.conn.SetReadDeadline(time.Now().Add(stallTime))
	}
	n, err := w.conn.Read(p)
	w.in.Add(int64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) && w.conn.Draining() {
		err = errDrained
	}
	return n, err
}

// Write implements io.Writer. A client that takes nothing for stallTime is cut
// off (ATTACKS IMAP-006).
func (w *wire) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(p)
	w.out.Add(int64(n))
	return n, err
}

// startTLS puts TLS on the connection. The buffers are new ones: what the
// client sent too early is not in them (ATTACKS IMAP-016).
func (w *wire) startTLS(c *tls.Config) error {
	err := w.conn.StartTLS(c)
	w.buffer()
	return err
}

// lastWords bounds what a client that is being put off may cost.
func (w *wire) lastWords() {
	w.conn.Busy(byeTime)
	w.w.Flush()
}
