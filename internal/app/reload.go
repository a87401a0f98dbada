package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"facteur/internal/app/config"
	"facteur/internal/app/sources"
	"facteur/internal/base/conf"
	"facteur/internal/base/event"
)

// Reload takes over new settings, all of them or none. What can't change while the
// house stands (its name, its data directory, whom it asks for names) is an error.
// Listeners that are new are opened, those that are gone are drained; the others
// go on without a break, and do what the new settings say with the next connection.
func (a *App) Reload(c *config.Config) error {
	if err := fixed(a.settings.Load().config, c); err != nil {
		return err
	}
	a.doors.mu.Lock()
	defer a.doors.mu.Unlock()
	if a.doors.open == nil {
		return errors.New("the server is stopping; its settings stay as they are")
	}
	next, err := translate(c)
	if err != nil {
		return err
	}
	logins, err := loginRules(c)
	if err != nil {
		return err
	}
	answers, err := a.answers(c)
	if err != nil {
		return err
	}
	asked, err := c.AskedLists()
	if err != nil {
		return err
	}
	places, err := sources.Open(c, a.events)
	if err != nil {
		return err
	}
	fresh, err := a.bind(c, answers)
	if err != nil {
		sources.Close(places)
		return err
	}
	if err = a.govern(next); err == nil {
		if err = a.certs.Reload(certificates(c)); err != nil {
			next.dismiss()
		}
	}
	if err != nil {
		sources.Close(places)
		for _, d := range fresh {
			d.listener.Close()
		}
		return err
	}
	a.directory.Configure(c.DeclaredDomains(), c.Allowances())
	sources.Close(a.directory.Attach(places))
	old := a.settings.Swap(next)
	a.keys.Forget() // somebody may have put a key there
	old.dismiss()
	if !next.sendsAs(old) {
		a.dispatch.Lift("") // what did not work may work now
	}
	a.journey.Configure(journeyLimits(c))
	a.policies.Declare(filterPolicies(c))
	a.setLimits(c)
	a.lists.Configure(listRules(c, asked, a.isOurs))
	a.setNamespaces(c)
	a.setLogin(c, logins)
	a.doors.renew(c, answers)
	a.replace(c, fresh)
	a.events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/master", Text: "reload -- settings of " + c.Path() + " are in use"})
	a.tellCertificates(c)
	a.tellWarnings(c)
	a.warnWithoutReaders(context.Background())
	return nil
}

// fixed refuses changes that need a restart.
func fixed(old, c *config.Config) error {
	for _, f := range []struct {
		key      string
		old, new string
	}{
		{"hostname", old.Hostname, c.Hostname},
		{"data_dir", old.DataDir, c.DataDir},
		{"dns", fmt.Sprint(old.DNS), fmt.Sprint(c.DNS)},
		{"outbound.tls_ca_file", old.Outbound.TLSCAFile, c.Outbound.TLSCAFile},
		{"auth.failure_time_unit", old.Auth.FailureTimeUnit.Std().String(), c.Auth.FailureTimeUnit.Std().String()},
	} {
		if f.old != f.new {
			return fmt.Errorf("%s: %s can't change while the server runs; restart it for that", c.Path(), f.key)
		}
	}
	return sameServices(old, c)
}

// sameServices refuses another service on an address: the old listener can't give
// it up before the new settings are known to be good.
func sameServices(old, c *config.Config) error {
	serves := make(map[conf.Socket]config.Service)
	for _, l := range old.Listen {
		serves[l.Address] = l.Service
	}
	for _, l := range c.Listen {
		if now := serves[l.Address]; now != "" && now != l.Service {
			return fmt.Errorf("%s: listen: %s can't change from %s to %s while the server runs; restart it for that",
				c.Path(), l.Address, now, l.Service)
		}
	}
	return nil
}

// replace opens the fresh doors and drains those that the settings no longer have.
func (a *App) replace(c *config.Config, fresh map[conf.Socket]*door) {
	for l, d := range fresh {
		a.doors.open[l] = d
		a.doors.start(d)
	}
	named := make(map[conf.Socket]bool)
	for _, l := range c.Listen {
		named[l.Address] = true
	}
	gone := make(map[conf.Socket]*door)
	for l, d := range a.doors.open {
		if !named[l] {
			gone[l] = d
			delete(a.doors.open, l)
		}
	}
	go shut(gone, grace)
}
