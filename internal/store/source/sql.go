package source

import (
	"context"
	"fmt"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// SQLConfig is a database as the settings have it.
type SQLConfig struct {
	// Server is "sqlite:/path" or "postgres://user@host/database", and how it is reached.
	Server list.Source
	// Accounts, Logins, Domains and List are SELECTs with %u, %n and %d. Logins "": that
	// of Accounts; Domains "": none; List "": accounts can't be listed.
	Accounts, Logins, Domains, List string
	// Scheme is that of passwords that do not say theirs.
	Scheme string
}

// SQL is accounts in a database.
type SQL struct {
	database         *list.Database
	accounts, logins list.Statement
	two              bool // logins is another query than accounts
	domains, lists   *list.Statement
	scheme           string
}

// OpenSQL makes the Source; a server is not asked anything yet.
func OpenSQL(c SQLConfig, events event.Sink) (*SQL, error) {
	database, err := list.OpenDatabase(c.Server, events)
	if err != nil {
		return nil, err
	}
	s := &SQL{database: database, scheme: c.Scheme}
	if err := s.read(c); err != nil {
		database.Close() //nolint:errcheck // nothing was asked
		return nil, err
	}
	return s, nil
}

func (s *SQL) read(c SQLConfig) (err error) {
	if s.two = c.Logins != ""; !s.two {
		c.Logins = c.Accounts
	}
	if s.accounts, err = s.asking("account_query", c.Accounts, letters); err != nil {
		return err
	}
	if s.logins, err = s.asking("login_query", c.Logins, letters); err != nil {
		return err
	}
	if c.Domains != "" {
		q, err := s.asking("domain_query", c.Domains, "d")
		if err != nil {
			return err
		}
		s.domains = &q
	}
	if c.List != "" {
		q, err := s.database.Parse(c.List, letters)
		if err == nil && q.Asks() {
			err = fmt.Errorf("expected a query for all accounts, without %%u, %%n and %%d")
		}
		if err != nil {
			return fmt.Errorf("list_query: %w", err)
		}
		s.lists = &q
	}
	return nil
}

// asking reads a statement that has to ask for somebody.
func (s *SQL) asking(key, text, letters string) (list.Statement, error) {
	q, err := s.database.Parse(text, letters)
	if err == nil && !q.Asks() {
		err = fmt.Errorf("it does not ask for anybody; expected a place for the address, such as %%%c", letters[0])
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return q, err
}

// Account implements directory.Source.
func (s *SQL) Account(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.find(ctx, s.accounts, a)
}

// Login implements directory.Source.
func (s *SQL) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return login(a, s.two, func(q bool, a address.Address) lookup.Answer[directory.Record] {
		if q {
			return s.find(ctx, s.logins, a)
		}
		return s.find(ctx, s.accounts, a)
	})
}

func (s *SQL) find(ctx context.Context, q list.Statement, a address.Address) lookup.Answer[directory.Record] {
	rows, err := s.database.Select(ctx, q, parts(a))
	switch {
	case err != nil:
		return lookup.Later[directory.Record](err)
	case len(rows) == 0:
		return lookup.No[directory.Record](nil)
	case len(rows) > 1:
		return lookup.Later[directory.Record](errTwice)
	}
	r, err := s.record(rows[0])
	if err != nil {
		return lookup.Later[directory.Record](err)
	}
	if r.Address.IsNull() {
		r.Address = a
	}
	return lookup.Yes(r)
}

func (s *SQL) record(row list.Row) (directory.Record, error) {
	f := fields{}
	for column, value := range row {
		column = strings.TrimPrefix(column, "userdb_")
		switch path, isMaildir := strings.CutPrefix(value, "maildir:"); {
		case column == "mail" && isMaildir: // a mail_location
			column, value = "maildir", path
		case column == "user", column == "username", column == "email", column == "mail":
			column = "address"
		case column == "quota_rule":
			column = "quota"
		}
		if value != "" || column == "active" {
			f[column] = []string{value}
		}
	}
	if !strings.Contains(f.one("address"), "@") {
		delete(f, "address") // a name alone, as Dovecot's queries give it
	}
	r, err := f.record()
	r.Password = withScheme(r.Password, s.scheme)
	return r, err
}

// Domain implements directory.Source.
func (s *SQL) Domain(ctx context.Context, name string) lookup.Answer[directory.Domain] {
	if s.domains == nil {
		return lookup.No[directory.Domain](nil)
	}
	rows, err := s.database.Select(ctx, *s.domains, func(byte) string { return name })
	switch {
	case err != nil:
		return lookup.Later[directory.Domain](err)
	case len(rows) == 0:
		return lookup.No[directory.Domain](nil)
	}
	return lookup.Yes(directory.Domain{Name: name})
}

// List implements directory.Source. Rows that are no accounts are left out.
func (s *SQL) List(ctx context.Context, each func(directory.Record) error) error {
	if s.lists == nil {
		return directory.ErrNoList
	}
	return s.database.Each(ctx, *s.lists, func(row list.Row) error {
		r, err := s.record(row)
		if err != nil || r.Address.IsNull() {
			return nil
		}
		return each(r)
	})
}

// Close implements directory.Source.
func (s *SQL) Close() error { return s.database.Close() }
