package tlspolicy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"facteur/internal/base/lookup"
	"facteur/internal/net/dns"
)

const (
	fetchTime  = 60 * time.Second // RFC 8461 §3.3
	headerSize = 16 << 10
	wellKnown  = "/.well-known/mta-sts.txt"
	// maxFetches is how many policies are fetched at a time, each over a connection.
	maxFetches = 500
)

// ErrFetch: the policy of a domain could not be fetched.
var ErrFetch = errors.New("the MTA-STS policy can't be fetched")

// newWeb makes the client that fetches policies: it goes nowhere but where it is sent.
func newWeb(c Config) *http.Client {
	w := web{config: c}
	return &http.Client{
		Timeout: c.FetchTime,
		Transport: &http.Transport{
			DialContext:       w.dial,
			TLSClientConfig:   &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: headerSize,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Fetch gets the policy that a domain's web server has now, whatever is remembered of it,
// and does not remember it.
func (k *Keeper) Fetch(ctx context.Context, domain string) (Policy, error) {
	return k.fetch(ctx, domain)
}

// fetch gets the policy of a domain.
func (k *Keeper) fetch(ctx context.Context, domain string) (Policy, error) {
	ctx, cancel := context.WithTimeout(dns.WithBudget(ctx, dns.DefaultBudget), k.config.FetchTime)
	defer cancel()
	select {
	case k.fetches <- struct{}{}:
		defer func() { <-k.fetches }()
	case <-ctx.Done():
		return Policy{}, fmt.Errorf("%w from mta-sts.%s: too many others are being fetched", ErrFetch, domain)
	}
	text, err := k.get(ctx, "https://mta-sts."+domain+wellKnown)
	if err != nil {
		return Policy{}, fmt.Errorf("%w from mta-sts.%s: %w", ErrFetch, domain, err)
	}
	return ParsePolicy(text)
}

func (k *Keeper) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "facteur")
	response, err := k.web.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the web server answers %d", response.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return nil, errors.New("the web server does not answer with text/plain")
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, PolicySize+1))
	if err == nil && len(text) > PolicySize {
		err = fmt.Errorf("it has more than %d bytes", PolicySize)
	}
	return text, err
}

// web makes connections to web servers of strangers.
type web struct{ config Config }

// dial finds the addresses of a web server by our own resolver.
func (w web) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	a := w.config.Resolver.LookupAddr(ctx, host)
	if a.State() != lookup.Found {
		return nil, a.Err()
	}
	last := errNoAddress
	for _, addr := range a.Value() {
		var c net.Conn
		if c, last = w.connect(ctx, network, netip.AddrPortFrom(addr, w.config.WebPort)); last == nil {
			return c, nil
		}
	}
	return nil, last
}

var errNoAddress = errors.New("it has no address")

// errPrivate: whoever wrote the DNS record aims at a machine of ours.
var errPrivate = errors.New("its address is not a public one")

// connect connects to an address that may be connected to. What counts is the address
// of the connection itself, looked at by the system's own hook (OUT-012).
func (w web) connect(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if w.config.Dial != nil {
		if !w.config.permits(to.Addr()) {
			return nil, fmt.Errorf("%s: %w", to.Addr(), errPrivate)
		}
		return w.config.Dial(ctx, network, to, netip.Addr{})
	}
	dialer := net.Dialer{Timeout: 20 * time.Second, Control: w.control}
	return dialer.DialContext(ctx, network, to.String())
}

func (w web) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !w.config.permits(addr) {
		return fmt.Errorf("%s: %w", strconv.Quote(host), errPrivate)
	}
	return nil
}
