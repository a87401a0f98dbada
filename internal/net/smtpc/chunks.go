package smtpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"facteur/internal/mail/smtp"
)

// Sizes of chunks.
const (
	// chunkSize is that of a chunk, in bytes. A peer has its say after each: what it
	// does not want of a large message it has not been sent in vain.
	chunkSize = 128 << 10
	// chunkWindow is how many are sent to a peer with PIPELINING before their replies
	// are read. The last is always sent alone, when all others have been answered:
	// its reply must not be another's.
	chunkWindow = 8
	// atOnceMax is the longest message that goes out with its envelope, in bytes: what
	// is sent in vain when no recipient is taken.
	atOnceMax = 24 << 10
)

// oneGo tells whether envelope and message may go out together (RFC 3030 §4.2), which
// saves a round trip where DATA saves none. It is done where a reply can be told
// from its neighbours: by its enhanced code (see conclude), or because the peer has kept
// count in an earlier transaction. In LMTP it is not: whether BDAT without a recipient has one
// reply or none is not said anywhere.
func (t *transaction) oneGo() bool {
	x := &t.c.ext
	return t.chunked && x.Pipelining && (x.Enhanced || t.c.messages > 0) && !t.c.cfg.LMTP &&
		t.env.Size > 0 && t.env.Size <= atOnceMax && len(t.env.Recipients) < window-1
}

// atOnce sends envelope and message in one go. A message that is longer than was
// announced is not: done is false, and source at its start.
func (t *transaction) atOnce(source *sourceReader) (done bool, err error) {
	pieces := t.pieces(source, atOnceMax)
	chunk, last, err := pieces.next()
	switch {
	case err != nil:
		return true, t.unreadable(err)
	case !last:
		source.r = io.MultiReader(bytes.NewReader(bytes.Clone(pieces.buf)), source.r)
		return false, nil
	}
	t.sent = true
	return true, t.exchange(append(t.commands(), command{stage: StageEnd, chunk: chunk}))
}

// chunks sends the message by BDAT (RFC 3030 §2). No dot is doubled; in text, line
// ends are mended as by DATA. Without the LAST there is no message: that is what a
// failure on our side comes to.
func (t *transaction) chunks(source *sourceReader) error {
	if t.c.spoke() {
		return t.c.violated("it spoke before the data")
	}
	room := 1
	if t.c.ext.Pipelining {
		room = chunkWindow
	}
	pieces := t.pieces(source, chunkSize)
	for waiting := 0; ; {
		chunk, last, err := pieces.next()
		if err != nil {
			return t.unreadable(err)
		}
		for waiting > 0 && (last || waiting == room) {
			waiting--
			if err := t.soFar(); err != nil {
				return err
			}
		}
		switch {
		case t.c.broken != nil:
			return nil
		case !t.anyOpen():
			return t.abandon(waiting)
		case last:
			return t.lastChunk(chunk)
		}
		if err := t.sendChunk(chunk, false); err != nil {
			return t.cutOff(err, waiting)
		}
		waiting++
	}
}

// lastChunk sends it and reads the verdict.
func (t *transaction) lastChunk(chunk []byte) error {
	if t.c.spoke() {
		return t.c.violated("it spoke before the last chunk")
	}
	if err := t.sendChunk(chunk, true); err != nil {
		return t.cutOff(err, 0)
	}
	return t.verdict()
}

// cutOff settles when the connection breaks between chunks. What the peer said to
// those before may be why.
func (t *transaction) cutOff(err error, waiting int) error {
	for range waiting {
		if timedOut(err) || !t.anyOpen() || t.soFar() != nil {
			break
		}
	}
	return t.lost(StageData, err)
}

func (t *transaction) sendChunk(chunk []byte, last bool) error {
	t.at, t.sent = StageData, true
	t.c.w.Write(smtp.Chunk{Size: int64(len(chunk)), Last: last}.AppendTo(t.c.w.AvailableBuffer()))
	t.c.w.Write(chunk)
	return t.c.flush()
}

