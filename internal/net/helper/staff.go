package helper

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Settings are how a Staff works. Zero fields take the values in brackets.
type Settings struct {
	Rules
	// Limit is how many processes are at work at a time, for files and for commands each
	// (50).
	Limit int
	// Patience is how long one operation may take (30 s); Idle is how long a process
	// stays that nobody uses (30 s); Rest is how long a user is left alone whose files
	// did not answer (one minute).
	Patience, Idle, Rest time.Duration
}

// Staff is the server's side: it has processes of users started, and ended. It is safe for
// concurrent use, and costs nothing before the first user is served.
type Staff struct {
	settings Settings

	mu     sync.Mutex
	homes  map[User]*Home
	closed bool

	porter   sync.Mutex // held for one order
	conn     packets
	rootProc *os.Process
	// alone counts processes that were started without a root process.
	alone map[int]*process
	last  int
}

// New makes a Staff.
func New(s Settings) *Staff {
	s.Rules = s.Rules.filled()
	s.Limit = cmp.Or(s.Limit, 50)
	s.Patience = cmp.Or(s.Patience, 30*time.Second)
	s.Idle = cmp.Or(s.Idle, 30*time.Second)
	s.Rest = cmp.Or(s.Rest, time.Minute)
	return &Staff{settings: s, homes: make(map[User]*Home), alone: make(map[int]*process)}
}

// Able is why a user can't be served by this server, as far as that can be told without
// trying; nil if he may be.
func (s *Staff) Able(u User) error {
	if _, err := s.settings.identify(u); err != nil {
		return err
	}
	if me := os.Geteuid(); me != 0 && uint32(me) != u.UID {
		return ErrNoRoot
	}
	return nil
}

// AsRoot tells that this process may become other users.
func AsRoot() bool { return os.Geteuid() == 0 }

// Home is the files of a user: the same Home as long as he is the same.
func (s *Staff) Home(u User) *Home {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.homes[u]
	if h == nil {
		h = &Home{staff: s, user: u}
		s.homes[u] = h
	}
	return h
}

// Close ends all processes.
func (s *Staff) Close() {
	s.mu.Lock()
	s.closed = true
	homes := s.all()
	s.mu.Unlock()
	for _, h := range homes {
		h.mu.Lock()
		h.drop()
		h.mu.Unlock()
	}
	s.porter.Lock()
	defer s.porter.Unlock()
	s.dismiss()
}

// all are the homes. Callers hold mu.
func (s *Staff) all() []*Home {
	list := make([]*Home, 0, len(s.homes))
	for _, h := range s.homes {
		list = append(list, h)
	}
	return list
}

