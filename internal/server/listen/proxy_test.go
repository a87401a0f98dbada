package listen

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"facteur/internal/test/doubling"
)

// v2 is a header of version 2 from its parts.
func v2(command, family byte, parts ...string) string {
	body := strings.Join(parts, "")
	head := append(bytes.Clone(proxySignature), command, family)
	return string(binary.BigEndian.AppendUint16(head, uint16(len(body)))) + body
}

const (
	four  = "\xc0\x00\x02\x01" + "\x7f\x00\x00\x01" + "\x04\x00" + "\x00\x19"
	six   = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08" + "\x04\x00" + "\x00\x19"
	mixed = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01" + "\x04\x00" + "\x00\x19"
)

var proxyHeaders = []struct {
	name, text string
	source     string // "" for one who is not named, "own" for the proxy itself
	err        error
}{
	{"version 1", "PROXY TCP4 192.0.2.1 127.0.0.1 1024 25\r\n", "192.0.2.1:1024", nil},
	{"version 1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::8 1024 25\r\n", "[2001:db8::7]:1024", nil},
	{"version 1, mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:127.0.0.1 1024 25\r\n", "192.0.2.1:1024", nil},
	{"version 1, unknown", "PROXY UNKNOWN\r\n", "", nil},
	{"version 1, unknown and more", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", nil},
	{"version 1, the longest", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "", nil},
	{"version 1, too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "", errProxyLong},
	{"version 1, endless", "PROXY TCP4 " + strings.Repeat("1", 1000), "", errProxyLong},
	{"version 1, LF alone", "PROXY TCP4 192.0.2.1 127.0.0.1 1024 25\n", "", errProxyInvalid},
	{"version 1, family and address differ", "PROXY TCP6 192.0.2.1 127.0.0.1 1024 25\r\n", "", errProxyInvalid},
	{"version 1, a zone", "PROXY TCP6 fe80::1%eth0 ::1 1024 25\r\n", "", errProxyInvalid},
	{"version 1, a port too high", "PROXY TCP4 192.0.2.1 127.0.0.1 65536 25\r\n", "", errProxyInvalid},
	{"version 1, a port with a 0 in front", "PROXY TCP4 192.0.2.1 127.0.0.1 01024 25\r\n", "", errProxyInvalid},
	{"version 1, a word too many", "PROXY TCP4 192.0.2.1 127.0.0.1 1024 25 x\r\n", "", errProxyInvalid},
	{"version 1, a blank too many", "PROXY TCP4  192.0.2.1 127.0.0.1 1024 25\r\n", "", errProxyInvalid},
	{"version 1, nothing", "PROXY \r\n", "", errProxyInvalid},
	{"version 1, another family", "PROXY UDP4 192.0.2.1 127.0.0.1 1024 25\r\n", "", errProxyInvalid},
	{"version 2", v2(0x21, 0x11, four), "192.0.2.1:1024", nil},
	{"version 2, IPv6", v2(0x21, 0x21, six), "[2001:db8::7]:1024", nil},
	{"version 2, mapped", v2(0x21, 0x21, mixed), "192.0.2.1:1024", nil},
	{"version 2, extensions", v2(0x21, 0x11, four, "\x04\x00\x03abc", "\x01\x00\x00"), "192.0.2.1:1024", nil},
	{"version 2, local", v2(0x20, 0x00), "own", nil},
	{"version 2, local with addresses", v2(0x20, 0x11, four), "own", nil},
	{"version 2, unspecified", v2(0x21, 0x00, "whatever"), "", nil},
	{"version 2, a Unix socket", v2(0x21, 0x31, strings.Repeat("\x00", unix2)), "", nil},
	{"version 2, the longest", v2(0x20, 0x00, strings.Repeat("x", proxyMax-fixed2)), "own", nil},
	{"version 2, too long", v2(0x20, 0x00, strings.Repeat("x", proxyMax-fixed2+1)), "", errProxyLong},
	{"version 2, addresses cut off", v2(0x21, 0x11, four[:11]), "", errProxyInvalid},
	{"version 2, an extension cut off", v2(0x21, 0x11, four, "\x04\x00\x03ab"), "", errProxyInvalid},
	{"version 2, an extension without a length", v2(0x21, 0x11, four, "\x04\x00"), "", errProxyInvalid},
	{"version 2, datagrams", v2(0x21, 0x12, four), "", errProxyInvalid},
	{"version 2, another family", v2(0x21, 0x41, four), "", errProxyInvalid},
	{"version 2, another command", v2(0x22, 0x11, four), "", errProxyInvalid},
	{"version 3", v2(0x31, 0x11, four), "", errProxyInvalid},
	{"SMTP", "EHLO x.example\r\n", "", errProxyNone},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", errProxyNone},
	{"cut off", "PROXY TCP4 192.0.2.1", "", io.EOF},
	{"nothing", "", "", io.EOF},
}

func TestReadHeader(t *testing.T) {
	for _, test := range proxyHeaders {
		t.Run("ABU-020 "+test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.text + "rest"), iotest.OneByteReader(strings.NewReader(test.text + "rest"))} {
				if errors.Is(test.err, io.EOF) {
					r = strings.NewReader(test.text)
				}
				h, rest, err := readHeader(r)
				if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
					t.Fatalf("got %v, want %v", err, test.err)
				}
				if err != nil {
					continue
				}
				more, _ := io.ReadAll(r)
				if got := string(rest) + string(more); got != "rest" {
					t.Errorf("behind the header is %q", got)
				}
				got := ""
				switch {
				case h.own:
					got = "own"
				case h.source.IsValid():
					got = h.source.String()
				}
				if got != test.source {
					t.Errorf("got %q, want %q", got, test.source)
				}
			}
		})
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, test := range proxyHeaders {
		f.Add([]byte(test.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := parseHeader(b)
		if err != nil {
			if n != 0 || h != (header{}) {
				t.Errorf("an error with a result: %+v, %d", h, n)
			}
			return
		}
		if n <= 0 || n > len(b) || n > proxyMax {
			t.Errorf("%d bytes of %d", n, len(b))
		}
		if a := h.source.Addr(); a.Is4In6() || a.Zone() != "" || h.source.IsValid() != h.target.IsValid() {
			t.Errorf("%+v", h)
		}
		if again, m, err := parseHeader(b[:n]); err != nil || m != n || again != h {
			t.Error("the header depends on what follows it")
		}
		for i := range n {
			if _, _, err := parseHeader(b[:i]); err != errProxyShort {
				t.Fatalf("of %d bytes, %d are enough for: %v", n, i, err)
			}
		}
	})
}

