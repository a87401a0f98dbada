package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"facteur/internal/mail/message"
)

// Letter is a message to be judged.
type Letter struct {
	// Header is the header as milters may see it: without the trace field of ours.
	Header message.Header
	// Body is what follows the empty line.
	Body io.Reader
	// NewBody is called before the first byte of a new body, of MaxBody bytes at
	// most, and told where it goes.
	NewBody func() io.Writer
	MaxBody int64
}

// Bounds of what a milter may change in one message.
const (
	maxChanges     = 2000
	maxChangeBytes = 1 << 20
)

// ErrTooManyChanges says that a milter wants more changed than is borne.
var ErrTooManyChanges = fmt.Errorf("more than %d changes or %d bytes of them", maxChanges, maxChangeBytes)

var errBodyTooLarge = errors.New("new body is too large")

// Message shows a message and gives the verdict on it. The envelope has been told
// of before. ended tells that the milter has seen all it wanted; else it is told
// nothing more, and waits for Abort.
func (c *Conn) Message(ctx context.Context, l Letter, m Macros) (v Verdict, ended bool, err error) {
	for _, part := range []func() (Verdict, error){
		func() (Verdict, error) { return c.header(ctx, l.Header) },
		func() (Verdict, error) {
			return c.content(ctx, step{cmd: cmdEOH, unwanted: noEOH, nr: nrEOH, at: atEOH, macros: m})
		},
		func() (Verdict, error) { return c.body(ctx, l.Body) },
	} {
		if v, err := part(); err != nil || v.Kind != Continue {
			return v, false, err
		}
	}
	v, err = c.end(ctx, l, m)
	return v, true, err
}

func (c *Conn) content(ctx context.Context, s step) (Verdict, error) {
	return c.send(ctx, c.cfg.ContentTimeout, s)
}

// header shows the fields one by one. A line that is no field is not shown: the
// protocol has no words for it.
func (c *Conn) header(ctx context.Context, h message.Header) (Verdict, error) {
	if c.opts.has(noHeaders) {
		return Verdict{}, nil
	}
	for f := range h.Fields() {
		if len(f.Name) == 0 {
			continue
		}
		v, err := c.content(ctx, step{cmd: cmdHeader, nr: nrHeader, data: c.field(f)})
		if err != nil || v.Kind != Continue {
			return c.noSkip(v, err)
		}
	}
	return Verdict{}, nil
}

// noSkip makes an error of a skip where there is no body to skip.
func (c *Conn) noSkip(v Verdict, err error) (Verdict, error) {
	if err == nil && v.Kind == skip {
		c.nc.Close()
		return Verdict{}, errMalformed
	}
	return v, err
}

// field is a header field as the protocol has it: name, value, lines ended by LF.
// A NUL in it, which would end it, is shown as "?".
func (c *Conn) field(f message.Field) []byte {
	value := bytes.TrimSuffix(bytes.TrimSuffix(f.Value, []byte{'\n'}), []byte{'\r'})
	if !c.opts.has(leadingSpace) {
		value = bytes.TrimLeft(value, " \t")
	}
	b := make([]byte, 0, len(f.Name)+len(value)+2)
	b = append(b, f.Name...)
	colon := len(b)
	b = append(b, 0)
	b = append(b, bytes.ReplaceAll(value, []byte("\r\n"), []byte{'\n'})...)
	for i := range b {
		if b[i] == 0 && i != colon {
			b[i] = '?'
		}
	}
	return append(b, 0)
}

var chunks = sync.Pool{New: func() any { return new([bodyChunk]byte) }}

// body shows the body in chunks, until the milter has seen enough.
func (c *Conn) body(ctx context.Context, r io.Reader) (Verdict, error) {
	if c.opts.has(noBody) {
		return Verdict{}, nil
	}
	chunk := chunks.Get().(*[bodyChunk]byte)
	defer chunks.Put(chunk)
	for {
		n, err := io.ReadFull(r, chunk[:])
		if n > 0 {
			v, err := c.content(ctx, step{cmd: cmdBody, nr: nrBody, data: chunk[:n]})
			if err == nil && v.Kind == skip {
				return Verdict{}, nil
			}
			if err != nil || v.Kind != Continue {
				return v, err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return Verdict{}, nil
		}
		if err != nil {
			c.nc.Close()
			return Verdict{}, err
		}
	}
}

// end sends EOM, collects the changes and reads the verdict.
func (c *Conn) end(ctx context.Context, l Letter, m Macros) (v Verdict, err error) {
	e := ending{conn: c, letter: l, limit: l.MaxBody}
	err = c.within(ctx, c.cfg.ContentTimeout, func() (err error) {
		c.macro(step{cmd: cmdEOM, at: atEOM, macros: m})
		writePacket(c.w, cmdEOM)
		if err = c.w.Flush(); err == nil {
			v, err = e.collect(ctx)
		}
		return err
	})
	return v, err
}

// ending is the answer to EOM while it is read.
type ending struct {
	conn    *Conn
	letter  Letter
	changes []Change
	bytes   int
	body    io.Writer // nil: the body stays
	limit   int64     // of the new body, bytes left
}

// collect reads replies up to the verdict. Each gives the milter its time anew; the
// context bounds the whole.
func (e *ending) collect(ctx context.Context) (Verdict, error) {
	for {
		v, err := e.next()
		if err != nil {
			return Verdict{}, err
		}
		switch v.Kind {
		case change, progress:
			e.conn.again(ctx, e.conn.cfg.ContentTimeout)
		case skip:
			return Verdict{}, errMalformed
		case Continue, Accept:
			v.Changes, v.NewBody = e.changes, e.body != nil
			return v, nil
		default:
			return v, nil
		}
	}
}

// next reads one reply.
func (e *ending) next() (Verdict, error) {
	code, n, err := readHead(e.conn.r)
	if err != nil {
		return Verdict{}, err
	}
	if code == repReplBody {
		return Verdict{Kind: change}, e.replace(n)
	}
	data, err := readData(e.conn.r, n)
	if err != nil {
		return Verdict{}, err
	}
	if c, isChange, err := e.conn.opts.parseChange(code, data); isChange || err != nil {
		e.changes, e.bytes = append(e.changes, c), e.bytes+len(data)
		if err == nil && (len(e.changes) > maxChanges || e.bytes > maxChangeBytes) {
			err = ErrTooManyChanges
		}
		return Verdict{Kind: change}, err
	}
	return e.conn.opts.parseReply(code, data)
}

// replace takes n bytes of a new body to where it goes.
func (e *ending) replace(n uint32) error {
	if e.conn.opts.actions&actChangeBody == 0 {
		return errNotOffered
	}
	if e.limit -= int64(n); e.limit < 0 {
		return errBodyTooLarge
	}
	if e.body == nil {
		e.body = e.letter.NewBody()
	}
	_, err := io.CopyN(e.body, e.conn.r, int64(n))
	return torn(err)
}
