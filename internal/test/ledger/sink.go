package ledger

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Sink is the remote mail server of a test. It takes every letter, keeps its
// sum and forgets its bytes.
//
// It also knows which second copies are nobody's fault. Every copy carries an
// epoch, the number of Faults before its connection was opened, and
// Unanswered, if the 250 was swallowed on purpose, or the connection was lost after it.
type Sink struct {
	policy   SinkPolicy
	listener net.Listener
	mu       sync.Mutex
	idle     *sync.Cond // signalled when a connection ends
	open     map[net.Conn]bool
	epoch    int
	copies   []Copy
	letters  int
}

// SinkPolicy is how a Sink treats its clients. The zero policy takes everything.
type SinkPolicy struct {
	// Recipient returns a refusal ("550 5.1.1 …") or "".
	Recipient func(address string) string
	// Swallow tells whether to hang up instead of answering the end of the
	// n-th letter, counted from 1. The letter is kept.
	Swallow func(n int) bool
	// Pause is taken before the answer to the end of a letter.
	Pause time.Duration
	// OnTaken is called after the letter is taken, before the answer.
	OnTaken func(n int)
}

// sinkPatience ends connections on which nothing comes.
const sinkPatience = 5 * time.Minute

// NewSink listens on a free port of 127.0.0.1.
func NewSink(policy SinkPolicy) (*Sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sink{policy: policy, listener: listener, open: make(map[net.Conn]bool)}
	s.idle = sync.NewCond(&s.mu)
	go s.accept()
	return s, nil
}

// Addr is where it listens.
func (s *Sink) Addr() string { return s.listener.Addr().String() }

// Close stops listening and ends all connections.
func (s *Sink) Close() {
	s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		conn.Close()
	}
}

// Copies is what the sink took so far, in order.
func (s *Sink) Copies() []Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Copy(nil), s.copies...)
}

// Epoch is how many Faults there were.
func (s *Sink) Epoch() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Fault notes that the client side crashed. It must be dead: Fault waits until
// every connection that it left behind has been read to its end, so that
// nothing sent before the fault counts as sent after it.
func (s *Sink) Fault() error {
	// The kernel hands out connections in the order they came: when ours is
	// accepted, so were all that the dead client made.
	own, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return err
	}
	defer own.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.accepted(own) {
		s.idle.Wait()
	}
	own.Close()
	for len(s.open) > 0 {
		s.idle.Wait()
	}
	s.epoch++
	return nil
}

// accepted tells whether the other end of a connection has arrived.
func (s *Sink) accepted(own net.Conn) bool {
	for conn := range s.open {
		if conn.RemoteAddr().String() == own.LocalAddr().String() {
			return true
		}
	}
	return false
}

func (s *Sink) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = true
		epoch := s.epoch
		s.idle.Broadcast()
		s.mu.Unlock()
		go s.serve(conn, epoch)
	}
}

func (s *Sink) serve(conn net.Conn, epoch int) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.open, conn)
		s.idle.Broadcast()
		s.mu.Unlock()
	}()
	session := sinkSession{
		sink: s, conn: conn, epoch: epoch,
		r: bufio.NewReader(conn), w: bufio.NewWriter(conn),
	}
	session.run()
	s.ended(&session)
}

// ended notes a connection that was lost without QUIT: the client may not have got so far
// as to write down that its last letter was taken.
func (s *Sink) ended(session *sinkSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range session.last {
		s.copies[i].Unanswered = s.copies[i].Unanswered || !session.quit
	}
}

// sinkSession is one SMTP session at the sink.
type sinkSession struct {
	sink  *Sink
	conn  net.Conn
	epoch int
	r     *bufio.Reader
	w     *bufio.Writer
	lmtp  bool // greeted with LHLO
	from  bool
	to    []string
	body  bytes.Buffer // of BDAT
	last  []int        // the copies of the last letter
	quit  bool
}

func (s *sinkSession) run() {
	s.reply("220 sink.test ESMTP")
	for {
		// Answers to a pipelined group leave together (RFC 2920 §3.2).
		if s.r.Buffered() == 0 && s.w.Flush() != nil {
			return
		}
		line, err := s.line()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		if !s.command(strings.ToUpper(verb), rest) {
			s.w.Flush()
			return
		}
	}
}

