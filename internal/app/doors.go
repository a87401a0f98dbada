package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/build"
	"facteur/internal/base/conf"
	"facteur/internal/base/event"
	"facteur/internal/base/limit"
	"facteur/internal/flow/intake"
	"facteur/internal/mail/smtp"
	"facteur/internal/net/certs"
	"facteur/internal/server/authd"
	"facteur/internal/server/imapd"
	"facteur/internal/server/listen"
	"facteur/internal/server/policyd"
	"facteur/internal/server/pop3d"
	"facteur/internal/server/smtpd"
	"facteur/internal/store/reputation"
)

// doors are the listeners of the house, and what they share.
type doors struct {
	gate   *listen.Gate
	budget *limit.Budget
	crowd  *smtpd.Crowd
	files  int // that the process may open
	// maildrops are those that POP3 sessions have.
	maildrops *pop3d.Maildrops
	// searches is what all IMAP sessions share to look for letters.
	searches *imapd.Searches

	mu     sync.Mutex
	open   map[conf.Socket]*door
	serves func(error) // set once they serve
}

// door is one listener and what answers there.
type door struct {
	listener net.Listener
	server   *listen.Server
}

// answer is what a listener does with a connection.
type answer struct {
	options listen.Options
	handler listen.Handler
}

// openDoors binds every listener of the settings.
func (a *App) openDoors(c *config.Config) error {
	files, err := limit.RaiseFiles()
	if err != nil {
		a.warn("facteur/master", fmt.Sprintf("the limit of open files stays at %d: %v", files, err))
	}
	a.doors = &doors{files: files, crowd: smtpd.NewCrowd(), maildrops: pop3d.NewMaildrops(), searches: imapd.NewSearches(), open: make(map[conf.Socket]*door)}
	a.doors.budget = limit.NewBudget(a.ceilings(c), func(x limit.Change) { a.events.Emit(listen.Pressure{Change: x}) })
	a.doors.gate = listen.NewGate(a.doors.budget, a.gateRules(c))
	a.setLimits(c)
	answers, err := a.answers(c)
	if err != nil {
		return err
	}
	a.doors.open, err = a.bind(c, answers)
	return err
}

// setLimits takes over [limits].
func (a *App) setLimits(c *config.Config) {
	ceilings := a.ceilings(c)
	limit.LimitMemory(ceilings.Memory)
	a.doors.budget.Configure(ceilings)
	a.doors.gate.Configure(a.gateRules(c))
	if ceilings.Connections < c.Limits.Connections || ceilings.LoggedIn < c.Limits.LoggedIn {
		a.warn("facteur/master", fmt.Sprintf("the system lets us open %d files, which is enough for %d connections and %d of people who have logged in; "+
			"limits.connections and limits.logged_in are more; raise the limit (ulimit -n, LimitNOFILE)", a.doors.files, ceilings.Connections, ceilings.LoggedIn))
	}
}

func (a *App) note(program, text string) {
	a.events.Emit(event.Note{Program: program, Text: text})
}

func (a *App) warn(program, text string) {
	a.events.Emit(event.Note{Severity: slog.LevelWarn, Program: program, Text: text})
}

// ceilings are what the process may use.
func (a *App) ceilings(c *config.Config) limit.Ceilings {
	memory := int64(c.Limits.Memory)
	if memory == 0 {
		memory = limit.DefaultMemory()
	}
	people := c.Limits.LoggedIn
	if people == 0 {
		people = limit.LoggedInFor(memory)
	}
	strangers, people := limit.ConnectionsFor(c.Limits.Connections, people, a.doors.files)
	return limit.Ceilings{Connections: strangers, LoggedIn: people, Memory: memory}
}

// gateRules are what one client may do.
func (a *App) gateRules(c *config.Config) listen.Rules {
	exempt := prefixes(c.Limits.Exempt)
	return listen.Rules{
		PerClient: c.Limits.ConnectionsPerClient, PerAccount: c.Limits.ConnectionsPerAccount,
		Rate: c.Limits.ConnectionRate, RateTime: c.Limits.RateTimeUnit.Std(),
		Home: func(service string, client netip.Addr) bool {
			return people(config.Service(service)) && a.gate.Home(client)
		},
		Exempt: exempt, Favoured: append(prefixes(c.TrustedNetworks), exempt...),
	}
}

