package pop3d

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"

	"facteur/internal/server/listen"
)

// errDrained is what waiting gives when the server stops, errLong what reading gives
// of a line that is too long, which was skipped.
var (
	errDrained = errors.New("server is shutting down")
	errLong    = errors.New("line too long")
)

// The buffers of a connection at work, in octets.
const (
	readBuffer  = 4 << 10
	writeBuffer = 16 << 10
)

type buffers struct {
	r *bufio.Reader
	w *bufio.Writer
}

func newBuffers() any {
	return &buffers{bufio.NewReaderSize(nil, readBuffer), bufio.NewWriterSize(nil, writeBuffer)}
}

// wire is the connection with its deadlines and counters. It has buffers only while
// there is something to do.
type wire struct {
	conn    *listen.Conn
	server  *Server
	in, out int64 // octets, not encrypted
	busy    bool

	early *listen.Buffer // what came while there was no buffer
	ahead []byte         // the rest of it
	*buffers
}

func newWire(s *Server, c *listen.Conn) *wire {
	w := &wire{conn: c, server: s}
	w.resume()
	return w
}

func (w *wire) resume() {
	w.buffers = w.server.buffers.Get().(*buffers)
	w.r.Reset(w)
	w.w.Reset(w)
}

// rest gives the buffers back; nothing of this session stays in them.
func (w *wire) rest() {
	w.r.Reset(nil)
	w.w.Reset(nil)
	w.server.buffers.Put(w.buffers)
	w.buffers = nil
}

// await sends what is to be sent and waits for the client, for d at most. What it says
// ahead is acted on before anything is sent: answers to pipelined commands go together.
func (w *wire) await(d time.Duration) (err error) {
	w.busy = false
	if !w.conn.Idle(d) {
		return errDrained
	}
	if bytes.IndexByte(w.peek(), '\n') >= 0 {
		return nil
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if len(w.peek()) > 0 || len(w.ahead) > 0 {
		return nil
	}
	w.rest()
	err = w.conn.Await(w.hear)
	w.resume()
	if errors.Is(err, os.ErrDeadlineExceeded) && w.conn.Draining() {
		err = errDrained
	}
	return err
}

// peek is what is in the buffer.
func (w *wire) peek() []byte {
	b, _ := w.r.Peek(w.r.Buffered())
	return b
}

func (w *wire) hear() error {
	b, n, err := w.conn.ReadLate(w.server.early)
	if err == nil {
		w.early, w.ahead = b, b[:n]
	}
	return err
}

// act says that a command is being carried out, which a server that ends lets happen.
func (w *wire) act() {
	w.busy = true
	w.conn.Busy(stallTime)
}

// line reads a line of at most most octets, with its end, and gives it without that.
func (w *wire) line(most int) ([]byte, error) {
	var line []byte
	size := 0
	for {
		part, err := w.r.ReadSlice('\n')
		if size += len(part); size <= most {
			line = append(line, part...)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if size > maxSkipped {
			return nil, errFlood
		}
	}
	if size > most {
		return nil, errLong
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}

// maxSkipped is how long a line may be to be skipped, in octets.
const maxSkipped = 64 << 10

// errFlood ends a session.
var errFlood = errors.New("command line too long")

// Read implements io.Reader.
func (w *wire) Read(p []byte) (n int, err error) {
	if len(w.ahead) > 0 {
		n = copy(p, w.ahead)
		if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
			w.forget()
		}
	} else {
		n, err = w.conn.Read(p)
	}
	w.in += int64(n)
	if errors.Is(err, os.ErrDeadlineExceeded) && w.conn.Draining() {
		err = errDrained
	}
	return n, err
}

// forget gives the buffer of what came early back.
func (w *wire) forget() {
	if w.early != nil {
		w.server.early.Put(w.early)
		w.early, w.ahead = nil, nil
	}
}

// Write implements io.Writer. A client that takes nothing for stallTime is cut off.
func (w *wire) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(p)
	w.out += int64(n)
	return n, err
}

// say writes a line.
func (w *wire) say(text string) {
	io.WriteString(w.w, text) //nolint:errcheck // Flush tells
	w.w.WriteString("\r\n")   //nolint:errcheck // as above
}

// startTLS puts TLS on the connection.
func (w *wire) startTLS(c *tls.Config) error {
	w.forget()
	w.r.Reset(w)
	return w.conn.StartTLS(c)
}

// close sends the last words and gives everything back.
func (w *wire) close() {
	w.conn.Busy(byeTime)
	w.w.Flush() //nolint:errcheck // nobody waits for it
	w.rest()
	w.forget()
}
