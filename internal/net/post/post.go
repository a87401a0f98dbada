// Package post gives something to a web server that a stranger named: a report, where a
// record in the DNS says who wants it (RFC 8460 §5.4).
//
// It goes to public addresses and nowhere else, whatever name leads there: who writes the
// record must not make us knock at our own doors. It follows no redirection, keeps no
// connection, checks certificates, and reads no more than the status. Each call has the
// deadline of its context.
package post

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

// The most of what a web server says that is read, in bytes.
const (
	postHeader = 16 << 10
	postAnswer = 4 << 10
)

// errPrivate: whoever wrote the record aims at a machine of ours.
var errPrivate = errors.New("its address is not a public one")

// Config is what a Client goes by.
type Config struct {
	Resolver *dns.Resolver
	Roots    *x509.CertPool // nil: the system's
	// Permit tells which addresses may be connected to; nil: dns.Public.
	Permit func(netip.Addr) bool
}

// Client posts. It is safe for concurrent use.
type Client struct{ http http.Client }

// New makes a Client.
func New(c Config) *Client {
	w := web{c.Resolver, c.Permit}
	if w.permit == nil {
		w.permit = dns.Public
	}
	return &Client{http.Client{
		Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: postHeader,
			TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Post gives a body to a URL, and tells the status of the answer.
func (c *Client) Post(ctx context.Context, url, mediaType string, body []byte) (status int, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Content-Type", mediaType)
	q.Header.Set("User-Agent", "facteur")
	answer, err := c.http.Do(q)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, postAnswer)) //nolint:errcheck // nobody reads it
	return answer.StatusCode, nil
}

// web makes connections to web servers of strangers.
type web struct {
	resolver *dns.Resolver
	permit   func(netip.Addr) bool
}

func (w web) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if addr, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, addr)
	} else if a := w.resolver.LookupAddr(ctx, host); a.State() == lookup.Found {
		addrs = a.Value()
	} else {
		return nil, a.Err()
	}
	last := errors.New("it has no address")
	for _, addr := range addrs {
		// What counts is the address of the connection itself.
		dialer := net.Dialer{Timeout: 10 * time.Second, Control: w.control}
		var c net.Conn
		if c, last = dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), port)); last == nil {
			return c, nil
		}
	}
	return nil, last
}

func (w web) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !w.permit(addr.Unmap()) {
		return fmt.Errorf("%s: %w", strconv.Quote(host), errPrivate)
	}
	return nil
}