// people tells that a service is for people who log in.
func people(s config.Service) bool {
	switch s {
	case config.Submission, config.Submissions, config.IMAP, config.IMAPS, config.POP3, config.POP3S:
		return true
	}
	return false
}

// answers is what every listener of the settings is to do.
func (a *App) answers(c *config.Config) (map[conf.Socket]answer, error) {
	out := make(map[conf.Socket]answer)
	for _, l := range c.Listen {
		x, err := a.answer(c, l)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Address, err)
		}
		out[l.Address] = x
	}
	return out, nil
}

// bind opens the listeners that are not open yet; on an error it opens none.
func (a *App) bind(c *config.Config, answers map[conf.Socket]answer) (map[conf.Socket]*door, error) {
	fresh := make(map[conf.Socket]*door)
	for _, l := range c.Listen {
		if a.doors.open[l.Address] != nil || fresh[l.Address] != nil || !a.bindable(l) {
			continue
		}
		listener, err := open(l)
		if err != nil {
			for _, d := range fresh {
				d.listener.Close()
			}
			return nil, err
		}
		x := answers[l.Address]
		fresh[l.Address] = &door{listener: listener, server: listen.New(x.options, x.handler)}
	}
	return fresh, nil
}

// open binds one listener.
func open(l config.Listener) (listener net.Listener, err error) {
	if path := l.Address.Path; path != "" {
		listener, err = openSocket(l)
	} else {
		listener, err = listen.Open(context.Background(), l.Address.String())
	}
	if err != nil {
		return nil, fmt.Errorf("can't listen for %s on %s: %s", l.Service, l.Address, whyNot(err))
	}
	return listener, nil
}

// openSocket binds a Unix socket and gives it to whom the settings say. Until then only
// our own user can connect.
func openSocket(l config.Listener) (net.Listener, error) {
	uid, gid, err := l.Owners()
	if err != nil {
		return nil, err
	}
	listener, err := listen.OpenUnix(context.Background(), l.Address.Path, l.SocketMode())
	if err != nil || uid < 0 && gid < 0 {
		return listener, err
	}
	if err := os.Chown(l.Address.Path, uid, gid); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// whyNot is the reason without Go's words around it.
func whyNot(err error) string {
	privileged := errors.Is(err, fs.ErrPermission)
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
		privileged = privileged && op.Net == "tcp"
	}
	why := strings.TrimPrefix(err.Error(), "bind: ")
	if privileged {
		why += "; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
	}
	return why
}

// answer is what a listener is to do.
func (a *App) answer(c *config.Config, l config.Listener) (answer, error) {
	x := answer{options: listen.Options{
		Service: string(l.Service), Gate: a.doors.gate, Events: a.events,
		Proxied: l.ProxyProtocol, Proxies: prefixes(l.ProxyNetworks),
	}}
	tls := a.certs.For(string(l.Service), asking(c, l.Service, tlsPolicy(l)))
	if l.Service.ImplicitTLS() {
		x.options.TLS = tls
	}
	switch l.Service {
	case config.IMAP, config.IMAPS:
		x.options.Busy = func(why string) []byte { return []byte("* BYE [UNAVAILABLE] Not now: " + why + "\r\n") }
		x.handler = imapd.New(imapd.Config{
			Hostname: c.Hostname, Version: build.This().Version, TLS: tls,
			MaxMessage: int64(c.MessageSizeLimit), Gate: a.gate, Open: a.openSpace, Quotas: a.quotas(), URLs: a.urls(c), Events: a.events, FullText: c.Mailbox.FullText, Searches: a.doors.searches,
		}).Serve
		return x, nil
	}
	if l.Service == config.POP3 || l.Service == config.POP3S {
		x.options.Busy = func(why string) []byte { return []byte("-ERR [SYS/TEMP] Not now: " + why + "\r\n") }
		x.handler = pop3d.New(pop3d.Config{
			Hostname: c.Hostname, Version: build.This().Version, TLS: tls, Gate: a.gate, Open: a.open,
			Maildrops: a.doors.maildrops, Rules: func() *pop3d.Rules { return a.settings.Load().pop3 }, Events: a.events,
		}).Serve
		return x, nil
	}
	if l.Service.Counter() {
		return a.counter(l, x)
	}
	if l.Service == config.PolicyDoor {
		x.handler = policyd.New(policyd.Config{Gate: a.brake, Trusted: a.trusts, Events: a.events}).Serve
		return x, nil
	}
	x.options.Busy = func(why string) []byte {
		return smtp.NewReply(421, "4.7.0", c.Hostname+" Error: "+why).AppendTo(nil)
	}
	var err error
	x.handler, err = a.smtpd(c, l, tls)
	return x, err
}

