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
	"facteur/internal/store/list"
	"facteur/internal/store/source"
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
	if p.Source, err = opened(c, d, events, &p); err != nil {
		return p, err
	}
	if p.Check == nil {
		p.Check, err = checker(d.Password)
	}
	return p, err
}

// server is where a directory is, and how it is reached.
func server(c *config.Config, d config.Directory) list.Source {
	return list.Source{Name: d.Name, From: c.Absolute(d.Source), BindDN: d.BindDN, PasswordFile: c.Beside(d.PasswordFile),
		TLS: string(d.TLS), CAFile: c.Beside(d.CAFile)}
}

func ldap(c *config.Config, d config.Directory, events event.Sink, p *directory.Place) (directory.Source, error) {
	s, err := source.OpenLDAP(source.LDAPConfig{Server: server(c, d), Accounts: d.AccountQuery, Logins: d.LoginQuery,
		Domains: d.DomainQuery, List: d.ListQuery, Attributes: d.Attributes, Scheme: d.PasswordScheme, Binds: d.Password != ""}, events)
	if err != nil {
		return nil, err
	}
	p.Kind = "LDAP"
	if d.Password == "bind" {
		p.Check = s.Check
	}
	return s, nil
}

// opened opens the source of a directory. One that checks passwords itself says so in p.
func opened(c *config.Config, d config.Directory, events event.Sink, p *directory.Place) (directory.Source, error) {
	switch d.Kind {
	case config.DirectoryLDAP:
		return ldap(c, d, events, p)
	case config.DirectorySQL:
		p.Kind = "SQL"
		return source.OpenSQL(source.SQLConfig{Server: server(c, d), Accounts: d.AccountQuery, Logins: d.LoginQuery,
			Domains: d.DomainQuery, List: d.ListQuery, Scheme: d.PasswordScheme}, events)
	case config.DirectoryPasswdFile:
		return passwdFile(c, d, events, p)
	case config.DirectoryUnix:
		return unix(c, d, events, p)
	case config.DirectoryDovecot:
		return openDovecot(d, p)
	case config.DirectoryMaps:
		return openTables(c, d, events, p)
	}
	return nil, fmt.Errorf("%q is no kind of directory", d.Kind)
}
