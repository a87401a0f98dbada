package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"facteur/internal/mail/smtp"
)

// chunks is a message that comes by BDAT (RFC 3030): its Read is where the desk
// reads it. Between two chunks it is the dialogue that goes on inside of that Read,
// so that no byte is read twice or beyond its chunk, and no goroutine is needed.
type chunks struct {
	s    *session
	left int64 // octets of this chunk that are not read yet
	// from is where this chunk is read, if it is a stored letter; nil: the connection.
	from  io.ReadCloser
	last  bool  // there is no other
	size  int64 // of this chunk
	given int64 // octets of the message
	err   error
	// refusal is the answer if a stored letter can't be had.
	refusal *smtp.Reply
	// command ended the transaction in the middle; it is obeyed once the desk has let
	// go of the message.
	command []byte
}

// errCutShort is the end of a message whose transaction ended before it.
var errCutShort = errors.New("the transaction ended before the message")

// Read implements io.Reader. Its bytes are those of the chunks, exactly.
func (c *chunks) Read(p []byte) (int, error) {
	for c.err == nil {
		switch {
		case len(p) == 0:
			return 0, nil
		case c.left > 0:
			n, err := c.source().Read(p[:min(int64(len(p)), c.left)])
			c.left -= int64(n)
			c.given += int64(n)
			c.err = c.fault(err)
			if n > 0 {
				return n, nil
			}
		case c.last:
			c.err = io.EOF
		default:
			c.err = c.next()
		}
	}
	return 0, c.err
}

