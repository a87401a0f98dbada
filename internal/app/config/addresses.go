package config

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"facteur/internal/base/event"
	"facteur/internal/base/lookup"
	"facteur/internal/flow/route"
	"facteur/internal/mail/address"
	"facteur/internal/store/directory"
	"facteur/internal/store/list"
)

// Addresses are how an address finds its mailbox. See docs/ADDRESSES.md.
type Addresses struct {
	// The characters that begin an extension: alice+news@ reaches alice@ unless somebody
	// has that very address. Several may be given, as "+-"; the first that stands in an
	// address counts. Empty: there are no extensions. Postfix calls this
	// recipient_delimiter.
	RecipientDelimiter string `toml:"recipient_delimiter"`
	// Tables of addresses that lead to others, in any domain of ours: "hash:/etc/postfix/virtual",
	// the name of a [[list]], and so on; the first that knows the address counts. Aliases
	// of the database ("facteur alias add") are asked before them. Postfix calls this
	// virtual_alias_maps.
	VirtualAliasMaps Maps `toml:"virtual_alias_maps"`
	// Tables of aliases(5), for domains of class "local": "hash:/etc/aliases". Whatever
	// kind of file is named, its text is read in that form. Commands, files and
	// ":include:" are taken from files only, never from a directory, a database or a
	// pattern. Postfix calls this alias_maps.
	AliasMaps AliasMaps `toml:"alias_maps"`
	// Tables of the users that domains of class "local" have beside accounts and aliases.
	// Empty: there are no others. Postfix calls this local_recipient_maps.
	LocalRecipientMaps Maps `toml:"local_recipient_maps"`
	// Tables of the addresses that domains of class "relay" have. Empty: any; what their
	// own server refuses then is a notice to somebody who may not have written. Postfix
	// calls this relay_recipient_maps.
	RelayRecipientMaps Maps `toml:"relay_recipient_maps"`
	// Which look-ups pass an extension on that they have no entry for: "virtual" (mail for
	// sales+x@ goes to what sales@ leads to, with +x), "canonical". Postfix calls this
	// propagate_unmatched_extensions.
	PropagateUnmatchedExtensions []string `toml:"propagate_unmatched_extensions"`
	// Tables of addresses that have moved: mail for them is refused with the new address,
	// which is the value. Postfix calls this relocated_maps.
	RelocatedMaps Maps `toml:"relocated_maps"`
	// Who gets what is for an unknown user of a domain of class "local": an address, in
	// which "$user", "$extension", "$domain", "$local" and "$recipient" are replaced.
	// Empty: it is refused. Postfix calls this luser_relay.
	LuserRelay string `toml:"luser_relay"`
	// Local parts that every domain has, also those that are added later. An account or
	// an alias of that address goes before.
	RoleAddresses []string `toml:"role_addresses"`
	// Who reads what is for them. Empty: postmaster in the first domain of this file.
	RoleRecipient string `toml:"role_recipient"`
	// The domain of addresses without one in tables and aliases. Empty: the first domain
	// of this file. Postfix calls this myorigin.
	Origin string `toml:"origin"`
	// The most destinations that one address may lead to; one that leads to more is
	// refused. Postfix calls this virtual_alias_expansion_limit.
	ExpansionLimit int `toml:"expansion_limit"`
	// The longest chain of aliases. Postfix calls this virtual_alias_recursion_limit.
	RecursionLimit int `toml:"recursion_limit"`
	// Whether owner-LIST and LIST-request are special: mail to an alias LIST leaves with
	// owner-LIST as its sender where there is such an alias, and an extension delimiter
	// "-" does not split these. Postfix calls this owner_request_special.
	OwnerRequestSpecial bool `toml:"owner_request_special"`
	// Whether the sender is then what owner-LIST leads to, if that is one address, and
	// not owner-LIST itself. Postfix calls this expand_owner_alias.
	ExpandOwnerAlias bool `toml:"expand_owner_alias"`
	// Where commands may stand: "alias" (in alias_maps), "forward" (in a ~/.forward),
	// "include" (in an :include: file). Postfix calls this allow_mail_to_commands.
	AllowCommands []string `toml:"allow_commands"`
	// The same for files. Postfix calls this allow_mail_to_files.
	AllowFiles []string `toml:"allow_files"`
	// Who runs commands of aliases, and owns their files. Never root. Postfix calls this
	// default_privs.
	DefaultUser string `toml:"default_user"`
	// Addresses of this server that it does not see itself, because a proxy or a router
	// (NAT) translates them. Mail is not sent there when this server is a secondary mail
	// host. Postfix calls this proxy_interfaces.
	ProxyInterfaces []string `toml:"proxy_interfaces"`
}

