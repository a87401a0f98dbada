// Package sources opens the directories of the settings: places outside of our own
// tables where accounts are kept.
//
// Opening asks no server anything, so that one that is down does not keep ours from
// starting; a file that can't be read does. Nothing is kept on disk.
package sources

import (
	"fmt"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/store/directory"
)

// Open opens all [[directory]] tables in their order. On an error nothing is open.
func Open(c *config.Config, events event.Sink) (places []directory.Place, err error) {
	for _, d := range c.Directories {
		place, err := open(c, d, events)
		if err != nil {
			Close(places)
			return nil, fmt.Errorf("directory %q: %w", d.Name, err)
		}
		places = append(places, place)
	}
	return places, nil
}

// Close closes what Open opened.
func Close(places []directory.Place) {
	for _, p := range places {
		p.Source.Close() //nolint:errcheck // nothing was written
	}
}

func open(c *config.Config, d config.Directory, events event.Sink) (directory.Place, error) {
	p := directory.Place{
		Name: d.Name, Kind: string(d.Kind), Domains: d.CanonicalDomains(), DefaultDomain: d.DefaultDomain,
		Home: directory.Template(d.Home), Maildir: directory.Template(d.Maildir), UnixUsers: d.UnixUsers, MinUID: d.LeastUID(),
	}
	var err error
	if p.Source, err = source(c, d, events, &p); err != nil {
		return p, err
	}
	if p.Check == nil {
		p.Check, err = checker(d.Password)
	}
	return p, err
}

// source opens the source of a directory. One that checks passwords itself says so in p.
func source(c *config.Config, d config.Directory, events event.Sink, p *directory.Place) (directory.Source, error) {
	switch d.Kind {
	}
	return nil, fmt.Errorf("%q is not built yet", d.Kind)
}

// checker is who is asked about passwords; nil: they are compared.
func checker(password string) (directory.Checker, error) {
	if password == "" {
		return nil, nil
	}
	return nil, fmt.Errorf("expected \"\", \"bind\" or the socket of another service, found %q", password)
}
