package list

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"facteur/internal/base/event"
)

const ldapParameters = "server_host server_port timeout search_base query_filter result_format result_filter domain result_attribute " +
	"special_result_attribute terminal_result_attribute leaf_result_attribute scope bind bind_dn bind_pw recursion_limit expansion_limit " +
	"size_limit dereference chase_referrals version debuglevel start_tls tls_ca_cert_file tls_require_cert cache cache_expiry cache_size"

// openLDAPFile opens a table of Postfix's, such as ldap:/etc/postfix/ldap-aliases.cf
// (ldap_table(5)). What the list's own settings say of TLS counts more than the file.
func openLDAPFile(s Source, path string, events event.Sink, depth int) (*remote, error) {
	c, err := readCF(path)
	if err != nil {
		return nil, err
	}
	d := &directory{bindDN: c.get("bind_dn", ""), password: c.get("bind_pw", ""), most: maxShaped}
	if d.search, err = searchOf(c); err != nil {
		return nil, err
	}
	if err := d.protect(c, s); err != nil {
		return nil, err
	}
	if d.follow, err = followOf(c); err != nil {
		return nil, err
	}
	if size, err := c.number("size_limit", 0, 0, 1<<20); err != nil {
		return nil, err
	} else if size > 0 {
		d.most = min(size, d.most)
	}
	shape, err := newShape(c, slices.Concat(d.base.slots, d.filter.slots), events, depth)
	if err != nil {
		return nil, err
	}
	c.heed(events, ldapParameters, "bind_pw")
	if d.password != "" && d.scheme == "ldap" && !d.startTLS && !allHere(d.hosts) {
		c.warn(events, "bind_pw goes over the net as it is; write start_tls = yes")
	}
	r := newRemote(s, d.hosts, d, events)
	r.shape = shape
	return r, r.hasten(c)
}

// hasten takes a shorter limit of time than ours.
func (r *remote) hasten(c *cf) error {
	seconds, err := c.number("timeout", int(patience.Seconds()), 1, 3600)
	r.limit = min(patience, time.Duration(seconds)*time.Second)
	return err
}

// searchOf reads where is searched, and for what.
func searchOf(c *cf) (s search, err error) {
	if s.scheme, s.hosts, err = serversOf(c); err != nil {
		return s, c.errorf("server_host", "%v", err)
	}
	base, err := cutPlaces(c.get("search_base", ""))
	if err == nil {
		s.base, err = parseName(base)
	}
	if err != nil {
		return s, c.errorf("search_base", "%v", inPlaces(err))
	}
	text := c.get("query_filter", "mailacceptinggeneralid=%s")
	if !strings.HasPrefix(text, "(") {
		text = "(" + text + ")"
	}
	filter, err := cutPlaces(text)
	if err == nil {
		s.filter, err = parseFilter(filter)
	}
	if err == nil && !s.filter.hasKey() && !s.base.hasKey() {
		err = errors.New("does not ask for the key; write {key} where it belongs")
	}
	if err != nil {
		return s, c.errorf("query_filter", "%v", inPlaces(err))
	}
	if s.scope, err = parseScope(c.get("scope", "sub")); err != nil {
		return s, c.errorf("scope", "%v", err)
	}
	return s, nil
}

// inPlaces says %s where our own sources have {key}.
func inPlaces(err error) error { return errors.New(strings.ReplaceAll(err.Error(), placeholder, "%s")) }

// serversOf reads server_host: names with or without a port, or URLs.
func serversOf(c *cf) (scheme string, hosts []string, err error) {
	for _, word := range c.words("server_host", "localhost") {
		kind, rest, isURL := strings.Cut(word, "://")
		if !isURL {
			kind, rest = "ldap", word
			if port := c.get("server_port", ""); port != "" && !strings.Contains(strings.TrimPrefix(word, "["), ":") {
				rest += ":" + port
			}
		}
		if scheme = cmp.Or(scheme, kind); scheme != kind {
			return "", nil, fmt.Errorf("%s and %s together; expected servers of one kind", scheme, kind)
		}
		if kind != "ldap" && kind != "ldaps" && kind != "ldapi" {
			return "", nil, fmt.Errorf("unknown kind of server %q", kind)
		}
		found, err := searchHosts(kind, strings.TrimRight(rest, "/"))
		if err != nil {
			return "", nil, err
		}
		hosts = append(hosts, found...)
	}
	if len(hosts) == 0 || len(hosts) > maxHosts {
		return "", nil, fmt.Errorf("expected 1 to %d servers", maxHosts)
	}
	return scheme, hosts, nil
}

