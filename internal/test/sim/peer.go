package sim

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// End is how a fault ends.
type End string

// The ends.
const (
	Stay  End = ""
	Drop  End = "drop" // hang up
	Reset End = "rst"  // hang up rudely
	Hang  End = "hang" // never say anything again
)

// Fault is what a Peer does wrong at one step.
type Fault struct {
	// At is the step: "greeting", "EHLO", "HELO", "STARTTLS", "AUTH", "prompt",
	// "MAIL", "RCPT", "DATA", "end" (of the data), "RSET", "NOOP",
	// "QUIT", "BDAT".
	At string
	// Nth is which of the steps of that name on a connection, from 1; 0 is all.
	Nth int
	// Conn is on which connection, from 1; 0 is all.
	Conn int
	// Delay is waited first.
	Delay time.Duration
	// Raw replaces the reply: bytes as they are, CRLF included. A Fault with
	// neither Raw nor Silent says what a good host would.
	Raw    string
	Silent bool
	// Extra is sent behind the reply, in the same write.
	Extra string
	// Split sends the bytes one by one.
	Split bool
	// Then is how it ends.
	Then End
}

// Peer describes a mail host that misbehaves as its faults say, and is good
// otherwise.
type Peer struct {
	Address string // "127.0.0.1:0" when empty
	// Listener is where it listens instead, unless nil.
	Listener net.Listener
	Faults   []Fault
	// Script, unless nil, is asked for the fault of a step that none of Faults is
	// for: the n-th of its name on the conn-th connection, both from 1.
	Script func(at string, nth, conn int) (Fault, bool)
	// Hide are the extensions that it does not offer ("PIPELINING").
	Hide []string
	// Offer are lines of EHLO that it has besides ("DSN", "CHUNKING", "DELIVERBY 60").
	Offer []string
	// TLS makes it offer STARTTLS.
	TLS *tls.Config
	// Recipient answers RCPT; nil accepts all.
	Recipient func(address string) string
	// Message answers the end of a message; nil, or "", takes it. What is answered with
	// anything but 2xx is not in the Sink. With Drop it hangs up instead of answering;
	// what it takes like that is Transaction.Unanswered.
	Message func(m Transaction) (reply string, then End)
}

// StartPeer listens. What the host takes in spite of its faults is in the Sink.
func StartPeer(config Peer) (*Sink, error) {
	address := config.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l := config.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", address); err != nil {
			return nil, err
		}
	}
	return startSink(l, config.TLS, func(t *talk) {
		t.hide = map[string]bool{}
		for _, keyword := range config.Hide {
			t.hide[keyword] = true
		}
		t.offer = config.Offer
		if config.Recipient != nil {
			t.recipient = config.Recipient
		}
		t.message = config.Message
		t.faults = &faults{list: config.Faults, script: config.Script, conn: t.conn, seen: map[string]int{}}
	})
}

// faults are those of one connection.
type faults struct {
	list   []Fault
	script func(at string, nth, conn int) (Fault, bool)
	conn   int
	seen   map[string]int
	raw    bool // the last reply was replaced
}

var errEnd = errors.New("fault ends the connection")

// find is the fault for a step that is now reached.
func (f *faults) find(stage string) (Fault, bool) {
	f.seen[stage]++
	for _, fault := range f.list {
		if fault.At == stage && (fault.Nth == 0 || fault.Nth == f.seen[stage]) && (fault.Conn == 0 || fault.Conn == f.conn) {
			return fault, true
		}
	}
	if f.script != nil {
		if fault, found := f.script(stage, f.seen[stage], f.conn); found {
			return fault, true
		}
	}
	return Fault{}, false
}

// say sends a reply with what is wrong about it.
func (f *faults) say(t *talk, stage, reply string) error {
	fault, found := f.find(stage)
	f.raw = fault.Raw != ""
	if !found {
		t.w.WriteString(reply)
		if stage == "greeting" {
			return t.w.Flush()
		}
		return nil
	}
	t.w.Flush()
	time.Sleep(fault.Delay)
	switch {
	case fault.Silent:
		reply = ""
	case fault.Raw != "":
		reply = fault.Raw
	}
	f.send(t, reply+fault.Extra, fault.Split)
	return f.end(t, fault.Then)
}

func (f *faults) send(t *talk, text string, split bool) {
	if !split {
		t.w.WriteString(text)
		t.w.Flush()
		return
	}
	for i := range len(text) {
		t.w.WriteByte(text[i])
		if t.w.Flush() != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (f *faults) end(t *talk, how End) error {
	switch how {
	case Drop:
		return errEnd
	case Reset:
		if tcp, ok := t.nc.(interface{ SetLinger(seconds int) error }); ok {
			tcp.SetLinger(0)
		}
		return errEnd
	case Hang:
		t.nc.SetDeadline(time.Now().Add(patience))
		for buf := make([]byte, 4096); ; {
			if _, err := t.nc.Read(buf); err != nil {
				return errEnd
			}
		}
	}
	return nil
}
