package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// The PROXY protocol, versions 1 and 2, as haproxy's doc/proxy-protocol.txt has it:
// a header before the first byte of a connection, in which a proxy says for whom it
// connects.

// header is what a proxy said.
type header struct {
	// own: the proxy speaks for itself (it looks whether we are well).
	own bool
	// source and target are the ends of the client's connection; zero when the proxy
	// does not know them.
	source, target netip.AddrPort
}

const (
	proxyTimeout = 5 * time.Second
	proxyMax     = 4 << 10 // bytes of a header, its extensions included
	proxyMax1    = 107     // bytes of a header of version 1, CRLF included
)

// proxySignature begins version 2.
var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

var (
	errProxyShort   = errors.New("the PROXY header is not complete")
	errProxyNone    = errors.New("no PROXY header")
	errProxyLong    = errors.New("the PROXY header is too long")
	errProxyInvalid = errors.New("the PROXY header is invalid")
)

// proxied is a connection behind a proxy: what was read beyond the header comes
// first.
type proxied struct {
	net.Conn
	rest []byte
}

// Read implements net.Conn.
func (p *proxied) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.rest)
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		p.rest = nil
	}
	return n, nil
}

// unwrap reads the proxy's header and lets the connection be its client's.
func (c *Conn) unwrap() error {
	c.Busy(proxyTimeout)
	h, rest, err := readHeader(c.raw)
	if err != nil {
		return err
	}
	p := &proxied{Conn: c.raw, rest: rest}
	c.Conn, c.raw = p, p
	if h.own {
		return nil
	}
	c.away = !c.Remote.Addr().IsLoopback() && !isUnix(p)
	if c.away && h.source.Addr().IsLoopback() {
		// What is "this machine" there is none here, and may do more.
		return fmt.Errorf("%w: a proxy on another machine speaks for %s", errProxyInvalid, h.source.Addr())
	}
	c.Remote, c.Local = h.source, h.target
	if !c.Remote.IsValid() {
		// Nobody's address: in no network that is trusted or spared.
		c.Remote, c.Local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0), netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return nil
}

// readHeader reads a header and what came with it.
func readHeader(r io.Reader) (h header, rest []byte, err error) {
	buf, got := make([]byte, proxyMax), 0
	for {
		n, err := r.Read(buf[got:])
		got += n
		h, size, perr := parseHeader(buf[:got])
		switch {
		case perr == nil:
			return h, bytes.Clone(buf[size:got]), nil
		case perr != errProxyShort:
			return header{}, nil, perr
		case err != nil:
			return header{}, nil, err
		case got == len(buf):
			return header{}, nil, errProxyLong
		}
	}
}

// parseHeader reads a header at the beginning of b and tells how long it is.
// errProxyShort: it may go on.
func parseHeader(b []byte) (header, int, error) {
	switch {
	case startsLike(b, proxySignature):
		return parseHeader2(b)
	case startsLike(b, []byte("PROXY ")):
		return parseHeader1(b)
	}
	return header{}, 0, errProxyNone
}

// startsLike tells that b begins with prefix, as far as it goes.
func startsLike(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// parseHeader1 reads "PROXY TCP4 source target port port CRLF".
func parseHeader1(b []byte) (header, int, error) {
	line := b[:min(len(b), proxyMax1)]
	end := bytes.IndexByte(line, '\n')
	switch {
	case end < 0 && len(line) == proxyMax1:
		return header{}, 0, errProxyLong
	case end < 0:
		return header{}, 0, errProxyShort
	case line[end-1] != '\r':
		return header{}, 0, errProxyInvalid
	}
	words := bytes.Split(line[:end-1], []byte(" "))
	if string(words[1]) == "UNKNOWN" {
		return header{}, end + 1, nil
	}
	if len(words) != 6 {
		return header{}, 0, errProxyInvalid
	}
	source, ok1 := endpoint(words[1], words[2], words[4])
	target, ok2 := endpoint(words[1], words[3], words[5])
	if !ok1 || !ok2 {
		return header{}, 0, errProxyInvalid
	}
	return header{source: source, target: target}, end + 1, nil
}

// endpoint reads an address of a family and a port.
func endpoint(family, addr, port []byte) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(string(addr))
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	if want := string(family); a.Is4() && want != "TCP4" || a.Is6() && want != "TCP6" {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != string(port) {
		return netip.AddrPort{}, false
	}
	return plain(netip.AddrPortFrom(a, uint16(n))), true
}

// Sizes of version 2: what comes first, and the addresses of each family.
const (
	fixed2 = 16
	inet4  = 12
	inet6  = 36
	unix2  = 216
)

// parseHeader2 reads a signature, a command, a family, a length and that many bytes.
// The length is only compared with proxyMax: nothing is allocated by it.
func parseHeader2(b []byte) (header, int, error) {
	if len(b) < fixed2 {
		return header{}, 0, errProxyShort
	}
	command, family := b[12], b[13]
	size := fixed2 + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case command>>4 != 2 || command&15 > 1:
		return header{}, 0, errProxyInvalid
	case size > proxyMax:
		return header{}, 0, errProxyLong
	case len(b) < size:
		return header{}, 0, errProxyShort
	case command&15 == 0: // LOCAL: whatever else it says
		return header{own: true}, size, nil
	}
	h, rest, ok := addresses2(family, b[fixed2:size])
	if !ok || !extensions2(rest) {
		return header{}, 0, errProxyInvalid
	}
	return h, size, nil
}

// addresses2 reads the addresses of a family and gives what follows them.
func addresses2(family byte, b []byte) (h header, rest []byte, ok bool) {
	const stream = 1
	if family == 0 { // unspecified: there are no addresses, and all is to be skipped
		return header{}, nil, true
	}
	if family&15 != stream {
		return header{}, nil, false
	}
	size, known := map[byte]int{1: inet4, 2: inet6, 3: unix2}[family>>4]
	if !known || len(b) < size {
		return header{}, nil, false
	}
	if family>>4 != 3 { // the names of Unix sockets on another machine say nothing
		n := size/2 - 2
		source, _ := netip.AddrFromSlice(b[:n])
		target, _ := netip.AddrFromSlice(b[n : 2*n])
		h.source = plain(netip.AddrPortFrom(source, binary.BigEndian.Uint16(b[2*n:])))
		h.target = plain(netip.AddrPortFrom(target, binary.BigEndian.Uint16(b[2*n+2:])))
	}
	return h, b[size:], true
}

// extensions2 tells whether the rest of a header is a list of type, length and value.
func extensions2(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 3 {
			return false
		}
		n := 3 + int(binary.BigEndian.Uint16(b[1:]))
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}