func TestParseHeaderDoubling(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	doubling.Check(t, "values", 600, func(n int) func() {
		b := []byte(v2(0x21, 0x11, four, strings.Repeat("\x01\x00\x00", n)))
		return func() {
			for range 200 {
				parseHeader(b)
			}
		}
	})
}

// whoami tells a client what it is counted under.
func whoami(_ context.Context, c *Conn) {
	fmt.Fprintf(c, "%v %v\n", c.Remote, c.Loopback())
	c.Busy(time.Minute)
	io.Copy(c, c)
}

// knock sends text to a listener with opt and gives the first line of the answer.
func knock(t *testing.T, opt Options, text string) (line string, log *told) {
	t.Helper()
	log = &told{}
	opt.Events = log
	s := New(opt, whoami)
	l, err := Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, text)
	r := bufio.NewReader(c)
	line, _ = r.ReadString('\n')
	if line != "" {
		if more, err := r.ReadString('\n'); more != "hello\n" {
			t.Errorf("what follows the header became %q, %v", more, err)
		}
	}
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
	return line, log
}

func TestProxy(t *testing.T) {
	here := prefixes("127.0.0.0/8")
	for name, test := range map[string]struct {
		proxied bool
		from    []netip.Prefix
		text    string
		want    string
		told    string
	}{
		"ABU-020 the client that it speaks for":      {true, here, "PROXY TCP4 192.0.2.9 127.0.0.1 1024 25\r\n", "192.0.2.9:1024 false\n", ""},
		"ABU-020 in version 2":                       {true, here, v2(0x21, 0x21, six), "[2001:db8::7]:1024 false\n", ""},
		"ABU-020 nobody it names is nobody we trust": {true, here, "PROXY UNKNOWN\r\n", "0.0.0.0:0 false\n", ""},
		"ABU-020 from this machine to this machine":  {true, here, "PROXY TCP4 127.0.0.1 127.0.0.1 1024 25\r\n", "127.0.0.1:1024 true\n", ""},
		"ABU-020 anybody else is refused":            {true, prefixes("192.0.2.0/24"), "PROXY TCP4 192.0.2.9 127.0.0.1 1024 25\r\n", "", "not one of the proxies"},
		"ABU-020 no header":                          {true, here, "EHLO x\r\n", "", "no PROXY header"},
	} {
		t.Run(name, func(t *testing.T) {
			got, log := knock(t, Options{Service: "smtp", Proxied: test.proxied, Proxies: test.from}, test.text+"hello\n")
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !strings.Contains(log.lines(), test.told) || test.told == "" && log.lines() != "" {
				t.Errorf("told %q", log.lines())
			}
		})
	}
	t.Run("ABU-020 the proxy's own look", func(t *testing.T) {
		got, _ := knock(t, Options{Proxied: true, Proxies: here}, v2(0x20, 0)+"hello\n")
		if !strings.HasPrefix(got, "127.0.0.1:") || !strings.HasSuffix(got, " true\n") {
			t.Errorf("got %q", got)
		}
	})
}

