package list

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"facteur/internal/base/event"
)

// Filter is a search filter (RFC 4515) with places for parts of a key: %u, %n and the
// like. Whatever the key is, the filter is the same but for the values in these places
// (MAP-001).
type Filter struct {
	template filterTemplate
	parts    []byte
}

// ParseFilter reads a filter. letters are the parts that there are, "und".
func ParseFilter(text, letters string) (f Filter, err error) {
	var b strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			break
		}
		part, err := partOf(after, letters)
		switch {
		case err != nil:
			return f, err
		case part == '%':
			b.WriteByte('%')
		default:
			f.parts = append(f.parts, part)
			b.WriteString(placeholder)
		}
		rest = after[1:]
	}
	if strings.Contains(text, placeholder) {
		return f, fmt.Errorf("expected %%%c where the key belongs, found %s", letters[0], placeholder)
	}
	f.template, err = parseFilter(cutKeys(b.String()))
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), placeholder, "%"+letters[:1]))
	}
	return f, err
}

// fill makes the filter for the parts of a key.
func (f Filter) fill(part func(letter byte) string) string {
	var b strings.Builder
	for i, text := range f.template.parts {
		b.WriteString(text)
		if i == len(f.parts) {
			break
		}
		value := part(f.parts[i])
		if f.template.inDN[i] {
			value = ldap.EscapeDN(value)
		}
		b.WriteString(ldap.EscapeFilter(value))
	}
	return b.String()
}

// anything is the filter with "*" in all places: whatever has these attributes.
func (f Filter) anything() string { return strings.Join(f.template.parts, "*") }

// TreeEntry is one entry of a Tree.
type TreeEntry struct {
	Name  string // distinguished
	entry *ldap.Entry
}

// Values are those of an attribute.
func (e TreeEntry) Values(attribute string) []string {
	return e.entry.GetEqualFoldAttributeValues(attribute)
}

// Tree is what is below one name in a directory (RFC 4511). What the package says of
// lists on servers is true of it, but nothing is cached.
type Tree struct {
	base   string
	remote *remote
	// binder has the connections over which passwords are tried: nothing else is asked
	// over them, as each belongs to the one who bound last.
	binder *remote
}

// OpenTree opens "ldap://host/BASE", ldaps:// or ldapi://. The server is not asked
// anything yet.
func OpenTree(s Source, events event.Sink) (*Tree, error) {
	scheme, rest, _ := strings.Cut(s.From, ":")
	rest, found := strings.CutPrefix(rest, "//")
	host, base, slash := strings.Cut(rest, "/")
	if !found || !slash || !s.IsLDAP() {
		return nil, errors.New(`expected "ldap://host/BASE", also with ldaps: or ldapi:`)
	}
	if strings.Contains(base, "?") {
		return nil, errors.New("expected nothing after the base; attributes and filters are settings of their own")
	}
	hosts, err := searchHosts(scheme, host)
	if err != nil {
		return nil, err
	}
	t := &Tree{}
	if t.base, err = url.PathUnescape(base); err == nil {
		_, err = ldap.ParseDN(t.base)
	}
	if err != nil {
		return nil, fmt.Errorf("the base can't be read: %w; expected a name such as \"ou=people,dc=example,dc=org\" (RFC 4514)", err)
	}
	asker := &directory{search: search{scheme: scheme, hosts: hosts}, bindDN: s.BindDN, startTLS: scheme == "ldap" && wantsTLS(s.TLS, hosts)}
	if asker.trust, err = trust(s.CAFile); err != nil {
		return nil, err
	}
	if asker.password, err = secret(s.PasswordFile); err != nil {
		return nil, err
	}
	binder := *asker
	binder.bindDN, binder.password = "", ""
	t.remote, t.binder = newRemote(s, hosts, asker, events).ofAccounts(), newRemote(s, hosts, &binder, events).ofAccounts()
	return t, nil
}