func defaultAddresses() Addresses {
	return Addresses{
		RecipientDelimiter: "+",
		RoleAddresses:      []string{"postmaster", "hostmaster", "abuse", "mailer-daemon"},
		ExpansionLimit:     1000, RecursionLimit: 50,
		OwnerRequestSpecial: true, PropagateUnmatchedExtensions: []string{"canonical", "virtual"},
		AllowCommands: []string{"alias", "forward"}, AllowFiles: []string{"alias", "forward"},
		DefaultUser: "nobody",
	}
}

// DeclaredDomains are the domains of the file.
func (c *Config) DeclaredDomains() []directory.Domain {
	out := make([]directory.Domain, len(c.Domains))
	for i, d := range c.Domains {
		out[i] = c.declared(d)
	}
	return out
}

func (c *Config) declared(d Domain) directory.Domain {
	return directory.Domain{Name: d.Name, Class: directory.Class(d.Class), AliasOf: d.AliasOf, CatchAll: d.CatchAll, Subdomains: d.Subdomains}
}

// addresses checks how addresses find their mailboxes.
func (k *checker) addresses() {
	a := k.c.Addresses
	k.atLeast("addresses.expansion_limit", int64(a.ExpansionLimit), 1)
	k.atLeast("addresses.recursion_limit", int64(a.RecursionLimit), 1)
	if strings.ContainsFunc(a.RecipientDelimiter, func(r rune) bool { return r <= ' ' || r > '~' || r == '@' || r == '"' }) {
		k.failf("addresses.recipient_delimiter", `expected characters such as "+" or "+-", found %q`, a.RecipientDelimiter)
	}
	for i, role := range a.RoleAddresses {
		if role == "" || strings.ContainsAny(role, "@ ") {
			k.failf(fmt.Sprintf("addresses.role_addresses[%d]", i), `expected the part before the "@", such as "abuse", found %q`, role)
		}
	}
	if a.RoleRecipient != "" {
		if _, err := address.Parse(a.RoleRecipient); err != nil {
			k.failf("addresses.role_recipient", `%q is no address (%v); expected one such as "admin@example.org"`, a.RoleRecipient, err)
		}
	}
	if a.Origin != "" {
		if _, err := canonicalName(a.Origin); err != nil {
			k.failf("addresses.origin", "%v", err)
		}
	}
	k.words("addresses.allow_commands", a.AllowCommands, "alias", "forward", "include")
	k.words("addresses.allow_files", a.AllowFiles, "alias", "forward", "include")
	k.words("addresses.propagate_unmatched_extensions", a.PropagateUnmatchedExtensions, "canonical", "virtual")
	for i, text := range a.ProxyInterfaces {
		if _, err := netip.ParseAddr(text); err != nil {
			k.failf(fmt.Sprintf("addresses.proxy_interfaces[%d]", i), `expected an address such as "192.0.2.1", found %q`, text)
		}
	}
	if a.DefaultUser == "root" || a.DefaultUser == "" {
		k.failf("addresses.default_user", `expected a user without rights, such as "nobody"; commands of aliases never run as root`)
	}
	k.aliasMaps(a.AliasMaps)
}

// words refuses words that mean nothing in a setting.
func (k *checker) words(key string, found []string, known ...string) {
	for i, word := range found {
		if !slices.Contains(known, word) {
			k.failf(fmt.Sprintf("%s[%d]", key, i), "expected %s, found %q", strings.Join(known, ", "), word)
		}
	}
}

