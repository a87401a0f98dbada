package list

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"facteur/internal/base/event"
)

// maxEntries is how many entries of a directory one answer is joined of. More is an
// error: the filter is wider than was meant.
const maxEntries = 100

// defaultSocket is where slapd(8) listens for ldapi:///.
const defaultSocket = "/var/run/slapd/ldapi"

// search is an LDAP URL (RFC 4516) with places for a key.
type search struct {
	scheme     string // ldap, ldaps or ldapi
	hosts      []string
	base       nameTemplate
	attributes []string // none: that there is an entry is all
	scope      int
	filter     filterTemplate
}

// parseSearch reads "ldap://host[:port]/BASE?attribute?scope?(filter)", percent-encoded
// where RFC 4516 wants it.
func parseSearch(from string) (s search, err error) {
	scheme, rest, _ := strings.Cut(from, ":")
	rest, found := strings.CutPrefix(rest, "//")
	host, rest, slash := strings.Cut(rest, "/")
	if s.scheme = scheme; !found || !slash {
		return s, fmt.Errorf("expected \"%s://host/BASE?attribute?scope?(filter with {key})\"", scheme)
	}
	if s.hosts, err = searchHosts(scheme, host); err != nil {
		return s, err
	}
	parts := strings.Split(rest, "?")
	if len(parts) > 4 {
		return s, errors.New("expected nothing after the filter, where LDAP URLs have extensions; the settings of the list say who we are; a \"?\" in the filter is written %3f")
	}
	for i, part := range parts {
		if parts[i], err = url.PathUnescape(part); err != nil {
			return s, fmt.Errorf("%w; the key is written {key}, and a \"%%\" %%25", err)
		}
	}
	return s.complete(append(parts, make([]string, 4-len(parts))...))
}

func searchHosts(scheme, host string) ([]string, error) {
	switch {
	case scheme == "ldaps":
		return splitHosts(host, ldap.DefaultLdapsPort)
	case scheme == "ldap":
		return splitHosts(host, ldap.DefaultLdapPort)
	case host == "":
		return []string{defaultSocket}, nil
	}
	hosts, err := splitHosts(host, "")
	if err == nil && slices.ContainsFunc(hosts, func(h string) bool { return network(h) != "unix" }) {
		err = errors.New("expected the path of a socket, percent-encoded, such as \"ldapi://%2Frun%2Fslapd%2Fldapi/dc=example,dc=org?…\"")
	}
	return hosts, err
}

// complete reads what stands behind the host: base, attributes, scope and filter.
func (s search) complete(parts []string) (search, error) {
	var err error
	if s.base, err = parseName(cutKeys(parts[0])); err != nil {
		return s, err
	}
	if parts[1] != "" {
		s.attributes = strings.Split(parts[1], ",")
	}
	for _, a := range s.attributes {
		if !isDescriptor(a) {
			return s, fmt.Errorf("%q is no attribute; expected a name such as \"mail\", several with commas between", a)
		}
	}
	if s.scope, err = parseScope(parts[2]); err != nil {
		return s, err
	}
	if parts[3] == "" {
		parts[3] = "(objectClass=*)"
	}
	if s.filter, err = parseFilter(cutKeys(parts[3])); err != nil {
		return s, err
	}
	if !s.filter.hasKey() && !s.base.hasKey() {
		return s, errors.New("the filter does not ask for the key; write {key} where it belongs, such as \"(mail={key})\"")
	}
	return s, nil
}

// isDescriptor tells whether s is the name of an attribute (RFC 4512 §2.5).
func isDescriptor(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isWord(c) && !strings.ContainsRune("-;.", rune(c)) {
			return false
		}
	}
	return s != ""
}

// parseScope is how far down the search goes. RFC 4516 means the base alone where
// nothing is said; that finds hardly anything, so we mean all below it, as Postfix does.
func parseScope(s string) (int, error) {
	switch s {
	case "sub", "":
		return ldap.ScopeWholeSubtree, nil
	case "one":
		return ldap.ScopeSingleLevel, nil
	case "base":
		return ldap.ScopeBaseObject, nil
	}
	return 0, fmt.Errorf("expected the scope \"sub\", \"one\" or \"base\", found %q", s)
}

// directory is a list in a directory that is asked by LDAP (RFC 4511).
type directory struct {
	search
	bindDN, password string
	trust            *tls.Config
	startTLS         bool
	most             int          // entries of one answer
	follow           *followRules // nil: entries refer to no others
}

func openDirectory(s Source, events event.Sink) (*remote, error) {
	search, err := parseSearch(s.From)
	if err != nil {
		return nil, err
	}
	d := &directory{search: search, bindDN: s.BindDN, most: maxEntries, startTLS: search.scheme == "ldap" && wantsTLS(s.TLS, search.hosts)}
	if d.trust, err = trust(s.CAFile); err != nil {
		return nil, err
	}
	if d.password, err = secret(s.PasswordFile); err != nil {
		return nil, err
	}
	return newRemote(s, search.hosts, d, events), nil
}