// Search gives the entries that a filter finds for the parts of a key, at most 100.
func (t *Tree) Search(ctx context.Context, f Filter, part func(letter byte) string, attributes []string) (entries []TreeEntry, err error) {
	for _, letter := range f.parts {
		if p := part(letter); len(p) > maxKey || strings.ContainsRune(p, 0) {
			return nil, nil // no server keeps such a key
		}
	}
	filter := f.fill(part)
	err = t.remote.do(ctx, patience, func(ctx context.Context, session session) (err error) {
		entries, err = session.(*dialogue).entries(ctx, t.request(filter, attributes))
		return err
	})
	return entries, err
}

func (t *Tree) request(filter string, attributes []string) *ldap.SearchRequest {
	return &ldap.SearchRequest{
		BaseDN: t.base, Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases,
		SizeLimit: maxEntries, EnforceSizeLimit: true, TimeLimit: int(patience.Seconds()),
		Filter: filter, Attributes: attributes,
	}
}

func (s *dialogue) entries(ctx context.Context, r *ldap.SearchRequest) (out []TreeEntry, err error) {
	rest := s.wire.during(ctx)
	defer rest()
	result, err := s.conn.Search(r)
	if err != nil {
		return nil, s.judge(ctx, err)
	}
	for _, e := range result.Entries {
		out = append(out, TreeEntry{e.DN, e})
	}
	return out, nil
}

// pageSize is how many entries of a listing are asked for at a time, and pageBytes how
// much the server may send for them.
const (
	pageSize  = 200
	pageBytes = 16 << 20
)

// Each gives all entries that a filter finds with "*" for the key, in portions
// (RFC 2696).
func (t *Tree) Each(ctx context.Context, f Filter, attributes []string, each func(TreeEntry) error) error {
	r := t.request(f.anything(), attributes)
	r.SizeLimit, r.EnforceSizeLimit, r.TimeLimit = 0, false, int(listingTime.Seconds())
	begun := false
	return t.remote.do(ctx, listingTime, func(ctx context.Context, session session) error {
		if begun {
			return errors.New("the listing was cut off")
		}
		page := ldap.NewControlPaging(pageSize)
		r.Controls = []ldap.Control{page}
		for {
			result, err := session.(*dialogue).page(ctx, r)
			if err != nil {
				return err
			}
			begun = true
			for _, e := range result.Entries {
				if err := each(TreeEntry{e.DN, e}); err != nil {
					return complaint{err}
				}
			}
			next, ok := ldap.FindControl(result.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
			if !ok || len(next.Cookie) == 0 {
				return nil
			}
			page.SetCookie(next.Cookie)
		}
	})
}

func (s *dialogue) page(ctx context.Context, r *ldap.SearchRequest) (*ldap.SearchResult, error) {
	rest := s.wire.during(ctx)
	defer rest()
	s.wire.left.Store(pageBytes)
	result, err := s.conn.Search(r)
	if err != nil {
		return nil, s.judge(ctx, err)
	}
	return result, nil
}

// errEmpty: a bind without a password is no log-in, and most servers say yes to it (RFC
// 4513 §5.1.2).
var errEmpty = errors.New("an empty password is never tried")

// Bind tells whether a password is that of an entry.
func (t *Tree) Bind(ctx context.Context, name, password string) (right bool, err error) {
	if name == "" || password == "" {
		return false, errEmpty
	}
	err = t.binder.do(ctx, patience, func(ctx context.Context, session session) (err error) {
		right, err = session.(*dialogue).try(ctx, name, password)
		return err
	})
	return right, err
}

// try binds. Whom the server does not let in, for whatever reason that lies in the
// entry, has no right password.
func (s *dialogue) try(ctx context.Context, name, password string) (bool, error) {
	rest := s.wire.during(ctx)
	defer rest()
	err := s.conn.Bind(name, password)
	switch {
	case err == nil:
		return true, nil
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax,
		ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultInsufficientAccessRights,
		ldap.LDAPResultConstraintViolation):
		return false, nil
	case ldap.IsErrorWithCode(err, ldap.LDAPResultUnwillingToPerform):
		return false, complaint{err} // about this entry; others may be let in
	}
	return false, s.judge(ctx, err)
}

// Base is the name below which everything is.
func (t *Tree) Base() string { return t.base }

// Close lets go of connections.
func (t *Tree) Close() error {
	return errors.Join(t.remote.close(), t.binder.close())
}
