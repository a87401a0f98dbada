package sim

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	wire "github.com/miekg/dns"
)

// Trouble is how the name server fails for a name.
type Trouble string

// The troubles.
const (
	None     Trouble = ""
	ServFail Trouble = "servfail"
	Refused  Trouble = "refused"
	Silent   Trouble = "timeout"   // no answer at all
	Truncate Trouble = "truncate"  // TC over UDP, the answer over TCP
	Garbage  Trouble = "garbage"   // bytes that are no answer
	WrongID  Trouble = "wrongid"   // an answer to another question's id
	WrongQ   Trouble = "wrongname" // an answer to another question
)

// DNS is a name server that knows one zone and answers NXDOMAIN for all else.
type DNS struct {
	addr    string
	servers []*wire.Server

	mu      sync.Mutex
	records map[string][]wire.RR // by lower-case name with its last dot
	trouble map[string]Trouble
	asked   map[string]int
	secure  bool
}

// StartDNS listens on address (UDP and TCP, "127.0.0.1:0" for any free port) and
// answers from zone: lines of a zone file, and lines "!servfail NAME", "!timeout
// NAME", "!refused NAME" and so on for names that fail. Names without a dot at
// their end are taken as if they had one. "*.example.net" stands for all names
// under it that are not there.
func StartDNS(address, zone string) (*DNS, error) {
	pc, l, err := listenBoth(address)
	if err != nil {
		return nil, err
	}
	return serveDNS(zone, &wire.Server{Listener: l}, &wire.Server{PacketConn: pc})
}

// ServeDNS is StartDNS for one listener, that of a Net.
func ServeDNS(l net.Listener, zone string) (*DNS, error) {
	return serveDNS(zone, &wire.Server{Listener: l, MaxTCPQueries: -1})
}

