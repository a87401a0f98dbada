package smtpd

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"facteur/internal/base/event"
	"facteur/internal/flow/intake"
	"facteur/internal/flow/login"
	"facteur/internal/mail/smtp"
	"facteur/internal/store/queue"
	"facteur/internal/test/people"
)

// double is a desk without a store: it remembers what it was handed. Its
// policy: local.example is ours, with users whose names do not say otherwise.
type double struct {
	size       int64
	recipients int
	closed     bool // nobody is let in

	mu    sync.Mutex
	kept  []letter // committed
	open  int      // transactions neither committed nor aborted
	peers []intake.Peer
}

// letter is a message that was committed.
type letter struct {
	from string
	to   []string
	body string
}

type doubleTx struct {
	desk *double
	letter
	ended bool
}

func newDouble() *double { return &double{size: 4000, recipients: 10} }

func (d *double) Limits() (int64, int) { return d.size, d.recipients }

func (d *double) Connect(context.Context, intake.Peer) (visit, *smtp.Reply) {
	if d.closed {
		return nil, smtp.NewReply(554, "5.7.1", "Client host rejected: Access denied")
	}
	return d, nil
}

func (d *double) WantsName() bool { return false }

func (d *double) Helo(_ context.Context, p intake.Peer) *smtp.Reply {
	if p.Helo == "bad.example" {
		return smtp.NewReply(550, "5.7.1", "<bad.example>: Helo command rejected: Access denied")
	}
	return nil
}

func (d *double) Close() {}

func (d *double) Begin(_ context.Context, p intake.Peer, m smtp.Mail) (transaction, *smtp.Reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peers = append(d.peers, p)
	switch {
	case m.Size > d.size:
		return nil, smtp.NewReply(552, "5.3.4", "Message size exceeds fixed limit")
	case m.Sender.Local == "goodbye":
		return nil, smtp.NewReply(521, "5.7.1", "Go away")
	case m.Sender.Local == "bad":
		return nil, smtp.NewReply(550, "5.7.1", "<"+m.Sender.String()+">: Sender address rejected")
	}
	d.open++
	return &doubleTx{desk: d, letter: letter{from: m.Sender.String()}}, nil
}

// testGate knows alice. It makes nobody wait, and spares loopback.
func testGate(changes ...func(*login.Rules)) *login.Gate {
	return people.Gate(map[string]string{"alice@local.example": "secret"}, func(r *login.Rules) {
		r.Delay, r.Hostname = 0, "mx.local.example"
		r.Limits.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		for _, change := range changes {
			change(r)
		}
	})
}

func (t *doubleTx) Recipient(_ context.Context, r smtp.Rcpt) *smtp.Reply {
	name := "<" + r.To.String() + ">"
	switch {
	case r.To.Local == "nobody":
		return smtp.NewReply(550, "5.1.1", name+": Recipient address rejected: User unknown")
	case r.To.Local == "goodbye":
		return smtp.NewReply(421, "4.7.0", "Service unavailable - closing connection")
	case r.To.Local == "later":
		return smtp.NewReply(451, "4.3.0", name+": Temporary lookup failure")
	case r.To.Domain != "local.example" && r.To.Domain != "":
		return smtp.NewReply(554, "5.7.1", name+": Relay access denied")
	}
	if r.To.Local != "once" || !slices.Contains(t.to, r.To.String()) {
		t.to = append(t.to, r.To.String())
	}
	return nil
}

func (t *doubleTx) Data(context.Context) *smtp.Reply { return nil }

func (t *doubleTx) Answers() []*smtp.Reply {
	all := make([]*smtp.Reply, len(t.to))
	for i, to := range t.to {
		if strings.HasPrefix(to, "full") {
			all[i] = smtp.NewReply(452, "4.2.2", "<"+to+">: Mailbox is full")
		}
	}
	return all
}

func (t *doubleTx) Recipients() int { return len(t.to) }

func (t *doubleTx) Receive(_ context.Context, r io.Reader) *smtp.Reply {
	var b strings.Builder
	_, err := io.Copy(&b, r)
	var own interface{ Reply() *smtp.Reply }
	switch {
	case errors.As(err, &own):
		return own.Reply()
	case err != nil:
		return smtp.NewReply(451, "4.3.0", "Error: queue file write error")
	}
	t.body = b.String()
	if strings.HasPrefix(t.body, "Subject: spam") {
		return smtp.NewReply(550, "5.7.1", "Message rejected")
	}
	return nil
}

func (t *doubleTx) Commit(context.Context) (queue.ID, *smtp.Reply) {
	t.desk.mu.Lock()
	defer t.desk.mu.Unlock()
	if strings.HasPrefix(t.body, "Subject: full") {
		return 0, smtp.NewReply(451, "4.3.0", "Error: queue file write error")
	}
	t.end()
	t.desk.kept = append(t.desk.kept, t.letter)
	return queue.ID(0xA000 + len(t.desk.kept)), nil
}

func (t *doubleTx) Abort() {
	t.desk.mu.Lock()
	defer t.desk.mu.Unlock()
	t.end()
}

func (t *doubleTx) end() {
	if !t.ended {
		t.ended = true
		t.desk.open--
	}
}

// lines keeps the traditional log.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Emit(e event.Event) {
	_, text := e.Line()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text)
}

// take returns what was logged since the last time.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.text
	l.text = nil
	return t
}
