package smtpd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/internal/server/listen"
)

var update = flag.Bool("update", false, "write what the server says into testdata/*.dialogue")

// TestDialogues plays the files of testdata. In them
//
//	C: text     is a line of the client, CRLF added
//	C| text     is sent as it stands
//	C+ text     is a line that goes out in one piece with the next C
//	! verb …    does something: see (*play).do
//	S: text     is what the server said until it waited again
//	L: text     is what it logged meanwhile
//	K: text     is what the desk committed meanwhile
//
// with Go escapes in the texts. S, L and K lines are checked, all of them.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".dialogue"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	synctest.Test(t, func(t *testing.T) { got = newPlay(t).run(string(script)) })
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(script) {
		t.Errorf("%s went differently:\n%s", file, diff(string(script), got))
	}
}

// diff shows the first lines that differ.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\nwant %s\n got %s", i+1, a, b)
		}
	}
	return "(no difference)"
}

// play is a script being played in a synctest bubble: the server has said all
// it has to say when synctest.Wait returns.
type play struct {
	t      *testing.T
	desk   *double
	log    *lines
	config Config
	rules  *Rules
	remote netip.AddrPort
	local  netip.AddrPort

	client  net.Conn
	heard   *ear
	done    chan struct{}
	pending string
	told    int // letters shown
	out     strings.Builder
}

func newPlay(t *testing.T) *play {
	return &play{t: t, desk: newDouble(), log: &lines{},
		config: Config{Hostname: "mx.local.example", Crowd: NewCrowd(), Gate: testGate()}, rules: testRules(),
		remote: netip.MustParseAddrPort("192.0.2.1:4711"), local: netip.MustParseAddrPort("192.0.2.25:25")}
}

func (p *play) run(script string) string {
	for _, line := range strings.SplitAfter(script, "\n") {
		tag, text := "", ""
		if len(line) > 2 {
			tag, text = line[:2], strings.TrimSuffix(strings.TrimPrefix(line[2:], " "), "\n")
		}
		switch tag {
		case "S:", "L:", "K:":
			continue // written anew
		}
		p.out.WriteString(line)
		switch tag {
		case "C:":
			p.send(unescape(text) + "\r\n")
		case "C|":
			p.send(unescape(text))
		case "C+":
			p.pending += unescape(text) + "\r\n"
		case "! ":
			p.do(strings.Fields(text))
		}
	}
	p.hangUp()
	if p.desk.open != 0 {
		p.t.Errorf("%d transactions were left open", p.desk.open)
	}
	return p.out.String()
}

func unescape(s string) string {
	u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		panic(fmt.Sprintf("script: %q: %v", s, err))
	}
	return u
}

// do is a directive. Those before "connect" set the scene.
func (p *play) do(words []string) {
	switch words[0] {
	case "service":
		p.config.Service = map[string]Service{"smtp": SMTP, "submission": Submission, "submissions": Submissions, "lmtp": LMTP}[words[1]]
	case "tls":
		p.config.TLS = testTLS()
	case "auth":
		p.config.AuthOnSMTP = true
	case "loopback":
		p.remote, p.local = netip.MustParseAddrPort("127.0.0.1:4711"), netip.MustParseAddrPort("127.0.0.1:25")
	case "name":
		wait, _ := time.ParseDuration(words[2])
		p.config.ReverseName = func(ctx context.Context, _ netip.Addr) string {
			select {
			case <-ctx.Done():
				return ""
			case <-time.After(wait):
				return words[1]
			}
		}
	case "tarpit":
		p.rules.ErrorSleep = time.Second
	case "rule":
		p.set(words[1], words[2:])
	case "flush": // domain n, and one more below it
		n, _ := strconv.Atoi(words[2])
		p.config.Flush = func(_ context.Context, domain string) (int, error) {
			switch domain {
			case words[1]:
				return n, nil
			case "." + words[1]:
				return n + 1, nil
			case "broken.example":
				return 0, errors.New("the queue is broken")
			}
			return 0, nil
		}
	case "closed":
		p.desk.closed = true
	case "remember":
		seen := map[netip.Addr]bool{}
		p.config.Seen, p.config.Passed = func(a netip.Addr) bool { return seen[a] }, func(a netip.Addr) { seen[a] = true }
	case "from":
		p.remote = netip.AddrPortFrom(netip.MustParseAddr(words[1]), 4711)
	case "connect", "silently": // connect
		p.hangUp()
		p.connect()
	case "slowly": // n, then a line sent n times, each after the answer to the one before
		n, _ := strconv.Atoi(words[1])
		for range n {
			p.send(unescape(strings.Join(words[2:], " ")) + "\r\n")
			time.Sleep(6 * time.Second)
			p.listen()
		}
	case "repeat": // n, then a line sent n times
		n, _ := strconv.Atoi(words[1])
		p.send(strings.Repeat(unescape(strings.Join(words[2:], " "))+"\r\n", n))
	case "long": // a run of n bytes, and no line ending
		n, _ := strconv.Atoi(words[1])
		p.send(strings.Repeat("x", n))
	case "wait":
		d, _ := time.ParseDuration(words[1])
		time.Sleep(d)
		p.listen()
	case "starttls":
		p.startTLS()
	case "hangup":
		p.hangUp()
	default:
		p.t.Fatalf("script: what is %q?", words[0])
	}
}