// soFar reads the reply to a chunk that is not the last.
func (t *transaction) soFar() error {
	t.at = StageData
	reply, err := t.c.reply(StageData)
	switch {
	case err != nil:
		return t.lost(StageData, err)
	case intermediate(reply):
		return t.c.violated("reply %d to BDAT", reply.Code)
	case unknownCommand(reply) && t.anyOpen():
		t.noChunks(reply)
	case negative(reply):
		t.settleAll(Result{Stage: StageData, Reply: reply})
	}
	return nil
}

// abandon reads the replies that are still to come for a message that was refused,
// and takes the transaction back.
func (t *transaction) abandon(waiting int) error {
	for range waiting {
		if err := t.soFar(); err != nil || t.c.broken != nil {
			return err
		}
	}
	return t.reset()
}

// unreadable gives up for a fault on our side.
func (t *transaction) unreadable(err error) error {
	t.c.broken = err
	t.settleAll(deferred(StageData, t.c.peer, err))
	return nil
}

// unknownCommand is what somebody says who offers CHUNKING, has taken a recipient, and
// does not know BDAT, or not in this place: filters that pass on the offer of a host
// behind them. It is no word about the message, which must not bounce for it.
func unknownCommand(r *smtp.Reply) bool { return r.Code >= 500 && r.Code <= 504 }

// noChunks gives up a connection on which the message itself has been taken for
// commands.
func (t *transaction) noChunks(reply *smtp.Reply) {
	err := fmt.Errorf("%w: %v", ErrChunking, reply)
	t.c.broken, t.again = err, true
	t.settleAll(deferred(StageData, t.c.peer, err))
}

// pieces cuts the message for a transaction.
func (t *transaction) pieces(source *sourceReader, size int) *pieces {
	return &pieces{source: source, size: size, buf: t.c.buffer(size + 1), text: !t.env.Binary, expect: t.env.Size}
}

// pieces are a message in pieces of size bytes, of which the last is known as such.
// One is valid until the next is taken.
type pieces struct {
	source *sourceReader
	size   int
	buf    []byte // size+1
	held   bool   // its last byte is the first of the next piece
	text   bool
	cr     bool // text: the last piece ended within a CRLF
	count  int64
	expect int64
}

func (p *pieces) next() (piece []byte, last bool, err error) {
	n := 0
	if p.held {
		p.buf[0], n = p.buf[p.size], 1
	}
	m, err := io.ReadFull(p.source, p.buf[n:])
	n, p.count = n+m, p.count+int64(m)
	switch {
	case p.source.err != nil:
		return nil, false, fmt.Errorf("%w: %w", ErrBody, p.source.err)
	case err == nil:
		p.held = true
		return p.mend(p.buf[:p.size], false), false, nil
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, false, fmt.Errorf("%w: %w", ErrBody, err)
	case !p.text && p.count < p.expect:
		return nil, false, fmt.Errorf("%w: it is shorter than announced", ErrBody)
	}
	return p.mend(p.buf[:n], true), true, nil
}

// mend gives text the line ends that it has to have. Mail that came in over SMTP
// has them, and is passed as it is.
func (p *pieces) mend(b []byte, last bool) []byte {
	if !p.text {
		return b
	}
	lines := bytes.Count(b, []byte("\n"))
	if !p.cr && lines == bytes.Count(b, []byte("\r\n")) && lines == bytes.Count(b, []byte("\r")) && (!last || len(b) == 0 || b[len(b)-1] == '\n') {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for _, c := range b {
		switch {
		case c == '\n' && p.cr:
			p.cr = false
			continue
		case c == '\r' || c == '\n':
			out = append(out, '\r', '\n')
		default:
			out = append(out, c)
		}
		p.cr = c == '\r'
	}
	if last && b[len(b)-1] != '\n' && b[len(b)-1] != '\r' {
		out = append(out, '\r', '\n')
	}
	return out
}
