package postfix

import (
	"slices"
	"strings"

	"facteur/internal/mail/aliases"
	"facteur/internal/mail/passwd"
)

const postmaster = "postmaster"

// firstUser is the least number of a Unix user who has mail.
const firstUser = 1000

// roles names the reader of postmaster@ and its like. That is postmaster of the first domain,
// which, where that is a virtual one, need not be anybody: Postfix's postmaster stands in
// aliases(5), and those are of local domains.
func (i *importer) roles() {
	domains := i.t.Settings.All("domain")
	local := i.domainsOf("local")
	if len(domains) == 0 || len(local) == 0 || i.table("addresses").Has("role_recipient") {
		return
	}
	home := strings.Trim(domains[0].Get("name"), `"`)
	class := strings.Trim(domains[0].Get("class"), `"`)
	if class != "mailbox" && class != "alias" || i.hasVirtual(postmaster, home) || !i.hasLocal(postmaster) {
		return
	}
	i.set("addresses.role_recipient", postmaster+"@"+local[0], "postmaster is known in "+local[0]+", and not in "+home)
}

// hasVirtual tells that an address, or its whole domain, stands in the tables of virtual
// domains. Those whose entries can't be read here are not asked.
func (i *importer) hasVirtual(name, domain string) bool {
	keys := []string{name + "@" + domain, "@" + domain}
	if domain == i.origin() {
		keys = append(keys, name)
	}
	for _, t := range i.tables {
		if !slices.Contains(t.users, "virtual_alias_maps") && !slices.Contains(t.users, "virtual_mailbox_maps") {
			continue
		}
		if slices.ContainsFunc(t.entries, func(p pair) bool { return slices.Contains(keys, p.Key) && p.Value != "" }) {
			return true
		}
	}
	return false
}

// hasLocal tells that a name is an alias of aliases(5), or a user of this machine.
func (i *importer) hasLocal(name string) bool {
	for _, t := range i.tables {
		if !t.isAliases() || t.path == "" || t.trouble != "" {
			continue
		}
		text, err := i.file(t.path)
		if err != nil {
			continue
		}
		for _, l := range Lines(text) {
			if found, _, err := aliases.Cut(l.Text); err == nil && found == name {
				return true
			}
		}
	}
	text, _ := i.file("/etc/passwd")
	users, _ := passwd.Read(text)
	return slices.ContainsFunc(users, func(u passwd.User) bool { return u.Name == name && u.UID >= firstUser })
}