func serveDNS(zone string, servers ...*wire.Server) (*DNS, error) {
	d := &DNS{trouble: map[string]Trouble{}, asked: map[string]int{}, records: map[string][]wire.RR{},
		addr: servers[0].Listener.Addr().String(), servers: servers}
	if err := d.Load(zone); err != nil {
		return nil, err
	}
	for _, s := range servers {
		s.Handler = d
		if err := serve(s); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// listenBoth finds a port that is free for UDP and TCP. One that is named may be another
// program's for a moment, who asks a question from there.
func listenBoth(address string) (pc net.PacketConn, l net.Listener, err error) {
	for range 100 {
		if pc, err = net.ListenPacket("udp", address); err == nil {
			if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
				return pc, l, nil
			}
			pc.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, nil, err
}

// serve returns once the server is listening.
func serve(s *wire.Server) error {
	started, failed := make(chan struct{}), make(chan error, 1)
	s.NotifyStartedFunc = func() { close(started) }
	go func() { failed <- s.ActivateAndServe() }()
	select {
	case <-started:
		return nil
	case err := <-failed:
		return err
	}
}

// Addr is where it listens, "127.0.0.1:NNNN".
func (d *DNS) Addr() string { return d.addr }

// Close stops it.
func (d *DNS) Close() {
	for _, s := range d.servers {
		s.Shutdown()
	}
}

// Load adds records and troubles; see StartDNS.
func (d *DNS) Load(zone string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for text := range strings.SplitSeq(zone, "\n") {
		text = strings.TrimSpace(text)
		if trouble, ok := strings.CutPrefix(text, "!"); ok {
			kind, name, _ := strings.Cut(trouble, " ")
			d.trouble[fqdn(name)] = Trouble(kind)
			continue
		}
		if text == "" || text[0] == '#' {
			continue
		}
		rr, err := wire.NewRR("$ORIGIN .\n$TTL 300\n" + text)
		if err != nil {
			return fmt.Errorf("zone line %q: %w", text, err)
		}
		if rr != nil {
			name := fqdn(rr.Header().Name)
			d.records[name] = append(d.records[name], rr)
		}
	}
	return nil
}

// Fail makes a name fail, or work again with None.
func (d *DNS) Fail(name string, how Trouble) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble[fqdn(name)] = how
}

// Validate sets the AD bit in all answers from now on.
func (d *DNS) Validate(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secure = on
}

// Asked is how many questions came for a name and type ("MX").
func (d *DNS) Asked(name, qtype string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[fqdn(name)+" "+qtype]
}

// fqdn is a name as it is kept: as it comes in questions, with the escapes of the wire
// library, in lower case.
// Total is how many questions came in all.
func (d *DNS) Total() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, asked := range d.asked {
		n += asked
	}
	return n
}

func fqdn(name string) string {
	name = strings.ToLower(wire.Fqdn(strings.TrimSpace(name)))
	packed := make([]byte, 256)
	end, err := wire.PackDomainName(name, packed, 0, nil, false)
	if err != nil {
		return name
	}
	if unpacked, _, err := wire.UnpackDomainName(packed[:end], 0); err == nil {
		return unpacked
	}
	return name
}

// ServeDNS answers one question.
func (d *DNS) ServeDNS(w wire.ResponseWriter, q *wire.Msg) {
	if len(q.Question) != 1 {
		return
	}
	name, qtype := fqdn(q.Question[0].Name), q.Question[0].Qtype
	m := new(wire.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	_, overTCP := w.RemoteAddr().(*net.TCPAddr)
	d.mu.Lock()
	d.asked[name+" "+wire.TypeToString[qtype]]++
	trouble := d.trouble[name]
	m.AuthenticatedData = d.secure
	d.resolve(m, name, qtype)
	d.mu.Unlock()
	d.spoil(w, m, trouble, overTCP)
}

// spoil sends an answer as the trouble wants it.
func (d *DNS) spoil(w wire.ResponseWriter, m *wire.Msg, trouble Trouble, overTCP bool) {
	switch trouble {
	case Silent:
		return
	case ServFail:
		m.Rcode, m.Answer, m.Ns = wire.RcodeServerFailure, nil, nil
	case Refused:
		m.Rcode, m.Answer, m.Ns = wire.RcodeRefused, nil, nil
	case Garbage:
		w.Write([]byte("this is no answer, whatever it was that you asked"))
		return
	case WrongID:
		m.Id++
	case WrongQ:
		m.Question[0].Name = "elsewhere.invalid."
	case Truncate:
		if !overTCP {
			m.Truncated, m.Answer, m.Ns = true, nil, nil
		}
	}
	if !overTCP {
		m.Truncate(1232)
	}
	w.WriteMsg(m)
}

// resolve fills in the answer, with the CNAMEs on the way, as a recursive server
// would; a loop of them ends where it began.
func (d *DNS) resolve(m *wire.Msg, name string, qtype uint16) {
	for range 20 {
		records, exists := d.lookup(name)
		next := ""
		for _, rr := range records {
			if rr.Header().Rrtype == qtype {
				m.Answer = append(m.Answer, rr)
			} else if cname, ok := rr.(*wire.CNAME); ok {
				next = fqdn(cname.Target)
				m.Answer = append(m.Answer, rr)
			}
		}
		switch {
		case !exists:
			m.Rcode = wire.RcodeNameError
			m.Ns = append(m.Ns, soa())
			return
		case next == "":
			if len(m.Answer) == 0 || m.Answer[len(m.Answer)-1].Header().Rrtype != qtype {
				m.Ns = append(m.Ns, soa())
			}
			return
		}
		name = next
	}
}

// lookup finds the records of a name. A name that has only others under it exists.
func (d *DNS) lookup(name string) (records []wire.RR, exists bool) {
	if records, ok := d.records[name]; ok {
		return records, true
	}
	for known := range d.records {
		if strings.HasSuffix(known, "."+name) {
			return nil, true
		}
	}
	for _, parent, found := strings.Cut(name, "."); found && parent != ""; _, parent, found = strings.Cut(parent, ".") {
		if wild, ok := d.records["*."+parent]; ok {
			return renamed(wild, name), true
		}
	}
	return nil, false
}

func renamed(rrs []wire.RR, name string) []wire.RR {
	list := make([]wire.RR, len(rrs))
	for i, rr := range rrs {
		list[i] = wire.Copy(rr)
		list[i].Header().Name = name
	}
	return list
}

func soa() wire.RR {
	rr, _ := wire.NewRR(". 60 IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60")
	return rr
}