// counter is what answers programs that ask about log-ins.
func (a *App) counter(l config.Listener, x answer) (answer, error) {
	uid, gid, err := l.Owners()
	if err != nil {
		return x, err
	}
	s := authd.New(authd.Config{Gate: a.gate, UID: uid, GID: gid, Events: a.events})
	if x.handler = s.Dovecot; l.Service == config.Saslauthd {
		x.handler = s.Saslauthd
	}
	return x, nil
}

// smtpd is what answers where SMTP or LMTP is spoken.
func (a *App) smtpd(c *config.Config, l config.Listener, tls *tls.Config) (listen.Handler, error) {
	device, err := device(l)
	if err != nil {
		return nil, err
	}
	service := map[config.Service]smtpd.Service{
		config.SMTP: smtpd.SMTP, config.Submission: smtpd.Submission, config.Submissions: smtpd.Submissions,
		config.LMTP: smtpd.LMTP, config.Local: smtpd.Local,
	}[l.Service]
	return smtpd.New(smtpd.Config{
		Hostname: c.Hostname, Service: service, TLS: tls, Gate: a.gate, AuthOnSMTP: l.Auth, Decoy: l.Decoy, Device: device,
		ReverseName: a.names.of, UserName: userName, Crowd: a.doors.crowd,
		Seen: func(client netip.Addr) bool {
			return a.reputation.Passed(client, reputation.PreGreet) || a.providers.Has(client)
		},
		Passed:   func(client netip.Addr) { a.reputation.Pass(client, reputation.PreGreet) },
		Remarked: a.remarked,
		URLs:     a.urls(c),
		Rules:    func() *smtpd.Rules { return a.settings.Load().sessions },
		Flush: func(ctx context.Context, domain string) (int, error) {
			a.dispatch.Lift(domain)
			return a.queue.Flush(ctx, domain)
		},
		Events: a.events,
	}, a.desk).Serve, nil
}

// tlsPolicy is how a listener speaks TLS.
func tlsPolicy(l config.Listener) certs.Policy {
	p := certs.Policy{MinVersion: l.TLSMinVersion.ID()}
	for _, c := range l.TLSCiphers {
		p.Ciphers = append(p.Ciphers, c.ID())
	}
	return p
}

// device is what a listener for devices allows; nil for any other.
func device(l config.Listener) (*intake.Device, error) {
	if !l.Device() {
		return nil, nil
	}
	return intake.NewDevice(prefixes(l.DeviceClients), l.DeviceSenders, l.DeviceRecipients, l.DevicePace())
}

// serve begins to accept everywhere. A listener that breaks is given to stop.
func (d *doors) serve(stop func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serves = stop
	for _, x := range d.open {
		d.start(x)
	}
}

func (d *doors) start(x *door) {
	go func() {
		if err := x.server.Serve(x.listener); err != nil {
			d.serves(err)
		}
	}()
}

// renew lets an open door do what the new settings say.
func (d *doors) renew(c *config.Config, answers map[conf.Socket]answer) {
	for _, l := range c.Listen {
		x := d.open[l.Address]
		if x == nil {
			continue
		}
		x.server.Configure(answers[l.Address].options, answers[l.Address].handler)
		if l.Address.Path != "" {
			os.Chmod(l.Address.Path, l.SocketMode()) //nolint:errcheck // the socket was ours a moment ago
		}
	}
}

// drain closes all doors and waits for who is inside, up to the grace.
func (d *doors) drain(grace time.Duration) {
	d.mu.Lock()
	open := d.open
	d.open = nil
	d.mu.Unlock()
	shut(open, grace)
}

func shut(open map[conf.Socket]*door, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var wg sync.WaitGroup
	for _, x := range open {
		wg.Go(func() {
			x.server.Drain(ctx) // closes the listener, and Serve knows why
			x.listener.Close()  // one that never served
		})
	}
	wg.Wait()
}