// A header at a door that is not for proxies is what any other words are.
func TestABU020AStrangerCannotSayWhoHeIs(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	h := newHall()
	s := New(Options{}, whoami)
	go s.Serve(h)
	h.doors <- from{server, "192.0.2.66:1"}
	go io.WriteString(client, "PROXY TCP4 127.0.0.1 127.0.0.1 1024 25\r\n")
	r := bufio.NewReader(client)
	first, _ := r.ReadString('\n')
	second, _ := r.ReadString('\n')
	if first != "192.0.2.66:1 false\n" || !strings.HasPrefix(second, "PROXY TCP4") {
		t.Errorf("%q, %q", first, second)
	}
	client.Close()
	s.Drain(t.Context())
}

// Behind a proxy the limits are those of the clients.
func TestABU020LimitsBehindAProxy(t *testing.T) {
	log := &told{}
	s := New(Options{Service: "smtp", Proxied: true, Proxies: prefixes("127.0.0.0/8"), Events: log,
		Gate: gate(100, Rules{PerClient: 1}), Busy: func(why string) []byte { return []byte(why + "\n") }}, whoami)
	l, err := Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	say := func(addr string) string {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "PROXY TCP4 %s 127.0.0.1 1024 25\r\n", addr)
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line
	}
	for _, test := range [][2]string{
		{"192.0.2.1", "192.0.2.1:1024 false\n"},
		{"192.0.2.1", "too many connections from 192.0.2.1: at most 1 at a time\n"},
		{"192.0.2.2", "192.0.2.2:1024 false\n"},
	} {
		if got := say(test[0]); got != test[1] {
			t.Errorf("%s was told %q", test[0], got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Drain(ctx)
	if n := s.gate.present.Len(); n != 0 || s.gate.budget.Inside() != 0 {
		t.Errorf("left over: %d", n)
	}
}

func TestProxyThatSaysNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a time-out")
	}
	start := time.Now()
	got, log := knock(t, Options{Proxied: true, Proxies: prefixes("127.0.0.0/8")}, "PROXY TCP4")
	if got != "" || !strings.Contains(log.lines(), "i/o timeout") || time.Since(start) < proxyTimeout-time.Second {
		t.Errorf("%q after %v: %s", got, time.Since(start), log.lines())
	}
}

// A proxy on another machine can't make anybody a client on this one.
func TestABU020LoopbackIsHere(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go io.WriteString(client, "PROXY TCP4 127.0.0.1 127.0.0.1 1024 25\r\n")
	c := NewConn(from{server, "10.0.0.5:1"})
	if err := c.unwrap(); !errors.Is(err, errProxyInvalid) {
		t.Errorf("%v: %v", c.Remote, err)
	}
}
