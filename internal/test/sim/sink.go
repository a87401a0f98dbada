package sim

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"time"
)

// Behaviour is how a Sink treats a recipient's domain.
type Behaviour struct {
	// Reply is what RCPT is answered with; "" accepts.
	Reply string
	// Delay is waited before each reply to RCPT.
	Delay time.Duration
}

// Accept takes all mail.
func Accept() Behaviour { return Behaviour{} }

// Reject knows nobody.
func Reject() Behaviour {
	return Behaviour{Reply: "550 5.1.1 Recipient address rejected: User unknown"}
}

// Defer is always greylisting.
func Defer() Behaviour {
	return Behaviour{Reply: "451 4.7.1 Greylisted, please try again later"}
}

// Slow takes all mail, after a while.
func Slow(d time.Duration) Behaviour { return Behaviour{Delay: d} }

// Transaction is a message that a Sink has taken.
type Transaction struct {
	Conn       int // number of the connection, from 1
	Helo       string
	Mail       string   // the arguments of MAIL FROM
	Recipients []string // those that were accepted, without brackets
	Rcpts      []string // the arguments of their RCPT TO
	Data       []byte   // dots removed
	TLS        bool
	Taken      time.Time
	// Unanswered: the peer hung up instead of saying that it has the message.
	Unanswered bool
}

// Sink is a mail host that takes mail for every domain and keeps it in memory:
// the last 1000 messages.
type Sink struct {
	l     net.Listener
	tls   *tls.Config
	setUp func(*talk)

	mu      sync.Mutex
	taken   []Transaction
	conns   map[net.Conn]int // with their numbers
	faults  int              // number of the last connection before the last Fault
	count   int
	closed  bool
	running sync.WaitGroup
	arrived chan struct{}
}

const maxTaken = 1000

// StartSink listens on address. behaviours are by recipient domain; a domain that
// is not there is accepted. The map is only read. config, when not nil, makes it offer STARTTLS.
func StartSink(address string, behaviours map[string]Behaviour, config *tls.Config) (*Sink, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return startSink(l, config, func(t *talk) {
		t.recipient = func(to string) string { return behaviours[domainOf(to)].answer() }
	})
}

func startSink(l net.Listener, config *tls.Config, setUp func(*talk)) (*Sink, error) {
	s := &Sink{l: l, tls: config, setUp: setUp, conns: map[net.Conn]int{}, arrived: make(chan struct{}, 1)}
	s.running.Go(s.accept)
	return s, nil
}

// Addr is where it listens.
func (s *Sink) Addr() *net.TCPAddr { return s.l.Addr().(*net.TCPAddr) }

// Close stops it and hangs up on everybody.
func (s *Sink) Close() {
	s.l.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Taken is the messages so far, oldest first.
func (s *Sink) Taken() []Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Transaction(nil), s.taken...)
}

// Await waits until n messages were taken, or for d; it returns what there is.
func (s *Sink) Await(n int, d time.Duration) []Transaction {
	deadline := time.After(d)
	for {
		taken := s.Taken()
		if len(taken) >= n {
			return taken
		}
		select {
		case <-s.arrived:
		case <-deadline:
			return s.Taken()
		}
	}
}

// Fault notes that the client crashes at this moment: what it sent over connections that
// are open is Unanswered, for nobody knows how far it came in taking note.
func (s *Sink) Fault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := map[int]bool{}
	for _, n := range s.conns {
		open[n] = true
	}
	for i := range s.taken {
		s.taken[i].Unanswered = s.taken[i].Unanswered || open[s.taken[i].Conn]
	}
	s.faults = s.count
}

func (s *Sink) accept() {
	for {
		nc, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			nc.Close()
			return
		}
		s.count++
		n := s.count
		s.conns[nc] = n
		s.mu.Unlock()
		s.running.Go(func() { s.talk(nc, n) })
	}
}

func (s *Sink) talk(nc net.Conn, n int) {
	defer func() {
		nc.Close()
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
	}()
	t := newTalk(nc)
	t.config = s.tls
	t.conn = n
	t.done = s.keep
	s.setUp(t)
	t.run()
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// answer is the reply to RCPT, in its time.
func (b Behaviour) answer() string {
	time.Sleep(b.Delay)
	if b.Reply == "" {
		return "250 2.1.5 Ok"
	}
	return b.Reply
}

func (s *Sink) keep(t Transaction) {
	s.mu.Lock()
	t.Unanswered = t.Unanswered || t.Conn <= s.faults
	s.taken = append(s.taken, t)
	if len(s.taken) > maxTaken {
		s.taken = s.taken[1:]
	}
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}
