package imapd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"time"

	"facteur/internal/mail/imap"
	"facteur/internal/server/listen"
)

// errDrained is what waiting gives when the server stops.
var errDrained = errors.New("server is shutting down")

// wire is the connection with its deadlines and counters. The session's goroutine
// reads and writes; nobody else does.
//
// It has buffers only while a command is in work: await gives them back to the
// server's pools, and takes others when the client says something. So what an idle
// session costs does not depend on what it did. The decoder and the encoder are the
// same all the time.
type wire struct {
	conn    *listen.Conn
	pools   *pools
	in, out int64 // octets of IMAP, neither encrypted nor compressed

	loginBy time.Time // zero after the log-in
	busy    bool      // in the midst of a command
	waiting bool      // in await
	pause   func(why error) (time.Duration, error)

	early   *listen.Buffer // what came while there was no buffer to read into
	ahead   []byte         // the rest of it
	deflate *deflate       // nil without COMPRESS
	trailer int            // how many octets may follow of a compression that ended

	r   *bufio.Reader // nil while the session waits, like w
	w   *bufio.Writer
	dec *imap.Decoder // reads from r
	enc *imap.Encoder // writes to w
}

// The buffers of a connection, in octets. The writer's is a TLS record.
const (
	readBuffer  = 4 << 10
	writeBuffer = 16 << 10
)

// pools are the buffers that sessions at work have, for all of a server.
type pools struct {
	early, readers, writers *sync.Pool // *listen.Buffer, *bufio.Reader, *bufio.Writer
	packers, packed         *sync.Pool // *flate.Writer, *bytes.Buffer; see deflate
}

func newPools() *pools {
	return &pools{
		early:   listen.NewBuffers(),
		readers: &sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }},
		writers: &sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeBuffer) }},
		packers: newPackers(),
		packed:  &sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

func newWire(c *listen.Conn, p *pools) *wire {
	w := &wire{conn: c, pools: p, loginBy: time.Now().Add(loginTime), enc: imap.NewEncoder(nil)}
	w.dec = imap.NewDecoder(nil, imap.BeforeLogin(), w.goOn)
	w.resume()
	return w
}

// resume takes buffers.
func (w *wire) resume() {
	w.r = w.pools.readers.Get().(*bufio.Reader)
	w.r.Reset(w)
	w.w = w.pools.writers.Get().(*bufio.Writer)
	w.w.Reset(w)
	w.dec.SetReader(w.r)
	w.enc.SetWriter(w.w)
}

// goOn is the command continuation request of a literal.
func (w *wire) goOn() error {
	w.enc.Raw("+ OK\r\n")
	return w.enc.Flush()
}

// rest gives the buffers back. What the writer holds must have been flushed; what
// the reader holds is lost. They keep nothing of this session (ATTACKS IMAP-024).
func (w *wire) rest() {
	if w.r == nil {
		return
	}
	w.r.Reset(nil)
	w.w.Reset(nil)
	w.pools.readers.Put(w.r)
	w.pools.writers.Put(w.w)
	w.r, w.w = nil, nil
	w.dec.SetReader(nil)
	w.enc.SetWriter(nil)
}

// patience is how long the client may take for its next command.
func (w *wire) patience() time.Duration {
	if w.loginBy.IsZero() {
		return idleTime
	}
	return time.Until(w.loginBy)
}

// await waits for the next words of the client, without buffers, for d at most.
//
// What interrupts the wait is told to pause, if there is one: listen.ErrNudged if
// somebody has news for this session, os.ErrDeadlineExceeded after d. It may write,
// and says how long to wait from then on; an error of it ends the wait. Without pause
// these end it, and errDrained does always: the server wants to end.
func (w *wire) await(d time.Duration, pause func(why error) (time.Duration, error)) error {
	w.busy = false
	if !w.conn.Idle(d) {
		return errDrained
	}
	if w.r.Buffered() > 0 || len(w.ahead) > 0 {
		return nil
	}
	w.rest()
	w.waiting, w.pause = true, pause
	err := w.hear()
	w.waiting, w.pause = false, nil
	w.resume()
	return w.drained(err)
}