// set changes a rule.
func (p *play) set(name string, words []string) {
	action := map[string]Action{"ignore": Ignore, "enforce": Enforce, "drop": Drop}
	prefixes := func() (nets []netip.Prefix) {
		for _, w := range words {
			nets = append(nets, netip.MustParsePrefix(w))
		}
		return nets
	}
	switch r := p.rules; name {
	case "withhold":
		r.Withheld = words
	case "strict":
		r.StrictEnvelopes = true
	case "messages":
		r.MaxMessages, _ = strconv.Atoi(words[0])
	case "trusted":
		r.Trusted = prefixes()
	case "exempt":
		r.Exempt = prefixes()
	case "xclient":
		r.XclientHosts = prefixes()
	case "xforward":
		r.XforwardHosts = prefixes()
	case "etrn":
		r.Etrn = map[string]Who{"known": Known, "nobody": Nobody, "anybody": Anybody}[words[0]]
		r.EtrnDomains = words[1:]
	case "greet":
		r.Screen.Wait, r.Screen.Greet = 6*time.Second, action[words[0]]
		r.Screen.Teaser = strings.Join(words[1:], " ")
	case "non-smtp":
		r.Screen.NonSMTP = action[words[0]]
	case "bare-newline":
		r.Screen.BareNewline = action[words[0]]
	case "pipelining":
		r.Screen.Pipelining = action[words[0]]
	case "rates":
		r.Rates.Messages, _ = strconv.Atoi(words[0])
		r.Rates.Recipients, _ = strconv.Atoi(words[1])
	case "guesses":
		r.Rates.Guesses, _ = strconv.Atoi(words[0])
		r.Rates.DomainGuesses, _ = strconv.Atoi(words[1])
	default:
		p.t.Fatalf("script: what is the rule %q?", name)
	}
}

func (p *play) connect() {
	p.config.Events = p.log
	p.config.Rules = func() *Rules { return p.rules }
	srv := newServer(p.config, p.desk)
	client, server := net.Pipe()
	c := listen.NewConn(server)
	c.Remote, c.Local = p.remote, p.local
	p.client, p.heard, p.done = client, &ear{}, make(chan struct{})
	go func() {
		defer close(p.done)
		defer c.Close()
		srv.Serve(context.Background(), c)
	}()
	go p.heard.listen(p.client)
	p.listen()
}

func (p *play) send(s string) {
	s = p.pending + s
	p.pending = ""
	go p.client.Write([]byte(s)) //nolint:errcheck // a server that hung up is part of the play
	p.listen()
}

// listen writes down what the server did.
func (p *play) listen() {
	synctest.Wait()
	// The log is there, and the server may wait for its look-up of a name.
	for _, l := range p.heard.take() {
		fmt.Fprintf(&p.out, "S: %s\n", escape(l))
	}
	for _, l := range p.log.take() {
		fmt.Fprintf(&p.out, "L: %s\n", l)
	}
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	for ; p.told < len(p.desk.kept); p.told++ {
		k := p.desk.kept[p.told]
		body := k.body
		if len(body) > 400 {
			body = fmt.Sprintf("(%d bytes)", len(body))
		}
		fmt.Fprintf(&p.out, "K: from=<%s> to=<%s> %q\n", k.from, strings.Join(k.to, ","), body)
	}
}

func escape(s string) string {
	q := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func (p *play) hangUp() {
	if p.client == nil {
		return
	}
	p.client.Close()
	<-p.done
	p.listen()
	p.client = nil
}

func (p *play) startTLS() {
	p.heard.stop(p.client)
	c := tls.Client(p.client, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		fmt.Fprintf(&p.out, "S: (handshake failed)\n")
	}
	p.client, p.heard = c, &ear{}
	go p.heard.listen(c)
	p.listen()
}

// ear collects what the server says.
type ear struct {
	mu      sync.Mutex
	text    []byte
	stopped chan struct{}
}

func (e *ear) listen(c net.Conn) {
	e.mu.Lock()
	e.stopped = make(chan struct{})
	e.mu.Unlock()
	defer close(e.stopped)
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		e.mu.Lock()
		e.text = append(e.text, buf[:n]...)
		if err == io.EOF {
			e.text = append(e.text, "(closed)\r\n"...)
		}
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// stop ends the listening, so that somebody else can read from c.
func (e *ear) stop(c net.Conn) {
	c.SetReadDeadline(time.Unix(1, 0))
	<-e.stopped
	c.SetReadDeadline(time.Time{})
}

func (e *ear) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.text) == 0 {
		return nil
	}
	all := strings.Split(strings.TrimSuffix(string(e.text), "\r\n"), "\r\n")
	e.text = nil
	return all
}

// testTLS makes a certificate for the test, valid in a bubble's year 2000 too.
var testTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.local.example"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// TestTarpitLosesNoReply: replies that fill the buffer while a peer sits in the tarpit
// go out all the same, though the time that he was listened to is over.
func TestTarpitLosesNoReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 400
		p := newPlay(t)
		p.rules.ErrorSleep, p.rules.HardErrors = time.Second, n+2
		p.connect()
		p.send(strings.Repeat("DATA now\r\n", n))
		time.Sleep(n * time.Second) // one for each but the first ten
		p.send("NOOP\r\n")
		p.hangUp()
		if got := strings.Count(p.out.String(), "S: 501 "); got != n || !strings.Contains(p.out.String(), "S: 250 ") {
			t.Errorf("%d of %d replies arrived", got, n)
		}
	})
}