// unexpected is the error of a connection that ends inside a message.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next answers for a chunk and obeys until there is another one.
func (c *chunks) next() error {
	s := c.s
	s.tally.add(smtp.BDAT, true)
	s.answer(chunkTaken(c.size))
	c.release()
	s.inData = false
	for c.left == 0 && !c.last {
		line, err := s.readLine()
		switch {
		case err != nil:
			s.badLine(err)
		case endsTransaction(line):
			c.command = bytes.Clone(line)
			return errCutShort
		default:
			s.obey(line)
		}
		if s.over {
			return errCutShort
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

func chunkTaken(size int64) *smtp.Reply {
	return smtp.NewReply(250, "2.0.0", fmt.Sprintf("Ok: %d octets received", size))
}

// endsTransaction tells a command that is not obeyed while the desk reads, for it
// ends what the desk reads. It does so even when its arguments are wrong.
func endsTransaction(line []byte) bool {
	word, _, _ := bytes.Cut(line, []byte{' '})
	switch smtp.ParseVerb(word) {
	case smtp.EHLO, smtp.HELO, smtp.LHLO, smtp.RSET, smtp.QUIT, smtp.STARTTLS, smtp.XCLIENT:
		return true
	}
	return false
}

// Replies of BDAT. After a chunk that was refused the next ones, which may be on
// their way, are answered and dropped by their count.
var (
	replyOneWay   = smtp.NewReply(503, "5.5.1", "Error: the message has begun to come by BDAT")
	replyNoBdat   = smtp.NewReply(502, "5.5.1", "Error: BDAT is not offered here")
	replyNeedBdat = smtp.NewReply(503, "5.5.1", "Error: BODY=BINARYMIME needs BDAT")
	replyTooBig   = smtp.NewReply(552, "5.3.4", "Message size exceeds fixed limit")
	replyNotRead  = smtp.NewReply(451, "4.3.0", "Error: message was not read to its end")
)

func (s *session) bdat(args []byte) *smtp.Reply {
	chunk, reply := smtp.ParseBdat(string(args))
	if reply != nil { // nobody knows where the next command begins
		s.tally.add(smtp.BDAT, false)
		s.quit("malformed BDAT", clean(args), reply)
		return nil
	}
	if s.chunks != nil {
		return s.chunks.more(chunk)
	}
	if reply := s.mayBdat(chunk); reply != nil {
		return s.refuseChunk(chunk, reply)
	}
	if reply := s.tx.Data(s.ctx); reply != nil {
		s.rejected("DATA", s.mail.Sender, nil, reply)
		return s.refuseChunk(chunk, reply)
	}
	s.chunks = &chunks{s: s}
	s.chunks.begin(chunk)
	return s.receiveChunks(s.chunks)
}

// mayBdat tells what stands in the way of the first chunk.
func (s *session) mayBdat(c smtp.Chunk) *smtp.Reply {
	if s.helo != "" && !s.offered.Chunking {
		return replyNoBdat
	}
	if reply := s.mayData(nil); reply != nil {
		return reply
	}
	if s.barred {
		return replyBarred
	}
	if limit, _ := s.srv.desk.Limits(); c.Size > limit {
		return replyTooBig
	}
	return nil
}

// begin makes a chunk the one that is read. The message's clock goes on: a byte now and
// then is no way to hold a connection.
func (c *chunks) begin(chunk smtp.Chunk) {
	c.release()
	c.left, c.size, c.last = chunk.Size, chunk.Size, chunk.Last
	c.s.inData, c.s.waiting = true, false
}

// more takes another chunk. It has no reply of its own unless it is empty: what
// becomes of it, the desk's next Read finds out.
func (c *chunks) more(chunk smtp.Chunk) *smtp.Reply {
	limit, _ := c.s.srv.desk.Limits()
	switch {
	case chunk.Size > limit-c.given:
		c.err, c.last = &smtp.DataError{TooBig: true}, chunk.Last
		c.s.drop(chunk.Size)
	case chunk.Size == 0 && !chunk.Last:
		c.s.limits.junk++
		return chunkTaken(0)
	default:
		c.begin(chunk)
	}
	return nil
}

// receiveChunks hands the message to the desk, and finds out afterwards how it
// ended.
func (s *session) receiveChunks(c *chunks) *smtp.Reply {
	defer c.release()
	refusal := s.tx.Receive(s.ctx, c)
	s.inData = false
	switch {
	case s.over:
		return nil
	case c.command != nil:
		s.reset(transactionScope)
		s.obey(c.command)
		return nil
	case c.broken():
		s.tally.add(smtp.BDAT, false)
		s.lost(c.err)
		return nil
	}
	if c.refusal != nil {
		return s.end(c.refusal, true)
	}
	ended := c.err == io.EOF || c.err == nil && c.last && c.left == 0
	if c.from == nil && !s.drop(c.left) {
		return nil
	}
	switch {
	case refusal == nil && !ended:
		refusal = replyNotRead
	case ended && s.early() && !s.onlyQuit() && s.rules.Screen.Pipelining != Ignore:
		return s.improper()
	}
	return s.end(refusal, c.last)
}

// broken tells that the connection ended inside of the message.
func (c *chunks) broken() bool {
	var fault *smtp.DataError
	return c.err != nil && c.err != io.EOF && c.err != errCutShort && c.err != errNoLetter && !errors.As(c.err, &fault)
}

// onlyQuit tells that nothing waits but a QUIT, or the beginning of one, which some
// clients send along with their last chunk.
func (s *session) onlyQuit() bool {
	const quit = "QUIT\r\n"
	rest, _ := s.in.Peek(s.in.Buffered())
	return len(rest) <= len(quit) && bytes.EqualFold(rest, []byte(quit[:len(rest)]))
}

// refuseChunk reads a chunk that nobody wants and answers for it.
func (s *session) refuseChunk(c smtp.Chunk, reply *smtp.Reply) *smtp.Reply {
	if !s.drop(c.Size) {
		return nil
	}
	if reply == replyTooBig {
		return s.end(reply, c.Last)
	}
	return reply
}

// maxChunkDrop is how much of a chunk is read and dropped, next to twice the limit
// of a message: as much as of DATA.
const maxChunkDrop = 1 << 20

// drop reads bytes that nobody wants. It is false when the session is over.
func (s *session) drop(n int64) bool {
	if limit, _ := s.srv.desk.Limits(); n > 2*limit+maxChunkDrop {
		s.tally.add(smtp.BDAT, false)
		if s.tx != nil {
			s.rejected("END-OF-MESSAGE", s.mail.Sender, nil, replyTooBig)
		}
		s.quit("chunk without end", "", replyTooBig)
		return false
	}
	s.inData, s.waiting = true, false
	s.timed = s.timed && s.chunks != nil // else it is no part of a message
	defer func() { s.inData = false }()
	for n > 0 {
		k, err := s.in.Discard(int(min(n, readBuffer)))
		n -= int64(k)
		if err != nil {
			s.tally.add(smtp.BDAT, false)
			s.lost(unexpected(err))
			return false
		}
	}
	return true
}