// hear ends when there is something to read.
func (w *wire) hear() (err error) {
	var n int
	if w.deflate != nil {
		var first [1]byte
		if n, err = w.deflate.Read(first[:]); n > 0 {
			w.early = w.pools.early.Get().(*listen.Buffer)
			w.early[0], err = first[0], nil
		}
	} else {
		err = w.linger(func() (err error) { w.early, n, err = w.conn.ReadLate(w.pools.early); return err })
	}
	if n > 0 && err == nil { // a wait may end without an octet
		w.ahead = w.early[:n]
	}
	return err
}

// linger reads when there is something to read, and pauses where it is interrupted.
func (w *wire) linger(read func() error) error {
	for {
		err := w.conn.Await(read)
		if w.pause == nil || !interrupted(err) || w.conn.Draining() {
			return err
		}
		w.resume()
		d, err := w.pause(err)
		if err == nil {
			err = w.w.Flush()
		}
		w.rest()
		if err != nil {
			return err
		}
		if !w.conn.Idle(d) {
			return errDrained
		}
	}
}

// interrupted says whether the connection is as good as it was.
func interrupted(err error) bool {
	return errors.Is(err, listen.ErrNudged) || errors.Is(err, os.ErrDeadlineExceeded)
}

// drained tells the end of the server's patience from the end of the server.
func (w *wire) drained(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && w.conn.Draining() {
		return errDrained
	}
	return err
}

// act says that a command is being carried out, which a server that ends lets
// happen.
func (w *wire) act() {
	w.busy = true
	w.conn.Busy(stallTime)
}

// Read implements io.Reader. A command that is carried out may take as long as
// it wants, so long as something comes.
func (w *wire) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil && len(p) > 0 {
		n, err = w.read(p)
		n = w.trim(p[:n])
	}
	w.in += int64(n)
	return n, w.drained(err)
}

// maxTrailer is more than any compressor writes to flush, in octets.
const maxTrailer = 16

// trim removes what a compressor may have written behind its last command: it is not
// the begin of a command, which is a letter, a digit or the like.
func (w *wire) trim(p []byte) int {
	if w.trailer == 0 {
		return len(p)
	}
	n := 0
	for n < min(len(p), w.trailer) && (p[n] <= ' ' || p[n] >= 0x7f) {
		n++
	}
	w.trailer -= n
	if n < len(p) {
		w.trailer = 0
	}
	return copy(p, p[n:])
}

// read reads from where there is something.
func (w *wire) read(p []byte) (n int, err error) {
	switch {
	case len(w.ahead) > 0:
		n = w.readAhead(p)
	case w.deflate != nil:
		n, err = w.deflate.Read(p)
	default:
		n, err = w.receive(p)
	}
	return n, err
}

// readAhead gives what came while the session waited.
func (w *wire) readAhead(p []byte) int {
	n := copy(p, w.ahead)
	if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
		w.forget()
	}
	return n
}

// forget gives the buffer of what came early back.
func (w *wire) forget() {
	if w.early != nil {
		w.pools.early.Put(w.early)
		w.early, w.ahead = nil, nil
	}
}

// receive reads what is on the connection, compressed or not.
func (w *wire) receive(p []byte) (int, error) {
	if w.busy {
		w.conn.SetReadDeadline(time.Now().Add(stallTime))
	}
	return w.conn.Read(p)
}

// Write implements io.Writer.
func (w *wire) Write(p []byte) (int, error) {
	w.out += int64(len(p))
	if w.deflate != nil {
		return w.deflate.Write(p)
	}
	return w.transmit(p)
}

// transmit writes to the connection. A client that takes nothing for stallTime is
// cut off (ATTACKS IMAP-006).
func (w *wire) transmit(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

// clear forgets what the client sent ahead.
func (w *wire) clear() {
	w.forget()
	w.r.Reset(w)
}

// startTLS puts TLS on the connection. Nothing is kept of what the client sent too
// early (ATTACKS IMAP-016).
func (w *wire) startTLS(c *tls.Config) error {
	w.clear()
	return w.conn.StartTLS(c)
}

// lastWords bounds what a client that is being put off may cost.
func (w *wire) lastWords() {
	w.conn.Busy(byeTime)
	w.w.Flush()
	w.rest()
	w.forget()
}
