package smtpc

import (
	"fmt"
	"io"
)

// chunkMax is the most bytes that are sent before a reply is waited for.
const chunkMax = 4 << 20

// chunks sends the message by BDAT (RFC 3030 §2), byte for byte: nothing is made
// CRLF and no dot doubled. Without the LAST there is no message: that is what a
// failure on our side comes to.
func (t *transaction) chunks(body io.Reader) error {
	source := &sourceReader{r: body}
	for left := t.env.Size; ; {
		n := min(left, chunkMax)
		left -= n
		if err := t.chunk(source, n, left == 0); err != nil || left == 0 || t.c.broken != nil {
			return err
		}
		if !t.anyOpen() {
			return t.reset()
		}
	}
}

// chunk sends n bytes and reads what the peer says to them.
func (t *transaction) chunk(source *sourceReader, n int64, last bool) error {
	t.at = StageData
	if t.c.spoke() {
		return t.c.violated("it spoke before the data")
	}
	if err := t.sendChunk(source, n, last); err != nil {
		return t.lost(StageData, err)
	}
	if last {
		return t.verdict()
	}
	reply, err := t.c.reply(t.at)
	switch {
	case err != nil:
		return t.lost(t.at, err)
	case intermediate(reply):
		return t.c.violated("reply %d to BDAT", reply.Code)
	case negative(reply):
		t.settleAll(Result{Stage: t.at, Reply: reply})
	}
	return nil
}

func (t *transaction) sendChunk(source *sourceReader, n int64, last bool) error {
	end := ""
	if last {
		end = " LAST"
	}
	fmt.Fprintf(t.c.w, "BDAT %d%s\r\n", n, end)
	_, err := io.CopyN(t.c.w, source, n)
	switch {
	case source.err != nil:
		err = fmt.Errorf("%w: %w", ErrBody, source.err)
	case err == io.EOF:
		err = fmt.Errorf("%w: it is shorter than announced", ErrBody)
	case err == nil:
		err = t.c.w.Flush()
	}
	if err != nil {
		t.c.broken = err
	}
	return err
}

// Fit lowers what an envelope asks of the peer to what the message needs, where
// the peer offers less: a message that was called binary or internationalised, and
// is not, may go as what it is (RFC 3030 §3, RFC 6531 §3.6). body is read only
// then, and is at its start afterwards. Nothing is converted.
func (c *Conn) Fit(env Envelope, body io.ReadSeeker) (Envelope, error) {
	x := c.ext
	binary := env.Binary && !(x.BinaryMIME && x.Chunking)
	if !binary && !(env.UTF8 && !x.UTF8) {
		return env, nil
	}
	n, err := examine(body)
	if err != nil {
		return env, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return env, err
	}
	if binary && n.text {
		env.Binary, env.Body8Bit = false, n.eightBit
	}
	if env.UTF8 && !x.UTF8 && !n.header8Bit {
		env.UTF8, env.Body8Bit = false, env.Body8Bit || n.eightBit
	}
	return env, nil
}

// nature is what a message is made of.
type nature struct {
	text       bool // lines that end with CRLF, of at most maxLine bytes, without NUL
	eightBit   bool
	header8Bit bool
}

// maxLine is the longest line of text, without CRLF (RFC 5321 §4.5.3.1.6).
const maxLine = 998

// examine reads a message to its end.
func examine(r io.Reader) (nature, error) {
	n, x := nature{text: true}, examiner{header: true}
	buf := make([]byte, 32<<10)
	for {
		k, err := r.Read(buf)
		for _, c := range buf[:k] {
			x.see(&n, c)
		}
		if err == io.EOF {
			n.text = n.text && x.line == 0 && !x.cr
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// examiner is where examine stands.
type examiner struct {
	line   int // bytes of this line so far
	cr     bool
	header bool
}

func (x *examiner) see(n *nature, c byte) {
	if c == '\n' {
		n.text = n.text && x.cr
		x.header = x.header && x.line > 0
		x.line, x.cr = 0, false
		return
	}
	if c >= 0x80 {
		n.eightBit = true
		n.header8Bit = n.header8Bit || x.header
	}
	n.text = n.text && !x.cr && c != 0
	if x.cr = c == '\r'; !x.cr {
		x.line++
	}
	n.text = n.text && x.line <= maxLine
}
