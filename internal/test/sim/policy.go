package sim

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
)

// Policy is a policy server that follows a script.
type Policy struct {
	l      net.Listener
	answer func(question map[string]string) string

	mu    sync.Mutex
	asked []map[string]string
}

// StartPolicy listens at address and answers each question with an action; "" hangs
// up instead.
func StartPolicy(address string, answer func(question map[string]string) string) (*Policy, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Policy{l: l, answer: answer}
	go p.accept()
	return p, nil
}

// Addr is where it listens.
func (p *Policy) Addr() string { return p.l.Addr().String() }

// Close ends it.
func (p *Policy) Close() { p.l.Close() }

// Asked are the questions so far.
func (p *Policy) Asked() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *Policy) accept() {
	for {
		nc, err := p.l.Accept()
		if err != nil {
			return
		}
		go p.talk(nc)
	}
}

func (p *Policy) talk(nc net.Conn) {
	defer nc.Close()
	question := map[string]string{}
	for lines := bufio.NewScanner(nc); lines.Scan(); {
		if name, value, found := strings.Cut(lines.Text(), "="); found {
			question[name] = value
			continue
		}
		p.mu.Lock()
		p.asked = append(p.asked, question)
		p.mu.Unlock()
		action := p.answer(question)
		if action == "" {
			return
		}
		if _, err := io.WriteString(nc, "action="+action+"\n\n"); err != nil {
			return
		}
		question = map[string]string{}
	}
}
