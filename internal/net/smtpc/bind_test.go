package smtpc

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestBind: the peer sees the address that was chosen for its family.
//
// Row 130: mail leaves from a given address.
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

// TestBindNowhere: an address that this machine does not have is named, not only the host
// that was to be reached.
func TestBindNowhere(t *testing.T) {
	_, err := Dial(t.Context(), Target{Host: "mx.example.net", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: 1},
		Config{Hello: "h", Bind: []netip.Addr{netip.MustParseAddr("192.0.2.99")}})
	if err == nil || !strings.Contains(err.Error(), "connect to mx.example.net[127.0.0.1]:1: bind 192.0.2.99: Cannot assign requested address") {
		t.Error(err)
	}
}
