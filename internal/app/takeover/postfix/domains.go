package postfix

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
	"facteur/internal/mail/address"
)

// identity is the name of the machine and the domain of bare names.
func (i *importer) identity() {
	host, why := i.value("myhostname"), i.why("myhostname")
	origin := i.origin()
	if !strings.Contains(host, ".") {
		full := host + "." + i.value("mydomain")
		if strings.HasPrefix(origin, host+".") {
			full = origin
		}
		why += "\nThe world's DNS has to know this name: it was not a full one."
		i.note("myhostname", takeover.Understood, "hostname", "it is not a full name; "+full+" was taken, which is to be looked at")
		host = full
	}
	if why == "" {
		why = "myhostname, as this machine calls itself"
	}
	i.set("hostname", host, strings.TrimPrefix(why, "\n"))
	i.took("hostname", "myhostname")
	if origin != host {
		i.set("addresses.origin", origin, i.why("myorigin"))
	}
	i.took("addresses.origin", "myorigin")
}

// origin is myorigin; Debian has it in a file.
func (i *importer) origin() string {
	origin := i.value("myorigin")
	if strings.HasPrefix(origin, "/") {
		text, err := i.file(origin)
		if err != nil {
			i.note("myorigin", takeover.NotSupported, "addresses.origin", "the file can't be read; the hostname is used")
			return i.value("myhostname")
		}
		origin, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
		origin = strings.TrimSpace(origin)
	}
	return origin
}

// networks is trusted_networks.
func (i *importer) networks() {
	var nets []string
	if !i.isSet("mynetworks") {
		nets = i.standardNetworks()
		i.set("trusted_networks", nets, strings.TrimPrefix(i.why("mynetworks_style")+"\nmynetworks_style = "+i.value("mynetworks_style"), "\n"))
		i.took("trusted_networks", "mynetworks_style")
		return
	}
	nets = i.prefixes("mynetworks", i.words("mynetworks"))
	i.set("trusted_networks", nets, i.why("mynetworks"))
	i.took("trusted_networks", "mynetworks")
	i.note("mynetworks_style", takeover.NotNeeded, "", "mynetworks is set")
}

