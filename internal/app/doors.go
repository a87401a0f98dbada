package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	"facteur/internal/app/config"
	"facteur/internal/base/build"
	"facteur/internal/base/limit"
	"facteur/internal/mail/smtp"
	"facteur/internal/server/imapd"
	"facteur/internal/server/listen"
	"facteur/internal/server/smtpd"
)

// doors are the listeners of the house.
type doors struct {
	mu     sync.Mutex
	open   map[config.Listener]*door
	serves func(error) // set once they serve
}

// door is one listener and what answers there.
type door struct {
	listener net.Listener
	server   *listen.Server
}

// openDoors binds every listener of the settings.
func (a *App) openDoors(c *config.Config) error {
	a.doors = &doors{open: make(map[config.Listener]*door)}
	budget := limit.NewBudget(limit.Ceilings{Connections: c.Limits.Connections, Memory: limit.DefaultMemory()},
		func(x limit.Change) { a.events.Emit(listen.Pressure{Change: x}) })
	a.gate = listen.NewGate(budget, listen.Rules{PerClient: c.Limits.ConnectionsPerClient, Exempt: prefixes(c.Limits.Exempt)})
	fresh, err := a.bind(c, nil)
	if err != nil {
		return err
	}
	a.doors.open = fresh
	return nil
}

// bind opens the listeners that are not open yet; on an error it opens none.
func (a *App) bind(c *config.Config, open map[config.Listener]*door) (map[config.Listener]*door, error) {
	fresh := make(map[config.Listener]*door)
	for _, l := range c.Listen {
		if open[l] != nil || fresh[l] != nil {
			continue
		}
		d, err := a.openDoor(c, l)
		if err != nil {
			for _, d := range fresh {
				d.listener.Close()
			}
			return nil, err
		}
		fresh[l] = d
	}
	return fresh, nil
}

func (a *App) openDoor(c *config.Config, l config.Listener) (*door, error) {
	address := l.Address.WithPort(l.Service.Port()).String()
	listener, err := listen.Open(context.Background(), address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		why := strings.TrimPrefix(err.Error(), "bind: ")
		if errors.Is(err, fs.ErrPermission) {
			why += "; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
		}
		return nil, fmt.Errorf("can't listen for %s on %s: %s", l.Service, address, why)
	}
	options := listen.Options{Service: string(l.Service), Gate: a.gate, Events: a.events}
	handler := a.handler(c, l.Service, &options)
	return &door{listener: listener, server: listen.New(options, handler)}, nil
}

// handler is what answers at a service, and completes the options for it.
func (a *App) handler(c *config.Config, s config.Service, o *listen.Options) listen.Handler {
	if s.ImplicitTLS() {
		o.TLS = a.tls(s)
	}
	switch s {
	case config.IMAP, config.IMAPS:
		o.Busy = func(why string) []byte { return []byte("* BYE [UNAVAILABLE] Not now: " + why + "\r\n") }
		return imapd.New(imapd.Config{
			Hostname: c.Hostname, Version: build.This().Version, TLS: a.tls(s),
			MaxMessage: int64(c.MessageSizeLimit), Login: a.login, Events: a.events,
		}).Serve
	}
	o.Busy = func(why string) []byte {
		return smtp.NewReply(421, "4.7.0", c.Hostname+" Error: "+why).AppendTo(nil)
	}
	service := map[config.Service]smtpd.Service{
		config.SMTP: smtpd.SMTP, config.Submission: smtpd.Submission, config.Submissions: smtpd.Submissions,
	}[s]
	return smtpd.New(smtpd.Config{
		Hostname: c.Hostname, Service: service, TLS: a.tls(s), ReverseName: a.names.of, Events: a.events,
	}, a.desk).Serve
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

// drain closes all doors and waits for who is inside, up to the grace.
func (d *doors) drain(grace time.Duration) {
	d.mu.Lock()
	open := d.open
	d.open = nil
	d.mu.Unlock()
	shut(open, grace)
}

func shut(open map[config.Listener]*door, grace time.Duration) {
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
