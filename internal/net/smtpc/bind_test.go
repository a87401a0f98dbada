package smtpc

import (
	"net"
	"net/netip"
	"testing"
)

// TestBind: the peer sees the address that was chosen for its family.
func TestBind(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go Dial(t.Context(), Target{Host: "localhost", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		Port: l.Addr().(*net.TCPAddr).AddrPort().Port()},
		Config{Hello: "h", Bind: []netip.Addr{netip.MustParseAddr("::2"), netip.MustParseAddr("127.0.0.7")}})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if from := c.RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.7" {
		t.Errorf("connected from %s", from)
	}
}