// protect reads who we are, and whether the way is encrypted.
func (d *directory) protect(c *cf, s Source) (err error) {
	switch how := strings.ToLower(c.get("bind", "yes")); how {
	case "no", "none":
		d.bindDN, d.password = "", ""
	case "yes", "simple":
	default:
		return c.errorf("bind", `expected "yes" or "no", found %q; SASL is not spoken to directories`, how)
	}
	if version := c.get("version", "3"); version != "3" {
		return c.errorf("version", "expected 3; older ones are spoken by nobody")
	}
	if d.startTLS, err = c.yes("start_tls", false); err != nil {
		return err
	}
	if s.TLS != "" {
		d.startTLS = s.TLS == TLSStart
	}
	d.startTLS = d.startTLS && d.scheme == "ldap"
	d.trust, err = trust(cmp.Or(s.CAFile, c.get("tls_ca_cert_file", "")))
	return err
}

// followRules are how the entries of a directory refer to others (ldap_table(5)).
type followRules struct {
	// result is taken of every entry, leaf of those that refer to no others, terminal
	// alone of those that have one, and special has the names of others.
	result, leaf, terminal, special []string
	depth                           int
}

func followOf(c *cf) (*followRules, error) {
	f := &followRules{
		result: c.words("result_attribute", "maildrop"), special: c.words("special_result_attribute", ""),
		terminal: c.words("terminal_result_attribute", ""), leaf: c.words("leaf_result_attribute", ""),
	}
	var err error
	f.depth, err = c.number("recursion_limit", 1000, 1, 1<<20)
	f.depth = min(f.depth, maxDepth)
	for _, name := range f.all() {
		if !isDescriptor(name) {
			return nil, c.errorf("result_attribute", "%q is no attribute", name)
		}
	}
	return f, err
}

func (f *followRules) all() []string {
	return slices.Concat(f.terminal, f.leaf, f.result, f.special)
}

const (
	// maxShaped bounds the entries or rows of one answer of a table of Postfix's.
	maxShaped = 2000
	// maxDepth is how far an entry may refer to others in a row, maxFollowed how many
	// searches one answer may need.
	maxDepth    = 50
	maxFollowed = 1000
)

// follower collects the values of one answer.
type follower struct {
	*dialogue
	ctx      context.Context
	values   []string
	searches int
	seen     []string // the names of the entries that led here
}

// entries takes the values of entries, and of those that they refer to.
func (f *follower) entries(entries []*ldap.Entry, depth int) error {
	for _, e := range entries {
		if err := f.entry(e, depth); err != nil {
			return err
		}
		if len(f.values) > maxShaped {
			return complaint{fmt.Errorf("more than %d values", maxShaped)}
		}
	}
	return nil
}

func (f *follower) entry(e *ldap.Entry, depth int) error {
	if own := take(e, f.follow.terminal); len(own) > 0 {
		f.values = append(f.values, own...)
		return nil
	}
	others := take(e, f.follow.special)
	if len(others) == 0 {
		f.values = append(f.values, take(e, f.follow.leaf)...)
	}
	f.values = append(f.values, take(e, f.follow.result)...)
	if len(others) == 0 || slices.Contains(f.seen, e.DN) {
		return nil
	}
	f.seen = append(f.seen, e.DN)
	defer func() { f.seen = f.seen[:len(f.seen)-1] }()
	for _, name := range others {
		if err := f.other(name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func take(e *ldap.Entry, attributes []string) (out []string) {
	for _, a := range attributes {
		out = append(out, e.GetEqualFoldAttributeValues(a)...)
	}
	return out
}

// other goes to an entry that another one refers to: by its name, or by the URL of a
// search in the same directory.
func (f *follower) other(name string, depth int) error {
	if f.searches++; depth > f.follow.depth || f.searches > maxFollowed {
		return complaint{fmt.Errorf("entries refer to others further than %d steps or %d entries", f.follow.depth, maxFollowed)}
	}
	base, scope, filter, err := reference{name}.parse()
	if err != nil {
		return complaint{err}
	}
	result, err := f.lookFor(base, scope, filter, f.wanted())
	switch {
	case err == nil:
		return f.entries(result.Entries, depth)
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax):
		return nil // it refers to nothing; Postfix goes on as well
	}
	return f.judge(f.ctx, err)
}
