package config

import (
	"facteur/internal/store/directory"
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
	VirtualAliasMaps []string `toml:"virtual_alias_maps"`
	// Tables in the form of aliases(5), for domains of class "local": "hash:/etc/aliases".
	// Postfix calls this alias_maps.
	AliasMaps []string `toml:"alias_maps"`
	// Tables of the users that domains of class "local" have beside accounts and aliases.
	// Empty: there are no others. Postfix calls this local_recipient_maps.
	LocalRecipientMaps []string `toml:"local_recipient_maps"`
	// Tables of the addresses that domains of class "relay" have. Empty: any; what their
	// own server refuses then is a notice to somebody who may not have written. Postfix
	// calls this relay_recipient_maps.
	RelayRecipientMaps []string `toml:"relay_recipient_maps"`
	// Tables of addresses that have moved: mail for them is refused with the new address,
	// which is the value. Postfix calls this relocated_maps.
	RelocatedMaps []string `toml:"relocated_maps"`
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
		OwnerRequestSpecial: true,
		AllowCommands:       []string{"alias", "forward"}, AllowFiles: []string{"alias", "forward"},
		DefaultUser: "nobody",
	}
}

// DeclaredDomains are the domains of the file.
func (c *Config) DeclaredDomains() []directory.Domain {
	out := make([]directory.Domain, len(c.Domains))
	for i, d := range c.Domains {
		out[i] = directory.Domain{Name: d.Name, Class: directory.Class(d.Class), AliasOf: d.AliasOf, CatchAll: d.CatchAll}
	}
	return out
}

// addresses checks how addresses find their mailboxes.
func (k *checker) addresses() {
	a := k.c.Addresses
	k.atLeast("addresses.expansion_limit", int64(a.ExpansionLimit), 1)
	k.atLeast("addresses.recursion_limit", int64(a.RecursionLimit), 1)
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
