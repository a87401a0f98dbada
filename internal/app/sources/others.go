package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"facteur/internal/app/config"
	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/passwd"
	"facteur/internal/net/authclient"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
	"facteur/internal/store/userfile"
)

func passwdFile(c *config.Config, d config.Directory, events event.Sink, p *directory.Place) (directory.Source, error) {
	p.Kind = "the file " + d.Source
	return userfile.NewPasswdFile(userfile.PasswdFile{
		Path: directory.Template(c.Beside(d.Source)), Scheme: d.PasswordScheme, Events: events,
		LocalNames:    strings.HasSuffix(d.UsernameFormat, "n"),
		DefaultDomain: d.DefaultDomain, Domains: d.CanonicalDomains(),
	})
}

// unix makes the users of this machine accounts of each domain of class "local", and of
// the house's own where there is none (row 76). They log in with their names alone.
func unix(c *config.Config, d config.Directory, events event.Sink, p *directory.Place) (directory.Source, error) {
	p.Kind, p.UnixUsers = "the users of this machine", true
	if len(p.Domains) == 0 {
		p.Domains = localDomains(c)
	}
	if p.DefaultDomain == "" && len(p.Domains) > 0 {
		p.DefaultDomain = p.Domains[0]
	}
	if p.Maildir == "" {
		p.Maildir = "~/Maildir"
	}
	users := d.Source
	if users == "" {
		users = "/etc/passwd"
	}
	u := userfile.Unix{Passwd: c.Beside(users), Checked: d.Password != "", MinUID: p.MinUID, Domains: p.Domains, Events: events}
	u.Shadow = filepath.Join(filepath.Dir(u.Passwd), "shadow")
	return userfile.NewUnix(u)
}

func localDomains(c *config.Config) (names []string) {
	for _, d := range c.Domains {
		name, err := address.CanonicalDomain(d.Name)
		if err == nil && directory.Class(d.Class) == directory.ClassLocal {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{c.Home()}
	}
	return names
}

// dovecot is a running Dovecot, which is asked for users and, unless somebody else is,
// about passwords.
type dovecot struct{ users *authclient.Users }

func openDovecot(d config.Directory, p *directory.Place) (directory.Source, error) {
	p.Kind = "Dovecot"
	if !strings.HasPrefix(d.Source, "/") {
		return nil, fmt.Errorf("expected the path of an auth-userdb socket as source, found %q", d.Source)
	}
	if d.Password == "" {
		var err error
		if p.Check, err = checker("dovecot:" + filepath.Join(filepath.Dir(d.Source), "auth-client")); err != nil {
			return nil, err
		}
	}
	return dovecot{authclient.NewUsers(d.Source)}, nil
}

// Account implements directory.Source.
func (s dovecot) Account(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	u := s.users.User(ctx, a.String())
	switch u.State() {
	case lookup.NotFound:
		return lookup.No[directory.Record](u.Err())
	case lookup.TryAgain:
		return lookup.Later[directory.Record](u.Err())
	}
	r, err := recordOf(u.Value())
	if err != nil {
		return lookup.Later[directory.Record](err)
	}
	return lookup.Yes(r)
}

// recordOf is what a Dovecot says of a user. One with a name that is an address has it
// for its own.
func recordOf(u authclient.User) (r directory.Record, err error) {
	r = directory.Record{Identity: u.Name, Home: u.Fields["home"]}
	if strings.Contains(u.Name, "@") {
		if r.Address, err = address.Parse(u.Name); err != nil {
			return r, err
		}
	}
	if mail := u.Fields["mail"]; mail != "" {
		path, ok := strings.CutPrefix(mail, "maildir:")
		if !ok {
			return r, fmt.Errorf("Dovecot keeps the mail of %s as %.60q, and we only know maildir", u.Name, mail)
		}
		r.Maildir, _, _ = strings.Cut(path, ":")
	}
	if rule := u.Fields["quota_rule"]; rule != "" {
		if r.Own.Bytes, r.Own.Messages, err = passwd.Quota(rule); err != nil {
			return r, err
		}
	}
	if users, _ := passwd.Read(fmt.Sprintf("x:x:%s:%s:::", u.Fields["uid"], u.Fields["gid"])); len(users) == 1 && users[0].UID >= 0 && users[0].GID >= 0 {
		r.Unix = &directory.Unix{Name: u.Name, UID: uint32(users[0].UID), GID: uint32(users[0].GID), Home: r.Home}
	}
	return r, nil
}

// Login implements directory.Source.
func (s dovecot) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.Account(ctx, a)
}