// dialogue is one connection to a directory.
type dialogue struct {
	*directory
	wire *wire
	conn *ldap.Conn
}

// dial connects, encrypts, and says who we are.
func (d *directory) dial(ctx context.Context, host string) (session, error) {
	raw, err := new(net.Dialer).DialContext(ctx, network(host), host)
	if err != nil {
		return nil, describe(ctx, bare(err))
	}
	s := &dialogue{directory: d, wire: newWire(raw)}
	rest := s.wire.during(ctx)
	defer rest()
	if err := s.greet(ctx, host); err != nil {
		s.close()
		return nil, describe(ctx, err)
	}
	return s, nil
}

func (s *dialogue) greet(ctx context.Context, host string) error {
	if s.scheme == "ldaps" {
		encrypted := tls.Client(s.wire, forHost(s.trust, host))
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		s.conn = ldap.NewConn(encrypted, true)
	} else {
		s.conn = ldap.NewConn(s.wire, false)
	}
	s.conn.Start()
	if s.startTLS {
		if err := s.conn.StartTLS(forHost(s.trust, host)); err != nil {
			return fmt.Errorf("StartTLS: %w", err)
		}
	}
	if s.bindDN == "" {
		return nil
	}
	if err := s.conn.Bind(s.bindDN, s.password); err != nil {
		return fmt.Errorf("bind as %q: %w", s.bindDN, err)
	}
	return nil
}

// ask searches for a key. The values are those of the attributes of all entries that
// there are. Aliases are not followed, nor are referrals.
func (s *dialogue) ask(ctx context.Context, key string) (values []string, found bool, err error) {
	rest := s.wire.during(ctx)
	defer rest()
	k := cutParts(key)
	result, err := s.lookFor(s.base.fill(k), s.scope, s.filter.fill(k), s.wanted())
	switch {
	case err == nil && s.follow != nil:
		f := follower{dialogue: s, ctx: ctx}
		err = f.entries(result.Entries, 0)
		return f.values, len(f.values) > 0, err
	case err == nil:
		values = s.values(result)
		return values, len(values) > 0 || len(s.attributes) == 0 && len(result.Entries) > 0, nil
	case s.base.hasKey() && ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax):
		return nil, false, nil // there is no entry of that name, or can't be
	}
	return nil, false, s.judge(ctx, err)
}

// lookFor finds entries, in the order of their names: servers give them in any.
func (s *dialogue) lookFor(base string, scope int, filter string, attributes []string) (*ldap.SearchResult, error) {
	result, err := s.conn.Search(&ldap.SearchRequest{
		BaseDN: base, Scope: scope, DerefAliases: ldap.NeverDerefAliases,
		SizeLimit: s.most, EnforceSizeLimit: true, TimeLimit: int(patience.Seconds()),
		Filter: filter, Attributes: attributes,
	})
	if err == nil {
		slices.SortFunc(result.Entries, func(a, b *ldap.Entry) int { return strings.Compare(a.DN, b.DN) })
	}
	return result, err
}

// wanted are the attributes that are asked for.
func (s *dialogue) wanted() []string {
	switch {
	case s.follow != nil:
		return s.follow.all()
	case len(s.attributes) == 0:
		return []string{"1.1"} // no attributes: RFC 4511 §4.5.1.8
	}
	return s.attributes
}

// values are those of the attributes that were asked for, entry by entry.
func (s *dialogue) values(result *ldap.SearchResult) (out []string) {
	for _, entry := range result.Entries {
		for _, name := range s.attributes {
			out = append(out, entry.GetEqualFoldAttributeValues(name)...)
		}
	}
	return out
}

// judge tells a server that is in trouble from one that works and complains.
func (s *dialogue) judge(ctx context.Context, err error) error {
	var result *ldap.Error
	answered := errors.As(err, &result) && result.ResultCode < ldap.ErrorNetwork
	err = describe(ctx, err)
	switch {
	case !answered || ldap.IsErrorAnyOf(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultTimeLimitExceeded):
		return err
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		err = fmt.Errorf("more than %d entries match; the filter is wider than a list can be: %w", s.most, err)
	case ldap.IsErrorWithCode(err, ldap.LDAPResultReferral):
		err = fmt.Errorf("the server refers to another one, which is not followed; name that one: %w", err)
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		err = fmt.Errorf("the base does not exist, or we may not see it: %w", err)
	}
	return complaint{err}
}

func (s *dialogue) close() {
	s.wire.Close() // first: what the library says at the end must not be waited for
	if s.conn != nil {
		s.conn.Close()
	}
}