// standardNetworks is mynetworks as mynetworks_style makes it.
func (i *importer) standardNetworks() (out []string) {
	out = []string{"127.0.0.0/8", "::1/128"}
	style := i.value("mynetworks_style")
	for _, p := range i.o.Networks {
		switch {
		case p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast():
			continue
		case style == "subnet":
			p = p.Masked()
		case style == "class":
			i.note("mynetworks_style", takeover.NotSupported, "trusted_networks", "nobody owns a class A today; only the addresses of this machine are trusted")
			fallthrough
		default:
			p = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
		}
		if s := p.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// prefixes are the networks of a list of patterns, which may name files. What "!" takes
// out of the networks that follow is cut out of them.
func (i *importer) prefixes(name string, words []string) (out []string) {
	out = []string{}
	var without []netip.Prefix
	for _, pattern := range i.patterns(name, words) {
		word, not := strings.CutPrefix(pattern, "!")
		p, err := network(word)
		switch {
		case err != nil:
			i.note(name, takeover.NotSupported, "", pattern+" is no network; facteur wants addresses and networks here")
			continue
		case not:
			without = append(without, p)
			continue
		}
		for _, p := range outside(p, without) {
			if s := p.String(); !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// outside is what is left of a network without others: itself, or its parts.
func outside(p netip.Prefix, without []netip.Prefix) []netip.Prefix {
	for _, w := range without {
		switch {
		case !p.Overlaps(w):
			continue
		case w.Bits() <= p.Bits():
			return nil
		}
		low, high := halves(p)
		return append(outside(low, without), outside(high, without)...)
	}
	return []netip.Prefix{p}
}

// halves divides a network that is more than one address.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bytes := p.Addr().AsSlice()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	middle, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(p.Addr(), p.Bits()+1), netip.PrefixFrom(middle, p.Bits()+1)
}

// network reads "192.0.2.0/24", "[::1]/128", "[::ffff:127.0.0.0]/104" and single addresses.
func network(word string) (netip.Prefix, error) {
	word = strings.NewReplacer("[", "", "]", "").Replace(word)
	if !strings.Contains(word, "/") {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err == nil && p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), err
}

// patterns are the words of a match list: a path stands for the words in that file, a
// table for its keys. The first that matches counts; one that begins with "!" takes out
// of the list.
func (i *importer) patterns(name string, words []string) []string {
	return i.patternsOf(name, words, false, 0)
}

func (i *importer) patternsOf(name string, words []string, not bool, depth int) (out []string) {
	for _, word := range words {
		not, word := not, unbrace(word)
		for strings.HasPrefix(word, "!") {
			not, word = !not, word[1:]
		}
		var found []string
		switch {
		case strings.HasPrefix(word, "/") && depth < 10:
			text, err := i.file(word)
			if err != nil {
				i.note(name, takeover.NotSupported, "", "the file can't be read: "+err.Error())
				continue
			}
			i.t.Report.Add(takeover.Line{File: word, Verdict: takeover.Understood, Why: "its entries are in facteur.toml; it is not read again"})
			for _, l := range Lines(text) {
				out = append(out, i.patternsOf(name, Words(l.Text), not, depth+1)...)
			}
			continue
		case isTable(word):
			found = i.keys(name, word)
		default:
			found = []string{word}
		}
		for _, word := range found {
			if not {
				word = "!" + word
			}
			out = append(out, word)
		}
	}
	return out
}

// isTable tells "hash:/path" from an address.
func isTable(word string) bool {
	kind, rest, found := strings.Cut(word, ":")
	if !found || rest == "" || kind == "" || strings.ContainsAny(kind, ".[]/") {
		return false
	}
	_, err := netip.ParseAddr(word)
	return err != nil
}

// domains declares the domains of every class.
func (i *importer) domains() {
	home := i.origin()
	for _, class := range []struct{ name, class, what string }{
		{"mydestination", "local", "Unix users and /etc/aliases"},
		{"virtual_mailbox_domains", "mailbox", "mailboxes"},
		{"virtual_alias_domains", "alias", "only aliases"},
		{"relay_domains", "relay", "mail for another server"},
	} {
		if class.name == "relay_domains" && i.sameAs("relay_domains", "mydestination") {
			continue // the default up to compatibility_level 2
		}
		i.class(class.name, class.class, class.what)
	}
	// The first domain is that of the bare postmaster.
	i.t.Settings.First("domain", "name", home)
}

func (i *importer) sameAs(name, other string) bool {
	return !i.isSet(name) && strings.EqualFold(i.value(name), i.value(other))
}

func (i *importer) class(name, class, what string) {
	below := class == "relay" && slices.Contains(i.words("parent_domain_matches_subdomains"), name)
	var without []string
	for _, pattern := range i.patterns(name, i.words(name)) {
		word, not := strings.CutPrefix(pattern, "!")
		domain, err := address.CanonicalDomain(word)
		if err != nil || strings.HasPrefix(word, ".") || strings.HasPrefix(domain, "[") {
			if !strings.HasPrefix(word, "[") { // its own address in brackets is always local
				i.note(name, takeover.NotSupported, "domain", pattern+" is no name of a domain")
			}
			continue
		}
		switch {
		case not:
			without = append(without, domain)
			continue
		case slices.Contains(without, domain):
			continue
		case slices.Contains(i.ours, domain):
			i.note(name, takeover.Understood, "domain", domain+" is named twice; the first class counts")
			continue
		}
		i.ours = append(i.ours, domain)
		d := i.t.Settings.Append("domain")
		d.Set("name", domain, "")
		d.Set("class", class, "")
		if below && !slices.ContainsFunc(without, func(not string) bool { return strings.HasSuffix(not, "."+domain) }) {
			d.Set("subdomains", true, "")
		} else if below {
			i.note(name, takeover.NotSupported, "domain.subdomains", "of the domains below "+domain+" all are meant or none, and none are taken; name those that there are")
		}
		if len(i.ours) == 1 || i.t.Settings.All("domain")[len(i.ours)-2].Get("class") != d.Get("class") {
			d.About(strings.TrimPrefix(i.why(name)+"\n"+what, "\n"))
		}
	}
	i.took("domain.class", name)
}

// keys are the domains that a table has as keys, where its text can be read.
func (i *importer) keys(name, source string) (out []string) {
	t := i.use(name, source)
	if t.entries == nil {
		if i.domainQuery(t) {
			i.note(name, takeover.Understood, "directory.domain_query", source+": the directory of the accounts is asked")
			return nil
		}
		i.note(name, takeover.NotSupported, "domain", source+" can't be read here as a list of domains; \"facteur domain add\" names them, or domain_query of a [[directory]]")
		return nil
	}
	for _, e := range t.entries {
		if !strings.Contains(e.Key, "@") && !slices.Contains(out, e.Key) {
			out = append(out, e.Key)
		}
	}
	return out
}

// domainQuery has a database of accounts (Dovecot's) asked for domains as a table of the same
// database was. It tells whether that can be.
func (i *importer) domainQuery(t *table) bool {
	d := i.t.Settings.Find("directory", "kind", "sql")
	text, err := i.file(t.path)
	if d == nil || d.Has("domain_query") || err != nil || t.trouble != "" {
		return false
	}
	values := map[string]string{}
	for _, p := range ParseMain(text) {
		values[p.Name] = oneLine(p.Value)
	}
	scheme := map[string]string{"mysql": "mysql:", "pgsql": "postgres:", "sqlite": "sqlite:"}[strings.SplitN(t.source, ":", 2)[0]]
	source := strings.Trim(d.Get("source"), `"'`)
	if scheme == "" || !strings.HasPrefix(source, scheme) || !strings.HasSuffix(source, "/"+values["dbname"]) && source != scheme+values["dbpath"] {
		return false
	}
	query := strings.ReplaceAll(strings.TrimSuffix(values["query"], ";"), "'%s'", "%d")
	if !strings.Contains(query, "%d") || strings.Count(query, "%") != strings.Count(query, "%d") {
		return false
	}
	d.Set("domain_query", query, t.path)
	return true
}

// absolute is a path that counts from the directory of main.cf.
func (i *importer) absolute(path string) string {
	if filepath.IsAbs(path) || path == "" {
		return path
	}
	return filepath.Join(i.o.Dir, path)
}
