package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"facteur/internal/base/conf"
)

// probeTime is for one connection to the world.
const probeTime = 15 * time.Second

// checkPort25 connects to a mail server of others, from each address that mail leaves
// from. Many providers of lines and of machines let nobody do that at first.
func checkPort25(ctx context.Context, w *World, r *report) {
	if !w.direct() {
		checkSmarthost(ctx, w, r)
		return
	}
	probe := w.Config.Doctor.Probe
	if probe.Host == "" {
		r.add(Note, "It is not tried whether port 25 leads out of this network.").do("# in facteur.toml:", "[doctor]", `probe = "gmail-smtp-in.l.google.com:25"`)
		return
	}
	addrs := w.Resolver.LookupAddr(ctx, probe.Host)
	sources := w.from(ctx, r)
	if len(addrs.Value()) == 0 {
		r.add(Unknown, "It could not be told whether port 25 leads out of this network: %s has no address now.", probe.Host)
		return
	}
	if len(sources) == 0 {
		sources = []source{{}}
	}
	tried := map[bool]bool{}
	for _, s := range sources {
		for _, to := range addrs.Value() {
			if s.public.IsValid() && to.Is4() != s.public.Is4() || !s.local.IsValid() && tried[to.Is4()] {
				continue
			}
			tried[to.Is4()] = true
			knockOut(ctx, w, s, netip.AddrPortFrom(to, orPort(probe.Port)).String(), r)
			break
		}
	}
	if len(r.list) == 0 {
		r.add(Unknown, "It could not be told whether port 25 leads out of this network: %s has no address of our families.", probe.Host)
	}
}

func orPort(p uint16) uint16 {
	if p == 0 {
		return 25
	}
	return p
}

// checkSmarthost connects to those that take our mail for elsewhere; one is enough.
func checkSmarthost(ctx context.Context, w *World, r *report) {
	var bad []error
	for _, h := range w.Config.Outbound.Smarthost {
		h = h.WithPort(25)
		name := net.JoinHostPort(h.Host, fmt.Sprint(h.Port))
		err := w.reach(ctx, h)
		if err == nil {
			r.add(OK, "The smarthost %s answers.", name)
			return
		}
		bad = append(bad, fmt.Errorf("%s: %w", name, err))
	}
	for _, err := range bad {
		r.add(Failure, "The smarthost was not reached: %v.", err).because("Mail for elsewhere waits.").do("# correct in facteur.toml, or ask whoever runs it:", "[outbound]", `smarthost = ["smtp.provider.example:587"]`)
	}
}

// reach connects to one of them and reads its greeting, which with TLS from the first byte
// (port 465) comes later.
func (w *World) reach(ctx context.Context, h conf.HostPort) (err error) {
	addrs := w.Resolver.LookupAddr(ctx, h.Host)
	if len(addrs.Value()) == 0 {
		return fmt.Errorf("it has no address: %w", addrs.Err())
	}
	for _, a := range addrs.Value() {
		to := netip.AddrPortFrom(a, h.Port).String()
		ctx, cancel := context.WithTimeout(ctx, probeTime/2)
		if h.Port != 465 {
			_, err = greeting(ctx, w, netip.Addr{}, to)
		} else if conn, failed := w.Dial(ctx, netip.Addr{}, to); failed == nil {
			conn.Close()
			err = nil
		} else {
			err = short(failed)
		}
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// knockOut makes one connection, reads the greeting and takes its leave.
func knockOut(ctx context.Context, w *World, s source, to string, r *report) {
	from := "this machine"
	if s.public.IsValid() {
		from = s.String()
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	line, err := greeting(ctx, w, s.local, to)
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		r.about(from, Failure, "Mail is to leave from %s, which this machine does not have.", from).do("ip address   # which there are", "# and correct bind_address in facteur.toml")
	case err != nil:
		r.about(from, w.blocked(s), "From %s, no mail server was reached: %s: %v.", from, to, err).
			because("Many providers close port 25 until they are asked: Google Cloud and Oracle for good, AWS, Azure, Hetzner, OVH, Vultr, DigitalOcean and Scaleway until a request or the first invoice, lines for homes nearly always.").
			do("# ask the provider to open port 25, or send through a smarthost, in facteur.toml:", "[outbound]", `smarthost = ["smtp.provider.example:587"]`)
	case !strings.HasPrefix(line, "220"):
		r.about(from, Warning, "From %s, %s answers: %q.", from, to, line).because("It does not want mail from this address; the others may not, either.")
	default:
		r.about(from, OK, "From %s, port 25 leads out: %s answers.", from, to)
	}
}

// blocked is how bad it is: where IPv4 works, IPv6 is not needed.
func (w *World) blocked(s source) Level {
	if s.public.Is6() {
		return Warning
	}
	return Failure
}

func greeting(ctx context.Context, w *World, from netip.Addr, to string) (string, error) {
	conn, err := w.Dial(ctx, from, to)
	if err != nil {
		return "", short(err)
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 4<<10)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("no greeting: %w", short(err))
	}
	fmt.Fprintf(conn, "QUIT\r\n")
	return strings.TrimSpace(line), nil
}

// short is an error of a connection without its addresses.
func short(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// checkPorts: what the server will listen on is free.
func checkPorts(ctx context.Context, w *World, r *report) {
	for _, l := range w.Config.Listen {
		if l.Address.Path != "" {
			continue
		}
		at := l.Address.WithPort(l.Service.Port()).HostPort
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(at.Host, fmt.Sprint(at.Port)))
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			r.about(fmt.Sprint(at.Port), Failure, "Port %d (%s) is taken by another program.", at.Port, l.Service).do(fmt.Sprintf("ss -ltnp sport = :%d   # which one", at.Port))
		case err != nil:
			r.about(fmt.Sprint(at.Port), Unknown, "It could not be told whether port %d (%s) is free: %v.", at.Port, l.Service, short(err)).because("Ports below 1024 are for root, or for who has CAP_NET_BIND_SERVICE.")
		default:
			listener.Close()
		}
	}
	if len(r.list) == 0 {
		r.add(OK, "The ports of mail are free.")
	}
}
