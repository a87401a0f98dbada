package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	wire "github.com/miekg/dns"
)

// udpSize is the size of answer that we offer to take by UDP: what fits into a
// packet everywhere without fragments (DNS flag day 2020).
const udpSize = 1232

// question is what is asked; name is canonical.
type question struct {
	name  string
	qtype uint16
}

func (q question) String() string { return q.name + " " + wire.TypeToString[q.qtype] }

// exchange puts a question to one server after the other until one gives an
// answer that means something: NOERROR or NXDOMAIN.
func (r *Resolver) exchange(ctx context.Context, q question) (*wire.Msg, error) {
	var last error
	for range r.rounds {
		for _, server := range r.inTurn(time.Now()) {
			m, err := r.try(ctx, server.addr, q)
			server.answered(err, time.Now())
			if err == nil {
				return m, nil
			}
			last = fmt.Errorf("asking %s for %s: %w", server.addr, q, err)
			if ctx.Err() != nil {
				return nil, last
			}
		}
	}
	return nil, last
}

// try asks one server: by UDP, without EDNS0 if that is what it stumbled over,
// by TCP if it has more to say, or if the answer may be somebody else's.
func (r *Resolver) try(ctx context.Context, server string, q question) (*wire.Msg, error) {
	reply, err := r.send(ctx, "udp", server, r.query(q, true))
	if err == nil && (reply.Rcode == wire.RcodeFormatError || reply.Rcode == wire.RcodeNotImplemented) {
		reply, err = r.send(ctx, "udp", server, r.query(q, false))
	}
	if errors.Is(err, errCase) || err == nil && reply.Truncated {
		reply, err = r.send(ctx, "tcp", server, r.query(q, false))
		if err == nil && reply.Truncated {
			err = errors.New("truncated even over TCP")
		}
	}
	if err == nil {
		err = meaningful(reply)
	}
	return reply, err
}

func (r *Resolver) query(q question, edns bool) *wire.Msg {
	m := new(wire.Msg)
	m.SetQuestion(mixed(q.name)+".", q.qtype) // with a random id
	// RFC 6840 §5.7: AD in a question asks for AD in the answer.
	m.AuthenticatedData = r.trustAD
	if edns {
		m.SetEdns0(udpSize, false)
	}
	return m
}

// mixed is a name with its letters in either case, at random: what a server repeats,
// and a forger has to guess beside id and port (draft-vixie-dnsext-dns0x20).
func mixed(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && rand.IntN(2) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// send makes one exchange over a socket of its own. A forger from outside has to
// guess id, port and the case of the letters; what a server sends for another question
// is an error.
func (r *Resolver) send(ctx context.Context, network, server string, m *wire.Msg) (*wire.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	socket, err := r.dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	conn := &wire.Conn{Conn: socket, UDPSize: udpSize}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	reply, err := receive(conn, m.Id, network == "udp")
	if err != nil {
		return nil, err
	}
	err = answers(m, reply)
	if network == "tcp" && errors.Is(err, errCase) {
		err = nil // nobody else has this connection
	}
	return reply, err
}

var errCutOff = errors.New("the answer ends before its end")

// receive reads the answer with that id; over UDP others are late ones, or shots
// in the dark, and are passed over. An answer with fewer records than it announces
// is none, unless it says itself that it was cut off: it must not pass for empty.
func receive(conn *wire.Conn, id uint16, datagrams bool) (*wire.Msg, error) {
	for {
		var h wire.Header
		packet, err := conn.ReadMsgHeader(&h)
		if err != nil {
			return nil, err
		}
		if h.Id != id && datagrams {
			continue
		}
		reply := new(wire.Msg)
		err = reply.Unpack(packet)
		if reply.Truncated {
			return reply, nil
		}
		if err == nil && (len(reply.Answer) < int(h.Ancount) || len(reply.Ns) < int(h.Nscount)) {
			err = errCutOff
		}
		return reply, err
	}
}

var (
	errMismatch = errors.New("the answer is not for our question")
	errCase     = errors.New("the answer has our question in other letters")
)

// answers tells whether reply is one for m.
func answers(m, reply *wire.Msg) error {
	if !reply.Response || reply.Id != m.Id || reply.Opcode != wire.OpcodeQuery {
		return errMismatch
	}
	// A server that could not read the question need not repeat it.
	if len(reply.Question) == 0 && reply.Rcode != wire.RcodeSuccess && reply.Rcode != wire.RcodeNameError {
		return nil
	}
	if len(reply.Question) != 1 {
		return errMismatch
	}
	asked, got := m.Question[0], reply.Question[0]
	if asked.Qtype != got.Qtype || asked.Qclass != got.Qclass || !strings.EqualFold(asked.Name, got.Name) {
		return errMismatch
	}
	if asked.Name != got.Name {
		return errCase
	}
	return nil
}

// meaningful tells an answer from a failure.
func meaningful(reply *wire.Msg) error {
	switch {
	case reply.Rcode == wire.RcodeNameError:
		return nil
	case reply.Rcode != wire.RcodeSuccess:
		return fmt.Errorf("server says %s", rcodeName(reply.Rcode))
	case isReferral(reply):
		return errors.New("server only refers to others: it is not a recursive one")
	}
	return nil
}

func rcodeName(code int) string {
	if s, ok := wire.RcodeToString[code]; ok {
		return s
	}
	return fmt.Sprintf("error %d", code)
}

// isReferral tells the answer of a server that will not look further for us
// from an empty answer; the first must not pass for "there is none".
func isReferral(reply *wire.Msg) bool {
	if len(reply.Answer) > 0 || reply.RecursionAvailable || reply.Authoritative {
		return false
	}
	for _, rr := range reply.Ns {
		if rr.Header().Rrtype == wire.TypeSOA {
			return false
		}
	}
	return true
}
