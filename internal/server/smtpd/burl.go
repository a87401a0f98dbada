package smtpd

import (
	"errors"
	"io"

	"facteur/internal/mail/smtp"
	"facteur/internal/store/urlauth"
)

// Replies of BURL (RFC 4468 §3.3). Why a URL is no good is not said: whoever tries
// some learns nothing of others' letters.
var (
	replyNoBurl     = smtp.NewReply(502, "5.5.1", "Error: BURL is not offered here")
	replyBurlFailed = smtp.NewReply(554, "5.6.6", "Error: the URL leads to no message that may be sent by you")
	replyBurlLater  = smtp.NewReply(451, "4.4.1", "Error: the stored message can't be read now")
)

// errNoLetter ends a message of which a stored part can't be had.
var errNoLetter = errors.New("a stored letter can't be had")

// mayBurl says whether this session may send stored letters: its user must be known.
func (s *session) mayBurl() bool {
	return s.srv.URLs != nil && s.account != "" && (s.srv.Service == Submission || s.srv.Service == Submissions)
}

// burl is a chunk of the message that is not sent but named: (a part of) a letter in
// the mailboxes of somebody who gave this user the right to submit it. It is read in
// this process, with the rights of the URL and no others; nothing is fetched from
// anywhere else.
func (s *session) burl(args []byte) *smtp.Reply {
	b, reply := smtp.ParseBurl(string(args))
	if reply != nil {
		return reply
	}
	if !s.mayBurl() {
		return replyNoBurl
	}
	if s.chunks == nil {
		if reply := s.mayBdat(smtp.Chunk{}); reply != nil {
			return reply
		}
	}
	letter, refusal := s.stored(b.URL)
	switch {
	case refusal != nil && s.chunks != nil:
		s.chunks.fail(refusal)
		return nil
	case refusal != nil:
		return s.end(refusal, true)
	case s.chunks != nil:
		s.chunks.take(letter, b.Last)
		return nil
	}
	if reply := s.tx.Data(s.ctx); reply != nil {
		letter.Close()
		s.rejected("DATA", s.mail.Sender, nil, reply)
		return reply
	}
	s.chunks = &chunks{s: s}
	s.chunks.take(letter, b.Last)
	return s.receiveChunks(s.chunks)
}

// stored opens a letter that still fits into the message.
func (s *session) stored(url string) (*urlauth.Letter, *smtp.Reply) {
	letter, err := s.srv.URLs.Fetch(s.ctx, url, urlauth.Who{User: s.account, Submission: true})
	switch {
	case errors.Is(err, urlauth.ErrNotThere):
		return nil, replyBurlFailed
	case err != nil:
		return nil, replyBurlLater
	}
	room, _ := s.srv.desk.Limits()
	if s.chunks != nil {
		room -= s.chunks.given
	}
	if letter.Size > room {
		letter.Close()
		return nil, replyTooBig
	}
	return letter, nil
}

// take makes a letter the chunk that is read.
func (c *chunks) take(letter *urlauth.Letter, last bool) {
	c.begin(smtp.Chunk{Size: letter.Size, Last: last})
	c.from = letter
}

// fail ends the message: what came of it before is of no use without the rest
// (RFC 4468 §3.3).
func (c *chunks) fail(refusal *smtp.Reply) { c.refusal, c.err = refusal, errNoLetter }

// source is where the chunk is read.
func (c *chunks) source() io.Reader {
	if c.from != nil {
		return c.from
	}
	return c.s.in
}

// fault is what an error of the source means for the message.
func (c *chunks) fault(err error) error {
	if c.from == nil {
		return unexpected(err)
	}
	if err != nil && (err != io.EOF || c.left > 0) {
		c.fail(replyBurlLater)
		return errNoLetter
	}
	return nil
}

// release closes a letter; what is left of it is of no interest.
func (c *chunks) release() {
	if c.from != nil {
		c.from.Close() //nolint:errcheck // it was read from
		c.from, c.left = nil, 0
	}
}