// Domain implements directory.Source.
func (dovecot) Domain(context.Context, string) lookup.Answer[directory.Domain] {
	return lookup.No[directory.Domain](nil)
}

// List implements directory.Source.
func (s dovecot) List(ctx context.Context, each func(directory.Record) error) error {
	return s.users.List(ctx, func(name string) error {
		a, err := address.Parse(name)
		if err != nil || a.Domain == "" {
			return nil // it receives no mail by that name
		}
		return each(directory.Record{Address: a, Identity: name})
	})
}

// Close implements directory.Source.
func (dovecot) Close() error { return nil }

// tables is virtual_mailbox_maps: whoever is in them has a mailbox.
type tables struct {
	set  *list.Set
	maps list.Maps
	base string // virtual_mailbox_base; "": the values say nothing of paths
	// whole warns of an "@domain" in the tables, each domain once.
	whole *sync.Map
	warn  event.Sink
}

func openTables(c *config.Config, d config.Directory, events event.Sink, p *directory.Place) (directory.Source, error) {
	p.Kind = "tables"
	sources, err := c.TablesIn(d.Source)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(sources))
	for i, s := range sources {
		if err := s.Check(); err != nil {
			return nil, err
		}
		names[i] = s.Name
	}
	set, err := list.Open(sources, events)
	if err != nil {
		return nil, err
	}
	return tables{set, set.Maps(names), d.MailboxBase, new(sync.Map), events}, nil
}

var errNoMailbox = errors.New("no table has it")

// Account implements directory.Source.
func (t tables) Account(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	found := t.maps.Find(ctx, a.Key())
	switch found.State() {
	case lookup.NotFound:
		t.warnWhole(ctx, a)
		return lookup.No[directory.Record](errNoMailbox)
	case lookup.TryAgain:
		return lookup.Later[directory.Record](found.Err())
	}
	r := directory.Record{Identity: a.String()}
	if t.base != "" {
		path, isMaildir := strings.CutSuffix(found.Value(), "/")
		if !isMaildir {
			return lookup.Later[directory.Record](fmt.Errorf("the table says %.100q, which is no Maildir: one ends with a slash", found.Value()))
		}
		r.Maildir = strings.TrimSuffix(t.base, "/") + "/" + strings.TrimPrefix(path, "/")
	}
	return lookup.Yes(r)
}

// warnWhole tells the admin of an entry for all users of a domain: they would be one
// account without a name, so such an entry is nobody's here.
func (t tables) warnWhole(ctx context.Context, a address.Address) {
	whole := "@" + a.Domain
	if t.maps.FindPart(ctx, whole).State() != lookup.Found {
		return
	}
	if _, told := t.whole.LoadOrStore(whole, true); !told {
		t.warn.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/directory", Text: fmt.Sprintf(
			"the entry %s of virtual_mailbox_maps is not used, and %s is nobody by it; make an account and name it as catch_all of the [[domain]] %s", whole, a, a.Domain)})
	}
}

// Login implements directory.Source.
func (t tables) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return t.Account(ctx, a)
}

// Domain implements directory.Source.
func (tables) Domain(context.Context, string) lookup.Answer[directory.Domain] {
	return lookup.No[directory.Domain](nil)
}

// List implements directory.Source.
func (tables) List(context.Context, func(directory.Record) error) error {
	return directory.ErrNoList
}

// Close implements directory.Source.
func (t tables) Close() error {
	t.set.Close()
	return nil
}

// checker is who is asked about passwords; nil: they are compared.
func checker(name string) (directory.Checker, error) {
	if name == "" {
		return nil, nil
	}
	c, err := authclient.New(name)
	if err != nil {
		return nil, fmt.Errorf(`password: expected "", "bind", or %w`, err)
	}
	return func(ctx context.Context, r directory.Record, secret string) lookup.Answer[struct{}] {
		login := r.Address.String()
		if r.Identity != "" && strings.HasPrefix(name, "dovecot:") {
			login = r.Identity
		}
		a := c.Check(ctx, login, secret, service)
		switch a.State() {
		case lookup.Found:
			return lookup.Yes(struct{}{})
		case lookup.NotFound:
			return lookup.No[struct{}](a.Err())
		}
		return lookup.Later[struct{}](a.Err())
	}, nil
}

// service is for what passwords are checked, wherever they were sent: it names the PAM
// file (/etc/pam.d/smtp), as Postfix does (row 71).
const service = "smtp"