// makeRoom ends the process that was used least recently, where as many are at work as may
// be.
func (s *Staff) makeRoom(but *Home) {
	s.mu.Lock()
	var open []*Home
	for _, h := range s.all() {
		if h != but && h.used.Load() != 0 {
			open = append(open, h)
		}
	}
	s.mu.Unlock()
	if len(open) < s.settings.Limit-1 {
		return
	}
	slices.SortFunc(open, func(a, b *Home) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	for _, h := range open {
		if h.leave(0) {
			return
		}
	}
}

// start has a process of a user started, and gives its socket.
func (s *Staff) start(k kind, u User) (packets, int, error) {
	if s.isClosed() {
		return nil, 0, os.ErrClosed
	}
	switch me := os.Geteuid(); {
	case me == 0:
		return s.order(k, u)
	case uint32(me) != u.UID:
		return nil, 0, ErrNoRoot
	}
	return s.startAlone(k, u)
}

func (s *Staff) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// startAlone is for a server that is the user itself.
func (s *Staff) startAlone(k kind, u User) (packets, int, error) {
	if _, err := s.settings.identify(u); err != nil {
		return nil, 0, err
	}
	ours, theirs, err := pair()
	if err != nil {
		return nil, 0, err
	}
	defer theirs.Close()
	proc, err := start(k, u.Home, nil, theirs)
	if err != nil {
		ours.Close()
		return nil, 0, err
	}
	s.porter.Lock()
	defer s.porter.Unlock()
	s.last++
	id := s.last
	s.alone[id] = &process{id: id, proc: proc}
	go func() {
		_, _ = proc.Wait()
		s.porter.Lock()
		defer s.porter.Unlock()
		delete(s.alone, id)
	}()
	return ours, id, nil
}

// orderTime is how long the root process may take; it waits for no file of a user's.
const orderTime = 20 * time.Second

// endsSoon is how long one that was let go may take to end, before it counts as one that
// does not.
const endsSoon = 2 * time.Second

// order has the root process start one. Where as many are there as may be, they may be
// about to end.
func (s *Staff) order(k kind, u User) (conn packets, id int, err error) {
	for end, pause := time.Now().Add(endsSoon), 5*time.Millisecond; ; pause *= 2 {
		conn, id, err = s.orderOnce(k, u)
		if !errors.Is(err, ErrHangs) && !errors.Is(err, ErrBusy) || time.Now().Add(pause).After(end) {
			return conn, id, err
		}
		time.Sleep(pause)
	}
}

func (s *Staff) orderOnce(k kind, u User) (packets, int, error) {
	s.porter.Lock()
	defer s.porter.Unlock()
	r, end, err := s.ask(&order{Kind: k, User: u})
	if err != nil {
		return nil, 0, err
	}
	if err := r.refusal(); err != nil {
		return nil, 0, err
	}
	if end == nil {
		return nil, 0, errPacket
	}
	conn, err := socket(end)
	return conn, r.ID, err
}

func (r *receipt) refusal() error {
	switch r.Why {
	case "":
		return nil
	case whyIdentity:
		return fmt.Errorf("%w: %s", ErrIdentity, strings.TrimPrefix(r.Text, ErrIdentity.Error()+": "))
	case whyHangs:
		return fmt.Errorf("%w: %s", ErrHangs, r.Text)
	case whyBusy:
		return fmt.Errorf("%w: %s", ErrBusy, r.Text)
	}
	return errors.New("a helper can't be started: " + r.Text)
}

// ask gives an order, to a new root process if the one before has ended. Callers hold porter.
func (s *Staff) ask(o *order) (r *receipt, end *os.File, err error) {
	for range 2 {
		if err = s.hire(); err != nil {
			return nil, nil, err
		}
		if r, end, err = s.askOnce(o); err == nil {
			return r, end, nil
		}
		s.dismiss()
	}
	return nil, nil, fmt.Errorf("the root process does not answer: %w", err)
}

func (s *Staff) askOnce(o *order) (*receipt, *os.File, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, nil, err
	}
	soon(s.conn, orderTime)
	if _, err := s.conn.Write(b); err != nil {
		return nil, nil, err
	}
	answer := make([]byte, maxOrder)
	n, end, err := receiveWith(s.conn, answer)
	if err != nil {
		return nil, nil, err
	}
	r := new(receipt)
	if err := json.Unmarshal(answer[:n], r); err != nil {
		return nil, nil, errPacket
	}
	return r, end, nil
}

// hire starts the root process. Callers hold porter.
func (s *Staff) hire() error {
	if s.conn != nil {
		return nil
	}
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	r := s.settings.Rules
	proc, err := launch(false, &syscall.SysProcAttr{Setsid: true}, theirs, "helper", "root", strconv.FormatUint(uint64(r.MinUID), 10), r.Passwd, r.Group, strconv.Itoa(2*s.settings.Limit))
	if err != nil {
		ours.Close()
		return err
	}
	go func() { _, _ = proc.Wait() }()
	s.conn, s.rootProc = ours, proc
	return nil
}

// farewell is how long the root process has to end by itself.
const farewell = time.Second

// dismiss lets the root process go. Callers hold porter.
func (s *Staff) dismiss() {
	if s.conn == nil {
		return
	}
	s.conn.Close()
	gone := s.rootProc
	time.AfterFunc(farewell, func() { _ = gone.Kill() })
	s.conn, s.rootProc = nil, nil
}

// kill ends a process that does not answer.
func (s *Staff) kill(id int) {
	s.porter.Lock()
	defer s.porter.Unlock()
	if x := s.alone[id]; x != nil {
		_ = x.proc.Kill()
	} else if s.conn != nil {
		if _, _, err := s.askOnce(&order{Kill: id}); err != nil {
			s.dismiss()
		}
	}
}
