package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// LDAPConfig is a directory as the settings have it.
type LDAPConfig struct {
	// Server is "ldap://host/BASE" and how it is reached.
	Server list.Source
	// Accounts, Logins and Domains are filters with %u, %n and %d; "": AccountFilter,
	// that of Accounts, and none. List is the one for listings; "": Accounts, with "*".
	Accounts, Logins, Domains, List string
	// Attributes are "field=attribute", before those of DefaultAttributes.
	Attributes []string
	// Scheme is that of passwords that do not say theirs.
	Scheme string
	// Binds: passwords are tried at the server and not read.
	Binds bool
}

// AccountFilter finds an account of the usual schemas (RFC 2798; draft-lachman-laser-
// ldap-mail-routing) by its address.
const AccountFilter = "(|(mail=%u)(mailLocalAddress=%u))"

// defaultAttributes are those of inetOrgPerson, posixAccount and inetLocalMailRecipient.
func defaultAttributes() map[string]string {
	return map[string]string{
		"address": "mail", "password": "userPassword", "home": "homeDirectory", "uid": "uidNumber", "gid": "gidNumber", "name": "uid",
		"quota": "mailQuota", "forward": "mailRoutingAddress", "host": "mailHost", "maildir": "mailMessageStore",
	}
}

// LDAP is accounts in a directory.
type LDAP struct {
	tree                    *list.Tree
	accounts, logins, lists list.Filter
	domains                 *list.Filter
	attributes              map[string]string // field → attribute
	wanted                  []string
	scheme                  string
	binds                   bool
}

// OpenLDAP makes the Source; the server is not asked anything yet.
func OpenLDAP(c LDAPConfig, events event.Sink) (*LDAP, error) {
	s := &LDAP{scheme: c.Scheme, binds: c.Binds, attributes: defaultAttributes()}
	if c.Accounts == "" {
		c.Accounts = AccountFilter
	}
	if c.Logins == "" {
		c.Logins = c.Accounts
	}
	if c.List == "" {
		c.List = c.Accounts
	}
	for _, f := range []struct {
		key, text string
		to        *list.Filter
	}{{"account_query", c.Accounts, &s.accounts}, {"login_query", c.Logins, &s.logins}, {"list_query", c.List, &s.lists}} {
		var err error
		if *f.to, err = list.ParseFilter(f.text, letters); err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
	}
	if c.Domains != "" {
		f, err := list.ParseFilter(c.Domains, "d")
		if err != nil {
			return nil, fmt.Errorf("domain_query: %w", err)
		}
		s.domains = &f
	}
	if err := s.choose(c.Attributes); err != nil {
		return nil, err
	}
	var err error
	s.tree, err = list.OpenTree(c.Server, events)
	return s, err
}

// choose says which attributes are asked for.
func (s *LDAP) choose(pairs []string) error {
	known := append(slices.Collect(mapKeys(s.attributes)), "disabled", "active", "allow_nets")
	for _, pair := range pairs {
		field, attribute, found := strings.Cut(pair, "=")
		if !found || !slices.Contains(known, field) {
			slices.Sort(known)
			return fmt.Errorf("attributes: expected \"field=attribute\" with a field of %s, found %q", strings.Join(known, ", "), pair)
		}
		s.attributes[field] = attribute
	}
	if s.binds {
		delete(s.attributes, "password") // what is not needed is not asked for
	}
	for field, attribute := range s.attributes {
		if attribute == "" {
			delete(s.attributes, field)
			continue
		}
		s.wanted = append(s.wanted, attribute)
	}
	slices.Sort(s.wanted)
	s.wanted = slices.Compact(s.wanted)
	return nil
}

func mapKeys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Account implements directory.Source.
func (s *LDAP) Account(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.find(ctx, s.accounts, a)
}

// Login implements directory.Source.
func (s *LDAP) Login(ctx context.Context, a address.Address) lookup.Answer[directory.Record] {
	return s.find(ctx, s.logins, a) // the same entry, with the same attributes
}

var errTwice = errors.New("several accounts have this address")

func (s *LDAP) find(ctx context.Context, f list.Filter, a address.Address) lookup.Answer[directory.Record] {
	entries, err := s.tree.Search(ctx, f, parts(a), s.wanted)
	switch {
	case err != nil:
		return lookup.Later[directory.Record](err)
	case len(entries) == 0:
		return lookup.No[directory.Record](nil)
	case len(entries) > 1:
		return lookup.Later[directory.Record](fmt.Errorf("%w: %q and %q", errTwice, entries[0].Name, entries[1].Name))
	}
	r, err := s.record(entries[0], a)
	if err != nil {
		return lookup.Later[directory.Record](fmt.Errorf("%q: %w", entries[0].Name, err))
	}
	return lookup.Yes(r)
}

// record is an entry. Of several main addresses the first in the alphabet counts, as
// directories give values in any order, and the same one has to be found each time.
func (s *LDAP) record(e list.TreeEntry, asked address.Address) (directory.Record, error) {
	r, err := s.fields(e.Values).record()
	r.Identity = e.Name
	r.Password = withScheme(r.Password, s.scheme)
	if r.Address.IsNull() {
		r.Address = asked
	}
	return r, err
}

// fields are the attributes of an entry that were asked for.
func (s *LDAP) fields(valuesOf func(attribute string) []string) fields {
	f := fields{}
	for field, attribute := range s.attributes {
		if values := slices.Clone(valuesOf(attribute)); len(values) > 0 || field == "active" {
			slices.Sort(values)
			f[field] = values
		}
	}
	return f
}

// Domain implements directory.Source.
func (s *LDAP) Domain(ctx context.Context, name string) lookup.Answer[directory.Domain] {
	if s.domains == nil {
		return lookup.No[directory.Domain](nil)
	}
	entries, err := s.tree.Search(ctx, *s.domains, func(byte) string { return name }, []string{"1.1"})
	switch {
	case err != nil:
		return lookup.Later[directory.Domain](err)
	case len(entries) == 0:
		return lookup.No[directory.Domain](nil)
	}
	return lookup.Yes(directory.Domain{Name: name})
}

// List implements directory.Source. Entries that are no accounts are left out.
func (s *LDAP) List(ctx context.Context, each func(directory.Record) error) error {
	return s.tree.Each(ctx, s.lists, s.wanted, func(e list.TreeEntry) error {
		r, err := s.record(e, address.Address{})
		if err != nil || r.Address.IsNull() {
			return nil
		}
		return each(r)
	})
}

// Check is the Checker of "bind": the server is asked whether it lets the entry in. A
// stranger binds as nobody below the base.
func (s *LDAP) Check(ctx context.Context, r directory.Record, password string) lookup.Answer[struct{}] {
	name := r.Identity
	if name == "" {
		name = "cn=nobody," + s.tree.Base()
	}
	right, err := s.tree.Bind(ctx, name, password)
	switch {
	case err != nil:
		return lookup.Later[struct{}](err)
	case !right || r.Identity == "":
		return lookup.No[struct{}](nil)
	}
	return lookup.Yes(struct{}{})
}

// Close implements directory.Source.
func (s *LDAP) Close() error { return s.tree.Close() }

// withScheme writes the scheme of a password that does not say its own.
func withScheme(stored, scheme string) string {
	if stored == "" || scheme == "" || stored[0] == '{' || stored[0] == '$' {
		return stored
	}
	return "{" + scheme + "}" + stored
}