func (s *sinkSession) line() (string, error) {
	s.conn.SetDeadline(time.Now().Add(sinkPatience))
	line, err := s.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func (s *sinkSession) reply(lines ...string) {
	for _, line := range lines {
		s.w.WriteString(line + "\r\n")
	}
}

// command answers one command and tells whether the session goes on.
func (s *sinkSession) command(verb, rest string) bool {
	switch verb {
	case "EHLO", "LHLO":
		s.lmtp = verb == "LHLO"
		s.reply("250-sink.test", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", "250-CHUNKING",
			"250-ENHANCEDSTATUSCODES", "250 SIZE 52428800")
	case "HELO", "NOOP":
		s.reply("250 2.0.0 Ok")
	case "RSET":
		s.forget()
		s.reply("250 2.0.0 Ok")
	case "MAIL":
		s.from, s.to = true, nil
		s.reply("250 2.1.0 Ok")
	case "RCPT":
		s.rcpt(rest)
	case "DATA":
		return s.data()
	case "BDAT":
		return s.chunk(rest)
	case "QUIT":
		s.quit = true
		s.reply("221 2.0.0 Bye")
		return false
	default:
		s.reply("502 5.5.2 Not known here")
	}
	return true
}

func (s *sinkSession) rcpt(rest string) {
	_, rest, _ = strings.Cut(rest, "<")
	address, _, closed := strings.Cut(rest, ">")
	if !s.from || !closed {
		s.reply("503 5.5.1 MAIL first, and a path")
		return
	}
	if refuse := s.sink.policy.Recipient; refuse != nil {
		if text := refuse(address); text != "" {
			s.reply(text)
			return
		}
	}
	s.to = append(s.to, address)
	s.reply("250 2.1.5 Ok")
}

func (s *sinkSession) data() bool {
	if len(s.to) == 0 {
		s.reply("554 5.5.1 No valid recipients")
		return true
	}
	s.reply("354 Go on")
	if s.w.Flush() != nil {
		return false
	}
	body, err := s.dotted()
	if err != nil {
		return false // the end never came: nothing was taken
	}
	return s.end(body)
}

// chunk takes one BDAT (RFC 3030 §2).
func (s *sinkSession) chunk(rest string) bool {
	count, last, _ := strings.Cut(rest, " ")
	size, err := strconv.Atoi(count)
	if err != nil || size < 0 {
		s.reply("501 5.5.4 A number")
		return true
	}
	s.conn.SetDeadline(time.Now().Add(sinkPatience))
	if _, err := io.CopyN(&s.body, s.r, int64(size)); err != nil {
		return false // the end never came: nothing was taken
	}
	switch {
	case len(s.to) == 0:
		s.body.Reset() // a client that did not wait for the answers to RCPT sent it
		s.reply("503 5.5.1 No valid recipients")
		return true
	case !strings.EqualFold(last, "LAST"):
		s.reply("250 2.0.0 Go on")
		return true
	}
	return s.end(bytes.Clone(s.body.Bytes()))
}

// end takes the whole letter and answers, over LMTP for each recipient.
func (s *sinkSession) end(body []byte) bool {
	number, swallow := s.sink.take(body, s)
	if s.sink.policy.OnTaken != nil {
		s.sink.policy.OnTaken(number)
	}
	time.Sleep(s.sink.policy.Pause)
	answers := 1
	if s.lmtp {
		answers = len(s.to)
	}
	for range answers {
		s.reply(fmt.Sprintf("250 2.0.0 Ok: taken as %d", number))
	}
	s.forget()
	return !swallow || s.hangUp()
}

func (s *sinkSession) forget() {
	s.from, s.to = false, nil
	s.body.Reset()
}

// hangUp drops the answer that waits in the buffer.
func (s *sinkSession) hangUp() bool {
	s.w.Reset(s.conn)
	return false
}

// dotted reads the letter up to CRLF.CRLF and takes the doubled dots out.
func (s *sinkSession) dotted() ([]byte, error) {
	var body bytes.Buffer
	for {
		s.conn.SetDeadline(time.Now().Add(sinkPatience))
		line, err := s.r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if string(line) == ".\r\n" {
			return body.Bytes(), nil
		}
		body.Write(bytes.TrimPrefix(line, []byte(".")))
	}
}

// take keeps a letter, one copy for each recipient.
func (s *Sink) take(body []byte, session *sinkSession) (number int, swallow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters++
	swallow = s.policy.Swallow != nil && s.policy.Swallow(s.letters)
	session.last = nil
	for _, to := range session.to {
		session.last = append(session.last, len(s.copies))
		c := Taken(body, to, fmt.Sprintf("sink letter %d", s.letters))
		c.Epoch, c.Unanswered = session.epoch, swallow
		s.copies = append(s.copies, c)
	}
	return s.letters, swallow
}