func (k *checker) aliasMaps(tables []string) {
	names := k.c.ListNames()
	for i, entry := range tables {
		if slices.Contains(names, entry) {
			continue
		}
		if err := k.entry(list.Aliases(entry)); err != nil {
			k.failf(fmt.Sprintf("addresses.alias_maps[%d]", i), "%v", err)
		}
	}
}

// AliasMaps are tables of aliases(5) in their order.
type AliasMaps []string

// Form says what may be written.
func (AliasMaps) Form() string { return Maps(nil).Form() }

// tables are the names by which the tables are asked.
func (c *Config) aliasTables() []string {
	names, out := c.ListNames(), make([]string, len(c.Addresses.AliasMaps))
	for i, entry := range c.Addresses.AliasMaps {
		if out[i] = entry; !slices.Contains(names, entry) {
			out[i] = list.Aliases(c.absolute(entry))
		}
	}
	return out
}

// RouteRules are how addresses find their mailboxes, with the tables that are open.
func (c *Config) RouteRules(tables *list.Set) *route.Rules {
	a := c.Addresses
	r := &route.Rules{
		Delimiters: a.RecipientDelimiter, LuserRelay: a.LuserRelay, Origin: a.Origin,
		Virtual: tables.Maps(a.VirtualAliasMaps), Aliases: tables.Maps(c.aliasTables()), Relocated: tables.Maps(a.RelocatedMaps),
		LocalRecipients: tables.Maps(a.LocalRecipientMaps), RelayRecipients: tables.Maps(a.RelayRecipientMaps),
		Propagate:      slices.Contains(a.PropagateUnmatchedExtensions, "virtual"),
		ExpansionLimit: a.ExpansionLimit, RecursionLimit: a.RecursionLimit,
		OwnerRequest: a.OwnerRequestSpecial, ExpandOwner: a.ExpandOwnerAlias,
		Commands: where(a.AllowCommands), Files: where(a.AllowFiles), Include: include(list.NewIncludes()),
	}
	for _, role := range a.RoleAddresses {
		r.Roles = append(r.Roles, strings.ToLower(role))
	}
	r.RoleRecipient, _ = address.Parse(a.RoleRecipient)
	if a.Origin != "" {
		r.Origin, _ = canonicalName(a.Origin)
	}
	return r
}

func where(words []string) route.Where {
	return route.Where{Alias: slices.Contains(words, "alias"), Include: slices.Contains(words, "include")}
}

func include(files *list.Includes) func(context.Context, string) (route.Included, error) {
	return func(ctx context.Context, path string) (route.Included, error) {
		text, owner, err := files.Read(ctx, path)
		return route.Included{Text: text, User: owner}, err
	}
}

// OwnAddresses are addresses of this server that it does not see itself.
func (c *Config) OwnAddresses() (out []netip.Addr) {
	for _, text := range c.Addresses.ProxyInterfaces {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// aliasWarnings tells of aliases that nobody who sets up a machine should be without.
// Files alone are asked.
func (c *Config) aliasWarnings() []string {
	var sources []list.Source
	var names []string
	for _, name := range c.aliasTables() {
		if !strings.HasPrefix(name, "aliases:") {
			return nil // who knows what a server knows
		}
		names = append(names, name)
		sources = append(sources, list.Source{Name: name, From: name})
	}
	tables, err := list.Open(sources, event.Discard)
	if err != nil || len(names) == 0 {
		return nil // the mistake is told elsewhere
	}
	defer tables.Close()
	if tables.Maps(names).Find(context.Background(), "root").State() != lookup.NotFound {
		return nil
	}
	return []string{"addresses.alias_maps: " + strings.Join(names, ", ") + " has no alias for root; what the machine writes to root goes to who reads postmaster, or to nobody"}
}

// DomainClass is what the addresses of a domain are.
type DomainClass string

// Form says what may be written.
func (DomainClass) Form() string {
	return oneOf[DomainClass]("mailbox", "local", "alias", "relay")
}

// UnmarshalText takes one of the classes, or nothing.
func (d *DomainClass) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = ""
		return nil
	}
	return choose(d, text, "mailbox", "local", "alias", "relay")
}
