package helper

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// porter is the root process: it starts processes of users, and ends them.
type porter struct {
	conn  packets
	rules Rules
	limit int

	mu      sync.Mutex
	running map[int]*process
	last    int
}

// order is what the server may ask of it. Kill is a process to be ended; else one is
// started.
type order struct {
	Kind kind `json:"kind,omitempty"`
	User User `json:"user"`
	Kill int  `json:"kill,omitempty"`
}

// receipt is the answer. Why is one of the words below, and Text for people.
type receipt struct {
	ID   int    `json:"id"`
	Why  string `json:"why,omitempty"`
	Text string `json:"text,omitempty"`
}

const (
	whyIdentity = "identity"
	whyHangs    = "hangs"
	whyBusy     = "busy"
	whyOther    = "other"
)

const (
	// perUser is how many processes of a kind a user may have.
	perUser = 2
	// maxKilled is how many may be waiting for a disk after they were killed, of all
	// users together.
	maxKilled = 1000
	maxOrder  = 8 << 10
)

// serve carries out orders until the server ends.
func (p *porter) serve() int {
	defer p.dismiss()
	for b := make([]byte, maxOrder); ; {
		n, err := p.conn.Read(b)
		if err != nil || n == 0 {
			return 0
		}
		var o order
		if err := json.Unmarshal(b[:n], &o); err != nil {
			return 1
		}
		p.carryOut(&o)
	}
}

func (p *porter) carryOut(o *order) {
	if o.Kill != 0 {
		p.kill(o.Kill)
		p.answer(&receipt{}, nil)
		return
	}
	ours, theirs, err := pair()
	if err != nil {
		p.answer(&receipt{Why: whyOther, Text: err.Error()}, nil)
		return
	}
	defer ours.Close()
	defer theirs.Close()
	r := p.begin(o, theirs)
	if r.Why != "" {
		p.answer(r, nil)
		return
	}
	end, err := ours.File()
	if err != nil {
		p.kill(r.ID)
		p.answer(&receipt{Why: whyOther, Text: err.Error()}, nil)
		return
	}
	defer end.Close()
	p.answer(r, end)
}

func (p *porter) answer(r *receipt, end *os.File) {
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	if end == nil {
		_, _ = p.conn.Write(b)
		return
	}
	_ = sendWith(p.conn, b, end)
}

// begin starts a process, if that may be.
func (p *porter) begin(o *order, theirs *os.File) *receipt {
	if o.Kind != forFiles && o.Kind != forCommands {
		return &receipt{Why: whyOther, Text: "no such kind of helper"}
	}
	id, err := p.rules.identify(o.User)
	if err != nil {
		return &receipt{Why: whyIdentity, Text: err.Error()}
	}
	if r := p.refuse(o); r != nil {
		return r
	}
	proc, err := start(o.Kind, id.Home, id, theirs)
	if err != nil {
		return &receipt{Why: whyOther, Text: err.Error()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	x := &process{id: p.last, uid: id.UID, kind: o.Kind, proc: proc}
	p.running[x.id] = x
	go p.wait(x)
	return &receipt{ID: x.id}
}

// refuse is why no other process is started now.
func (p *porter) refuse(o *order) *receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	own, killed := 0, 0
	for _, x := range p.running {
		if x.killed {
			killed++
		}
		if x.uid == o.User.UID && x.kind == o.Kind {
			own++
		}
	}
	switch {
	case own >= perUser:
		return &receipt{Why: whyHangs, Text: fmt.Sprintf("%d helpers of %s are at work, or were ended and wait for a disk", own, o.User.Name)}
	case len(p.running)-killed >= p.limit || killed >= maxKilled:
		return &receipt{Why: whyBusy, Text: fmt.Sprintf("%d helpers are at work, and %d wait for a disk", len(p.running)-killed, killed)}
	}
	return nil
}

// dismiss ends those for files, some of which may have been stopped by their users; those
// for commands end their program first, when their sockets are closed.
func (p *porter) dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.running {
		if x.kind == forFiles {
			_ = x.proc.Kill()
		}
	}
}

func (p *porter) wait(x *process) {
	_, _ = x.proc.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, x.id)
}

// kill ends a process. One that waits for a disk ends when that answers, and does not
// count among those at work.
func (p *porter) kill(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.running[id]; x != nil {
		x.killed = true
		_ = x.proc.Kill()
	}
}
